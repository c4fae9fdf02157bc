"""What a client is told when its request may not pass (RFC 6750, section 3)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sidecar.token.algorithms import ASYMMETRIC
from sidecar.token.reason import Reason
from sidecar.token.request import Refusal

RETRY_AFTER_SECONDS: Final = 1
_LONGEST_DESCRIPTION: Final = 500
_ALGORITHMS: Final = " ".join(sorted(ASYMMETRIC))
"""What a DPoP proof may be signed with."""
_SENDABLE: Final = {ord('"'): "'", ord("\\"): "/"}


class Failure(Enum):
    """The kinds of denial, in gRPC's words."""

    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Denial:
    """The answer that a proxy gives in place of the upstream; header names in lower case."""

    failure: Failure
    http_status: int
    headers: Mapping[str, str]
    body: str


_UNAVAILABLE: Final = frozenset({Reason.KEYS_UNAVAILABLE, Reason.STATE_UNAVAILABLE})
_FORBIDDEN: Final = frozenset(
    {Reason.SCOPE_INSUFFICIENT, Reason.ADDRESS_DENIED, Reason.RULE_DENIED}
)


def deny(refusal: Refusal, realm: str, json_body: bool) -> Denial:
    """The denial of a refusal: status, `WWW-Authenticate` or `Retry-After`, and body."""
    failure, status = _failure(refusal.reason)
    headers = {}
    if failure is Failure.UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    elif refusal.reason not in {Reason.ADDRESS_DENIED, Reason.RULE_DENIED}:
        headers["www-authenticate"] = _challenge(refusal, realm)
    if not json_body:
        return Denial(failure, status, headers, "")
    headers["content-type"] = "application/json"
    body = {
        "error": refusal.reason.name.lower(),
        "reason": f"REASON_{refusal.reason.name}",
        "message": refusal.message,
    }
    return Denial(failure, status, headers, json.dumps(body))


def _failure(reason: Reason) -> tuple[Failure, int]:
    if reason in _UNAVAILABLE:
        return Failure.UNAVAILABLE, 503
    if reason in _FORBIDDEN:
        return Failure.PERMISSION_DENIED, 403
    return Failure.UNAUTHENTICATED, 401


def _challenge(refusal: Refusal, realm: str) -> str:
    if refusal.dpop is not None:
        return (
            f'DPoP realm="{_sendable(realm)}", error="{refusal.dpop}", '
            f'error_description="{_sendable(refusal.message)}", algs="{_ALGORITHMS}"'
        )
    challenge = f'Bearer realm="{_sendable(realm)}"'
    if refusal.reason is Reason.TOKEN_MISSING:
        return challenge
    if refusal.reason is Reason.SCOPE_INSUFFICIENT:
        scope = _sendable(" ".join(refusal.scopes))
        return f'{challenge}, error="insufficient_scope", scope="{scope}"'
    description = _sendable(refusal.message)
    return f'{challenge}, error="invalid_token", error_description="{description}"'


def _sendable(text: str) -> str:
    """The text in the characters that RFC 6750, section 3 allows, cut to a bounded length."""
    text = text[:_LONGEST_DESCRIPTION].translate(_SENDABLE)
    return "".join(one if " " <= one <= "~" else "?" for one in text)
