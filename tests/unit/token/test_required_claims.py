"""Claims that must be there, and claims that must have one of some values."""

from time import process_time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.token.claims import find, required_claims
from sidecar.token.reason import Reason
from tests.tokens import ABSENT, assert_passes, assert_refused, issuer, judge, mint

ROLES = {"realm_access": {"roles": ["admin", "ops"], "level": 3}}
DOTTED = {"https://corp.example/tenant": "blue", "a.b": {"c.d": 1}, "a": {"b": {"c": {"d": 2}}}}


@pytest.mark.parametrize(
    ("claims", "demanded"),
    [
        pytest.param({"tenant": "blue"}, {"tenant": "blue"}, id="a string"),
        pytest.param({"tenant": "blue"}, {"tenant": ["red", "blue"]}, id="one of two strings"),
        pytest.param({"tenant": ["blue", "red"]}, {"tenant": "blue"}, id="an element"),
        pytest.param({"tenant": ["x", "red"]}, {"tenant": ["red", "blue"]}, id="any of any"),
        pytest.param({"level": 3}, {"level": 3}, id="a number"),
        pytest.param({"level": 3.0}, {"level": 3}, id="the same number as a float"),
        pytest.param({"admin": True}, {"admin": True}, id="true"),
        pytest.param({"admin": False}, {"admin": False}, id="false"),
        pytest.param({"end": None}, {"end": None}, id="null"),
        pytest.param({"end": ""}, {"end": ""}, id="an empty string"),
        pytest.param(ROLES, {"realm_access.roles": "ops"}, id="by path"),
        pytest.param(ROLES, {"realm_access.roles": ["ops", "dev"]}, id="by path, one of two"),
        pytest.param(DOTTED, {"https://corp.example/tenant": "blue"}, id="a name with dots"),
        pytest.param(DOTTED, {"a.b.c.d": 1}, id="the longest name first"),
        pytest.param({"a": 1, "b": 2}, {"a": 1, "b": 2}, id="two claims"),
    ],
)
def test_a_claim_that_has_the_value_passes(
    claims: dict[str, Any], demanded: dict[str, Any]
) -> None:
    assert_passes(judge(mint(**claims), claims=demanded))
    assert_passes(judge(mint(**claims), issuer(claims=required_claims(demanded))))


@pytest.mark.parametrize(
    ("claims", "demanded", "reason", "words"),
    [
        pytest.param({}, {"tenant": "blue"}, Reason.CLAIM_MISSING, '"tenant" is mis', id="absent"),
        pytest.param(
            {"tenant": None}, {"tenant": "blue"}, Reason.CLAIM_MISSING, 'be "blue"', id="null"
        ),
        pytest.param({}, {"end": None}, Reason.CLAIM_MISSING, "be null", id="absent and not null"),
        pytest.param(
            {"tenant": "red"},
            {"tenant": ["blue", "green"]},
            Reason.CLAIM_MISMATCH,
            'is "red"; it must be one of ["blue", "green"]',
            id="another string",
        ),
        pytest.param(
            {"tenant": "Blue"}, {"tenant": "blue"}, Reason.CLAIM_MISMATCH, '"Blue"', id="case"
        ),
        pytest.param(
            {"tenant": []}, {"tenant": "blue"}, Reason.CLAIM_MISMATCH, "is []", id="no element"
        ),
        pytest.param(
            {"tenant": [["blue"]]}, {"tenant": "blue"}, Reason.CLAIM_MISMATCH, "[[", id="nested"
        ),
        pytest.param(
            {"tenant": {"blue": 1}}, {"tenant": "blue"}, Reason.CLAIM_MISMATCH, "{", id="a name"
        ),
        pytest.param(
            {"admin": 1}, {"admin": True}, Reason.CLAIM_MISMATCH, "is 1; it must be true", id="1"
        ),
        pytest.param({"admin": True}, {"admin": 1}, Reason.CLAIM_MISMATCH, "is true", id="true"),
        pytest.param({"admin": 0}, {"admin": False}, Reason.CLAIM_MISMATCH, "is 0", id="0"),
        pytest.param(
            {"admin": [1]}, {"admin": True}, Reason.CLAIM_MISMATCH, "[1]", id="1 as an element"
        ),
        pytest.param(
            {"admin": "true"}, {"admin": True}, Reason.CLAIM_MISMATCH, '"true"', id="a word"
        ),
        pytest.param({"level": "3"}, {"level": 3}, Reason.CLAIM_MISMATCH, '"3"', id="digits"),
        pytest.param(
            {"level": 9007199254740993},
            {"level": 9007199254740992.0},
            Reason.CLAIM_MISMATCH,
            "9007199254740993",
            id="a number that a double can't hold",
        ),
        pytest.param(
            ROLES, {"realm_access.role": "ops"}, Reason.CLAIM_MISSING, ".role", id="another path"
        ),
        pytest.param(
            ROLES, {"realm_access.roles.0": "ops"}, Reason.CLAIM_MISSING, ".0", id="an index"
        ),
        pytest.param(
            DOTTED, {"a.b.c.d": 2}, Reason.CLAIM_MISMATCH, "is 1", id="the shorter name's value"
        ),
        pytest.param(
            {"a": 1}, {"a": 1, "b": 2}, Reason.CLAIM_MISSING, '"b"', id="the second of two claims"
        ),
    ],
)
def test_a_claim_that_has_it_not_is_refused(
    claims: dict[str, Any], demanded: dict[str, Any], reason: Reason, words: str
) -> None:
    assert_refused(judge(mint(**claims), claims=demanded), reason, words)
    party = issuer(claims=required_claims(demanded))
    assert_refused(judge(mint(**claims), party), reason, words)


def test_a_path_has_at_most_1024_characters() -> None:
    assert required_claims({"a" * 1024: 1})
    with pytest.raises(ValueError, match="more than 1024 characters"):
        required_claims({"a" * 1025: 1})


@pytest.mark.parametrize("value", [[], {}, [{}], [["blue"]], {"blue": 1}, ["blue", []]])
def test_a_value_that_no_claim_can_equal_is_an_error(value: Any) -> None:
    with pytest.raises(ValueError, match='"tenant" must be a string'):
        required_claims({"tenant": value})


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        pytest.param("sub", {"sub": ABSENT}, id="absent"),
        pytest.param("tenant", {"tenant": None}, id="null"),
        pytest.param("org.tenant", {"org": {}}, id="absent by path"),
        pytest.param("org.tenant", {"org": "tenant"}, id="no object on the path"),
        pytest.param("org.tenant", {"org": None}, id="null on the path"),
        pytest.param("", {}, id="an empty name"),
        pytest.param(".", {"": {"": 1}}, id="a dot"),
    ],
)
def test_a_required_claim_must_be_there(path: str, claims: dict[str, Any]) -> None:
    verdict = judge(mint(**claims), issuer(required=("exp", path)))
    assert_refused(verdict, Reason.CLAIM_MISSING, f'"{path}" is required', '"exp"')


@pytest.mark.parametrize(
    ("path", "claims"),
    [
        ("tenant", {"tenant": ""}),
        ("tenant", {"tenant": 0}),
        ("tenant", {"tenant": False}),
        ("org.tenant", {"org": {"tenant": []}}),
        ("org.tenant", {"org.tenant": {}}),
    ],
)
def test_a_required_claim_may_have_any_value(path: str, claims: dict[str, Any]) -> None:
    assert_passes(judge(mint(**claims), issuer(required=("exp", path))))


@pytest.mark.parametrize("name", ["sub", "jti"])
@pytest.mark.parametrize("value", [1, None, True, ["alice"], {"name": "alice"}])
def test_a_registered_name_must_be_a_string(name: str, value: Any) -> None:
    verdict = judge(mint(**{name: value}))
    assert_refused(verdict, Reason.CLAIM_MISMATCH, f"claim {name} is", "must be a string")


def test_more_claims_may_have_to_be_strings() -> None:
    party = issuer(texts=("iss", "sub", "jti", "client_id"))
    assert_passes(judge(mint(client_id="app"), party))
    assert_refused(judge(mint(client_id=7), party), Reason.CLAIM_MISMATCH, "client_id is a number")
    assert_passes(judge(mint(client_id=7)))


@pytest.mark.parametrize("iss", [1, None, [], {}])
def test_an_iss_that_is_no_string_is_refused_where_it_is_not_compared(iss: object) -> None:
    anyone = issuer("any", None)
    verdict = judge(mint(iss=iss), anyone, issuer_name="any")
    assert_refused(verdict, Reason.CLAIM_MISMATCH, "claim iss is")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("a.b.c.d", 1),
        ("a.b", {"c.d": 1}),
        ("a", {"b": {"c": {"d": 2}}}),
        ("a.b.c", {"d": 2}),
        ("a.x", None),
        (".a", None),
        ("a.", None),
        ("", None),
    ],
)
def test_a_path_is_matched_whole_first_at_every_level(path: str, value: Any) -> None:
    assert find(DOTTED, path) == value


_TREES = st.recursive(
    st.none() | st.integers(0, 1),
    lambda inner: st.dictionaries(st.sampled_from(["", "a", "a.a", "b", ".", "a."]), inner),
)


@given(st.dictionaries(st.sampled_from(["a", "a.a", "b", "."]), _TREES), st.text("ab."))
def test_a_path_finds_the_first_of_all_ways_to_split_it(claims: dict[str, Any], path: str) -> None:
    assert find(claims, path) == next(_every_way(claims, path), None)


def _every_way(claims: Any, path: str) -> Any:
    """What each way finds, those with the longest names first."""
    if isinstance(claims, dict):
        if path in claims:
            yield claims[path]
        for end in range(len(path) - 1, 0, -1):
            if path[end] == ".":
                yield from _every_way(claims.get(path[:end]), path[end + 1 :])


def test_a_path_is_looked_for_once_in_each_object() -> None:
    """1 ms or so; 0.2 s where each object is asked for each beginning of the path."""
    claims: dict[str, Any] = {}
    for _ in range(9):
        claims = {"a": claims, "a.a": claims}
    started = process_time()
    assert all(find(claims, ".".join("a" * 500) + f".{number}") is None for number in range(50))
    assert process_time() - started < 2
