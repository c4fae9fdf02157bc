"""What a client is told when its request may not pass (RFC 6750, section 3)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from sidecar.authorization.generic import GENERIC
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


class Details(Enum):
    """How much a denial tells the client about its cause."""

    FULL = "full"
    """The reason and the whole message, which names issuers, rules and values of claims."""
    REASON = "reason"
    """The reason and a sentence that is the same for everybody."""
    NONE = "none"
    """Nothing beyond the status and a challenge that only names scheme and realm."""


_UNAVAILABLE: Final = frozenset({Reason.KEYS_UNAVAILABLE, Reason.STATE_UNAVAILABLE})
_FORBIDDEN: Final = frozenset(
    {Reason.SCOPE_INSUFFICIENT, Reason.ADDRESS_DENIED, Reason.RULE_DENIED}
)


def deny(refusal: Refusal, realm: str, json_body: bool, details: Details = Details.FULL) -> Denial:
    """Return the denial of a refusal: status, `WWW-Authenticate` or `Retry-After`, and body."""
    failure, status = _failure(refusal)
    headers = {}
    if failure is Failure.UNAVAILABLE:
        headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    else:
        challenge = _challenge(refusal, failure, realm, details)
        if challenge:
            headers["www-authenticate"] = challenge
    if not json_body or details is Details.NONE:
        return Denial(failure, status, headers, "")
    headers["content-type"] = "application/json"
    body = {
        "error": refusal.reason.name.lower(),
        "reason": f"REASON_{refusal.reason.name}",
        "message": _told(refusal, details),
    }
    return Denial(failure, status, headers, json.dumps(body))


def _failure(refusal: Refusal) -> tuple[Failure, int]:
    if refusal.reason in _UNAVAILABLE:
        return Failure.UNAVAILABLE, 503
    if refusal.reason in _FORBIDDEN or refusal.insufficient:
        return Failure.PERMISSION_DENIED, 403
    return Failure.UNAUTHENTICATED, 401


def _challenge(refusal: Refusal, failure: Failure, realm: str, details: Details) -> str:
    """Return the challenge; empty if another token of the same kind would not help."""
    scheme = "DPoP" if refusal.dpop is not None else "Bearer"
    challenge = f'{scheme} realm="{_sendable(realm)}"'
    algorithms = f', algs="{_ALGORITHMS}"' if refusal.dpop is not None else ""
    if failure is Failure.PERMISSION_DENIED:
        # A client needs the scopes to ask for them (RFC 6750, section 3), so `reason` names them.
        if refusal.reason is not Reason.SCOPE_INSUFFICIENT or details is Details.NONE:
            return ""
        scope = _sendable(" ".join(refusal.scopes))
        return f'{challenge}, error="insufficient_scope", scope="{scope}"'
    if refusal.reason is Reason.TOKEN_MISSING or details is Details.NONE:
        return f"{challenge}{algorithms}"
    error, description = refusal.dpop or "invalid_token", _sendable(_told(refusal, details))
    return f'{challenge}, error="{error}", error_description="{description}"{algorithms}'


def _told(refusal: Refusal, details: Details) -> str:
    return refusal.message if details is Details.FULL else GENERIC[refusal.reason]


def _sendable(text: str) -> str:
    """The text in the characters that RFC 6750, section 3 allows, cut to a bounded length."""
    text = text[:_LONGEST_DESCRIPTION].translate(_SENDABLE)
    return "".join(one if " " <= one <= "~" else "?" for one in text)
