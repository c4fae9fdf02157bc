"""Why a token was refused, and why a call failed: the contract's enums, as plain Python."""

from collections.abc import Collection
from enum import IntEnum, StrEnum

from sidecar.token.words import listed, quoted


class Reason(IntEnum):
    """Why a token was refused. Numbers and names are those of `sidecar.v1.Reason`."""

    UNSPECIFIED = 0

    TOKEN_MISSING = 1
    TOKEN_MALFORMED = 2
    TOKEN_TOO_LARGE = 3
    TYPE_NOT_ALLOWED = 4
    CRITICAL_HEADER_UNKNOWN = 5
    ALGORITHM_NOT_ALLOWED = 6

    ISSUER_UNKNOWN = 20
    ISSUER_MISMATCH = 21
    KEY_ID_MISSING = 22
    KEY_NOT_FOUND = 23
    KEY_MISMATCH = 24
    KEY_TOO_WEAK = 25
    KEYS_UNAVAILABLE = 26
    SIGNATURE_INVALID = 27
    CONSUMER_KEY_MISSING = 28
    CONSUMER_UNKNOWN = 29

    EXPIRED = 40
    NOT_YET_VALID = 41
    ISSUED_IN_FUTURE = 42
    TOO_OLD = 43
    LIFETIME_TOO_LONG = 44
    AUDIENCE_MISMATCH = 45
    CLAIM_MISSING = 46
    CLAIM_MISMATCH = 47

    REVOKED = 60
    SUBJECT_UNKNOWN = 61
    SUBJECT_DISABLED = 62
    STATE_UNAVAILABLE = 63
    REPLAYED = 64

    SCOPE_INSUFFICIENT = 80
    ADDRESS_DENIED = 81
    PROOF_INVALID = 82
    RULE_DENIED = 83


class ErrorReason(IntEnum):
    """Why a call failed. Numbers and names are those of `sidecar.v1.ErrorReason`."""

    UNSPECIFIED = 0
    FIELD_INVALID = 1
    NAME_RESERVED = 2
    NOT_CONFIGURED = 3
    ALREADY_EXISTS = 4
    READ_ONLY = 5
    NOT_GRANTABLE = 6
    KEY_UNFIT = 7
    CALLER_DENIED = 8
    NOT_SERVED_HERE = 9
    CONFIG_INVALID = 10
    STORE_UNAVAILABLE = 11
    LIMIT_EXCEEDED = 12


class DpopError(StrEnum):
    """What a client that uses DPoP is told in `error` (RFC 9449, section 7.1)."""

    PROOF = "invalid_dpop_proof"
    TOKEN = "invalid_token"


class Refused(Exception):
    """A check failed: the token may not pass.

    The message is one sentence for a person and never holds the token or a secret. `dpop` is set
    where the client is to use DPoP, or to use it in another way. `insufficient` is set if the
    request, not the issuer or consumer, requires what the token lacks.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        dpop: DpopError | None = None,
        insufficient: bool = False,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.dpop = dpop
        self.insufficient = insufficient


class CallFailed(Exception):
    """A request that can't be answered, as opposed to a token that is refused.

    `field` is the request's field at fault, empty where none is.
    """

    def __init__(self, reason: ErrorReason, message: str, field: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field


def not_configured(what: str, name: str, known: Collection[str], field: str) -> CallFailed:
    """Of a request whose `field` names what is not there, such as a signer; NOT_CONFIGURED."""
    return CallFailed(
        ErrorReason.NOT_CONFIGURED,
        f"no {what} named {quoted(name)} is configured; there are {listed(known)}",
        field,
    )
