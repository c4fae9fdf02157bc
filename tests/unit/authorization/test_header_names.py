"""Names that an upstream may take for the same header."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.authorization.header_names import MAX_SPELLINGS, ProtectedHeaders, folded
from sidecar.authorization.http_request import MOST_HEADER_BYTES
from sidecar.token.reason import Reason, Refused

ROLES = ProtectedHeaders(frozenset({"x-jwt-roles"}))
PUNCTUATION = "!#$%&'*+-.^_`|~"
"""What a name may have beside letters and digits (RFC 9110, section 5.6.2)."""


@pytest.mark.parametrize("character", PUNCTUATION.replace("-", ""))
@pytest.mark.parametrize("where", ["one", "all"])
def test_any_punctuation_is_a_hyphen(character: str, where: str) -> None:
    name = "x-jwt-roles".replace("-", character, 1 if where == "one" else -1)
    assert ROLES.other_spellings(["accept", name, "x-a"]) == (name,)


@pytest.mark.parametrize(
    ("protected", "sent", "found"),
    [
        pytest.param("x-user-id", "x-user-id", False, id="the name itself"),
        pytest.param("x_user_id", "x-user-id", True, id="hyphens for underscores"),
        pytest.param("x_user_id", "x_user-id", True, id="one of them"),
        pytest.param("x_user_id", "x_user_id", False, id="the name itself, with underscores"),
        pytest.param("x-user-id", "x_user", False, id="the beginning"),
        pytest.param("x-user-id", "x_user_id_", False, id="more at the end"),
        pytest.param("x-user-id", "xuserid", False, id="nothing between the words"),
        pytest.param("x-user-id", ":path", False, id="a pseudo-header"),
    ],
)
def test_which_names_are_another_spelling(protected: str, sent: str, found: bool) -> None:
    headers = ProtectedHeaders(frozenset({protected}))
    assert headers.other_spellings(["accept", sent]) == ((sent,) if found else ())


NAMES = st.text("axAX0!#$%&'*+-.^_`|~", min_size=1, max_size=5).map(str.lower)


@given(st.frozensets(NAMES, max_size=4), st.lists(NAMES, max_size=30, unique=True))
def test_each_is_found_whatever_it_was_sent_with(
    protected: frozenset[str], sent: list[str]
) -> None:
    """As a slow and obvious way finds them."""

    def variable(name: str) -> str:
        return re.sub(r"[^A-Z0-9]", "_", name.upper())

    taken = {variable(name) for name in protected}
    others = tuple(name for name in sent if variable(name) in taken and name not in protected)
    assert ProtectedHeaders(protected).other_spellings(sent) == others


@pytest.mark.parametrize(
    "character", ["\0", " ", "\t", "\n", "\r", "/", "(", '"', "\x7f", "\u00e9", "\u212a"]
)
@pytest.mark.parametrize("name", ["x-jwt-roles{}", "{}x-jwt-roles", "x{}y", "{}"])
def test_a_name_that_is_no_token_is_refused(character: str, name: str) -> None:
    with pytest.raises(Refused) as refused:
        ROLES.other_spellings(["accept", name.format(character)])
    assert refused.value.reason is Reason.RULE_DENIED
    assert "a character that no name may have" in refused.value.message


def spellings(count: int) -> list[str]:
    found = [
        f"x{one}jwt{two}roles" for one in PUNCTUATION for two in PUNCTUATION if one + two != "--"
    ]
    return found[:count]


def test_as_many_are_removed_as_a_client_may_send_by_mistake() -> None:
    assert len(ROLES.other_spellings(spellings(MAX_SPELLINGS))) == MAX_SPELLINGS


def test_more_are_refused() -> None:
    with pytest.raises(Refused) as refused:
        ROLES.other_spellings(spellings(MAX_SPELLINGS + 1))
    assert refused.value.reason is Reason.RULE_DENIED
    assert refused.value.message == (
        "33 headers are other spellings of headers that only the proxy may set, and at most 32 are "
        "removed; send none"
    )


def test_the_most_headers_that_are_taken_cost_little() -> None:
    """Thousands of names, each with punctuation; the limit is lax for a busy machine."""
    sent = [f"a.{number}" for number in range(MOST_HEADER_BYTES // 8)]
    began = time.process_time()
    assert ROLES.other_spellings(sent) == ()
    assert time.process_time() - began < 0.05


@given(st.text())
def test_folding_never_fails_and_changes_nothing_twice(name: str) -> None:
    assert folded(folded(name)) == folded(name)
