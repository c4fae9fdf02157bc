import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.authorization.denial import Denial, Details, Failure, deny
from sidecar.authorization.generic import GENERIC
from sidecar.token.reason import DpopError, Reason
from sidecar.token.request import Refusal

INVALID_TOKEN = 'Bearer realm="shop", error="invalid_token", error_description="why"'
MARKER = "https://corp.example/keys.json"
"""Stands for what messages say of the configuration and the token."""
CHALLENGED = (Failure.UNAUTHENTICATED, 401, {"www-authenticate": INVALID_TOKEN})
FORBIDDEN: tuple[Failure, int, dict[str, str]] = (Failure.PERMISSION_DENIED, 403, {})
UNAVAILABLE = (Failure.UNAVAILABLE, 503, {"retry-after": "1"})
SPECIAL = {
    Reason.TOKEN_MISSING: (
        Failure.UNAUTHENTICATED,
        401,
        {"www-authenticate": 'Bearer realm="shop"'},
    ),
    Reason.SCOPE_INSUFFICIENT: (
        Failure.PERMISSION_DENIED,
        403,
        {"www-authenticate": 'Bearer realm="shop", error="insufficient_scope", scope="a:r b:w"'},
    ),
    Reason.ADDRESS_DENIED: FORBIDDEN,
    Reason.RULE_DENIED: FORBIDDEN,
    Reason.KEYS_UNAVAILABLE: UNAVAILABLE,
    Reason.STATE_UNAVAILABLE: UNAVAILABLE,
}


def denial(reason: Reason = Reason.EXPIRED, message: str = "why", **changed: Any) -> Denial:
    """The denial of a refusal, in the realm `shop` and with a JSON body."""
    refusal = Refusal(reason, message, "corp", changed.pop("scopes", ("a:r", "b:w")))
    json_body, details = changed.pop("json_body", True), changed.pop("details", Details.FULL)
    return deny(refusal, changed.pop("realm", "shop"), json_body, details)


@pytest.mark.parametrize("reason", [pytest.param(one, id=one.name) for one in Reason])
def test_every_reason(reason: Reason) -> None:
    failure, status, headers = SPECIAL.get(reason, CHALLENGED)
    answer = denial(reason)
    assert (answer.failure, answer.http_status) == (failure, status)
    assert answer.headers == {**headers, "content-type": "application/json"}
    assert json.loads(answer.body) == {
        "error": reason.name.lower(),
        "reason": f"REASON_{reason.name}",
        "message": "why",
    }


@pytest.mark.parametrize("reason", [pytest.param(one, id=one.name) for one in Reason])
def test_without_a_body_only_the_body_is_missing(reason: Reason) -> None:
    failure, status, headers = SPECIAL.get(reason, CHALLENGED)
    assert denial(reason, json_body=False) == Denial(failure, status, headers, "")


@pytest.mark.parametrize("json_body", [True, False])
@pytest.mark.parametrize("reason", [pytest.param(one, id=one.name) for one in Reason])
def test_the_reason_alone_says_nothing_of_configuration_and_token(
    reason: Reason, json_body: bool
) -> None:
    answer = denial(reason, MARKER, json_body=json_body, details=Details.REASON)
    assert MARKER not in f"{answer.headers} {answer.body}"
    failure, status, headers = SPECIAL.get(reason, CHALLENGED)
    assert (answer.failure, answer.http_status) == (failure, status)
    told = {name: value.replace("why", GENERIC[reason]) for name, value in headers.items()}
    if not json_body:
        assert (answer.headers, answer.body) == (told, "")
        return
    assert answer.headers == {**told, "content-type": "application/json"}
    assert json.loads(answer.body) == {
        "error": reason.name.lower(),
        "reason": f"REASON_{reason.name}",
        "message": GENERIC[reason],
    }


@pytest.mark.parametrize("reason", [pytest.param(one, id=one.name) for one in Reason])
def test_no_details_leave_status_and_challenge(reason: Reason) -> None:
    failure, status, _ = SPECIAL.get(reason, CHALLENGED)
    headers = {
        Failure.UNAUTHENTICATED: {"www-authenticate": 'Bearer realm="shop"'},
        Failure.PERMISSION_DENIED: {},
        Failure.UNAVAILABLE: {"retry-after": "1"},
    }[failure]
    answer = denial(reason, MARKER, details=Details.NONE)
    assert answer == Denial(failure, status, headers, "")


@pytest.mark.parametrize("details", Details)
def test_a_dpop_challenge_says_as_much_as_it_may(details: Details) -> None:
    refusal = Refusal(Reason.PROOF_INVALID, MARKER, dpop=DpopError.PROOF)
    challenge = deny(refusal, "shop", False, details).headers["www-authenticate"]
    assert challenge.startswith('DPoP realm="shop"')
    assert 'algs="' in challenge
    assert (MARKER in challenge) is (details is Details.FULL)
    assert ('error="invalid_dpop_proof"' in challenge) is (details is not Details.NONE)


@pytest.mark.parametrize("details", Details)
@pytest.mark.parametrize("reason", [Reason.AUDIENCE_MISMATCH, Reason.CLAIM_MISSING])
def test_what_the_request_requires_beyond_a_good_token_is_forbidden(
    reason: Reason, details: Details
) -> None:
    answer = deny(Refusal(reason, "why", insufficient=True), "shop", False, details)
    assert answer == Denial(Failure.PERMISSION_DENIED, 403, {}, "")


@pytest.mark.parametrize(
    ("message", "description"),
    [
        pytest.param('iss is "a"', "iss is 'a'", id="quotes"),
        pytest.param("a\\b", "a/b", id="backslash"),
        pytest.param("a\r\nset-cookie: b", "a??set-cookie: b", id="line break"),
        pytest.param("a\x00\x7f", "a??", id="control characters"),
        pytest.param("Zoë", "Zo?", id="letters beyond ASCII"),
        pytest.param("a" * 500, "a" * 500, id="500 characters"),
        pytest.param("a" * 501, "a" * 500, id="501 characters"),
        pytest.param("", "", id="empty"),
    ],
)
def test_description(message: str, description: str) -> None:
    challenge = denial(message=message).headers["www-authenticate"]
    assert challenge == (
        f'Bearer realm="shop", error="invalid_token", error_description="{description}"'
    )


@pytest.mark.parametrize(
    ("realm", "sent"),
    [
        pytest.param("shop of Zoë", "shop of Zo?", id="letters beyond ASCII"),
        pytest.param('a", error="b', "a', error='b", id="quotes"),
        pytest.param("a\r\nb", "a??b", id="line break"),
        pytest.param("a\\", "a/", id="backslash"),
    ],
)
def test_realm(realm: str, sent: str) -> None:
    answer = denial(Reason.TOKEN_MISSING, realm=realm)
    assert answer.headers["www-authenticate"] == f'Bearer realm="{sent}"'


@given(st.sampled_from(Reason), st.text(), st.text(), st.lists(st.text()).map(tuple))
def test_every_header_is_printable_ascii_with_its_quotes_in_pairs(
    reason: Reason, message: str, realm: str, scopes: tuple[str, ...]
) -> None:
    answer = denial(reason, message, realm=realm, scopes=scopes)
    for value in answer.headers.values():
        assert re.fullmatch(r"[ -~]+", value)
        assert len(value) < 2000
        assert re.fullmatch(r'[^"]*|Bearer \w+="[^"\\]*"(, \w+="[^"\\]*")*', value)


@given(st.text())
@example("half a surrogate pair: \ud800")
def test_every_body_is_json_in_utf_8(message: str) -> None:
    body = denial(message=message).body.encode("utf-8")
    assert json.loads(body)["message"] == message
