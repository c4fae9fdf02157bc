"""How a call ends where there is no answer to use.

SidecarError
+-- TokenRefused          the token may not pass
+-- SidecarUnavailable    nothing is known: let nothing through, try again
+-- CallRejected          the call was wrong, which only its author can mend
"""

from typing import Final

import grpc

_UNAVAILABLE: Final = frozenset({"KEYS_UNAVAILABLE", "STATE_UNAVAILABLE"})
_FORBIDDEN: Final = frozenset({"SCOPE_INSUFFICIENT", "ADDRESS_DENIED", "RULE_DENIED"})
_AUTHORIZATION: Final = range(80, 100)
"""The numbers of the contract's reasons of this kind."""
_LONGEST_DESCRIPTION: Final = 500
_SENDABLE: Final = {ord('"'): "'", ord("\\"): "/"}


class SidecarError(Exception):
    """What a call of the sidecar ends with; nothing may pass. No text of it holds a token."""

    http_status: int
    """What an HTTP server answers."""
    grpc_status: grpc.StatusCode
    """What a gRPC server answers."""


class TokenRefused(SidecarError):
    """The token may not pass.

    `reason` is the contract's name without `REASON_`, such as "EXPIRED", or its number in digits
    where it is one of a newer sidecar's. `message` is one sentence for a person; it is not stable.
    `insufficient` says that the call asked for what the token lacks, not the configuration.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        scopes: tuple[str, ...] = (),
        dpop: bool = False,
        insufficient: bool = False,
    ) -> None:
        super().__init__(reason, message)
        self.reason = reason
        self.message = message
        self.http_status, self.grpc_status = _statuses(reason, insufficient)
        self._scopes = scopes
        self._dpop = dpop

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"

    def www_authenticate(self, realm: str) -> str:
        """The value of that header (RFC 6750, section 3; RFC 9449, section 7.1); "" for none."""
        if self.http_status == 503 or (self.http_status == 403 and not self._lacks_scope):
            return ""
        description = f'error_description="{_sendable(self.message)}"'
        if self._dpop and self.reason == "PROOF_INVALID":
            return f'DPoP realm="{_sendable(realm)}", error="invalid_dpop_proof", {description}'
        challenge = f'Bearer realm="{_sendable(realm)}"'
        if self.reason == "TOKEN_MISSING":
            return challenge
        if self._lacks_scope:
            scope = _sendable(" ".join(self._scopes))
            return f'{challenge}, error="insufficient_scope", scope="{scope}"'
        return f'{challenge}, error="invalid_token", {description}'

    @property
    def _lacks_scope(self) -> bool:
        return self.reason == "SCOPE_INSUFFICIENT"


class SidecarUnavailable(SidecarError):
    """Nothing is known: the sidecar is down, too slow or overloaded, or makes no sense."""

    http_status = 503
    grpc_status = grpc.StatusCode.UNAVAILABLE


class CallRejected(SidecarError):
    """The call was wrong, which only its author can mend.

    `error_reason` is the contract's name without `ERROR_REASON_`, "" where the sidecar gave none.
    """

    http_status = 500
    grpc_status = grpc.StatusCode.INTERNAL

    def __init__(self, code: grpc.StatusCode, error_reason: str, message: str) -> None:
        super().__init__(code, error_reason, message)
        self.code = code
        self.error_reason = error_reason
        self.message = message

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.code.name, self.error_reason, self.message)))


def _statuses(reason: str, insufficient: bool) -> tuple[int, grpc.StatusCode]:
    if reason in _UNAVAILABLE:
        return 503, grpc.StatusCode.UNAVAILABLE
    if (
        insufficient
        or reason in _FORBIDDEN
        or (reason.isdecimal() and int(reason) in _AUTHORIZATION)
    ):
        return 403, grpc.StatusCode.PERMISSION_DENIED
    return 401, grpc.StatusCode.UNAUTHENTICATED


def _sendable(text: str) -> str:
    """The text in the characters that RFC 6750, section 3 allows, cut to a bounded length."""
    text = text[:_LONGEST_DESCRIPTION].translate(_SENDABLE)
    return "".join(one if " " <= one <= "~" else "?" for one in text)
