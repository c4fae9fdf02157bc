import json
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.authorization.denial import Denial, Details, Failure, deny
from sidecar.authorization.generic import GENERIC
from sidecar.token.reason import DpopError, Reason
from sidecar.token.request import Refusal

INVALID_TOKEN = 'Bearer realm="shop", error="invalid_token", error_description="why"'
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
    refusal = replace(
        refusal, dpop=changed.pop("dpop", None), insufficient=changed.pop("insufficient", False)
    )
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


SECRETS = ("https://login.example", "corp", "claims.tenant == 'blue'", "alice")
"""What a message may hold of the configuration or the token."""


def told(answer: Denial) -> str:
    return " ".join([*answer.headers.values(), answer.body])


@pytest.mark.parametrize("json_body", [pytest.param(True, id="body"), pytest.param(False, id="no")])
@pytest.mark.parametrize("reason", [pytest.param(one, id=one.name) for one in Reason])
def test_with_the_reason_alone_the_answer_is_the_same_for_every_message(
    reason: Reason, json_body: bool
) -> None:
    asked: dict[str, Any] = {"json_body": json_body, "details": Details.REASON}
    answer = denial(reason, ", ".join(SECRETS), **asked)
    assert answer == denial(reason, "", **asked)
    assert not any(one in told(answer) for one in SECRETS)
    full = denial(reason, json_body=json_body)
    assert (answer.failure, answer.http_status) == (full.failure, full.http_status)
    assert answer.headers.keys() == full.headers.keys()
    if json_body:
        assert json.loads(answer.body) == {
            "error": reason.name.lower(),
            "reason": f"REASON_{reason.name}",
            "message": GENERIC[reason],
        }


@pytest.mark.parametrize("reason", [pytest.param(one, id=one.name) for one in Reason])
def test_without_details_only_status_and_scheme_are_left(reason: Reason) -> None:
    failure, status, _ = SPECIAL.get(reason, CHALLENGED)
    headers = {
        Failure.UNAUTHENTICATED: {"www-authenticate": 'Bearer realm="shop"'},
        Failure.PERMISSION_DENIED: {},
        Failure.UNAVAILABLE: {"retry-after": "1"},
    }[failure]
    answer = denial(reason, ", ".join(SECRETS), details=Details.NONE)
    assert answer == Denial(failure, status, headers, "")


def test_every_reason_has_one_plain_sentence() -> None:
    assert GENERIC.keys() == set(Reason)
    for sentence in GENERIC.values():
        assert re.fullmatch(r"[a-z][ A-Za-z-';]+", sentence)


@pytest.mark.parametrize(
    ("details", "description"),
    [
        pytest.param(Details.FULL, ', error="invalid_dpop_proof", error_description="why"', id="f"),
        pytest.param(
            Details.REASON,
            f', error="invalid_dpop_proof", error_description="{GENERIC[Reason.PROOF_INVALID]}"',
            id="reason",
        ),
        pytest.param(Details.NONE, "", id="none"),
    ],
)
def test_a_dpop_challenge_always_names_scheme_and_algorithms(
    details: Details, description: str
) -> None:
    answer = denial(Reason.PROOF_INVALID, dpop=DpopError.PROOF, details=details)
    challenge, algorithms = answer.headers["www-authenticate"].split(", algs=")
    assert challenge == f'DPoP realm="shop"{description}'
    assert "ES256" in algorithms


@pytest.mark.parametrize(
    "reason", [Reason.AUDIENCE_MISMATCH, Reason.CLAIM_MISSING, Reason.CLAIM_MISMATCH]
)
def test_what_the_request_asked_for_is_forbidden_and_no_challenge(reason: Reason) -> None:
    answer = denial(reason, insufficient=True, json_body=False)
    assert answer == Denial(*FORBIDDEN, "")
