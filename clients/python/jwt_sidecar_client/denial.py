"""What the caller of a service is told when its request may not pass.

Of SidecarUnavailable, CallRejected and a mistake of the service it learns nothing of the inside;
their cause is logged.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import grpc

from jwt_sidecar_client.errors import SidecarError, SidecarUnavailable, TokenRefused

RETRY_AFTER_SECONDS: Final = 1
_LOG: Final = logging.getLogger("jwt_sidecar_client")


@dataclass(frozen=True)
class HttpDenial:
    """An HTTP answer; `content` is its body, a JSON object."""

    status: int
    headers: Mapping[str, str]
    content: Mapping[str, str]


def http_denial(error: SidecarError, realm: str) -> HttpDenial:
    """The answer for a request that ended so (RFC 6750, section 3)."""
    headers = {}
    if error.http_status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if not isinstance(error, TokenRefused):
        code, message = _told(error)
        return HttpDenial(error.http_status, headers, {"error": code, "message": message})
    challenge = error.www_authenticate(realm)
    if challenge:
        headers["WWW-Authenticate"] = challenge
    content = {
        "error": error.reason.lower(),
        "reason": f"REASON_{error.reason}",
        "message": error.message,
    }
    return HttpDenial(error.http_status, headers, content)


def grpc_denial(error: Exception) -> tuple[grpc.StatusCode, str]:
    """The status and its message for a call that ended so.

    gRPC itself would tell the caller the text of an exception, such as one of `caller_token`.
    """
    if isinstance(error, TokenRefused):
        return error.grpc_status, f"{error.reason}: {error.message}"
    status = error.grpc_status if isinstance(error, SidecarError) else grpc.StatusCode.INTERNAL
    return status, _told(error)[1]


def _told(error: Exception) -> tuple[str, str]:
    _LOG.error("a token can't be checked: %s: %s", type(error).__name__, error)
    if isinstance(error, SidecarUnavailable):
        return "sidecar_unavailable", "the token can't be checked now"
    return "internal_error", "the token can't be checked"
