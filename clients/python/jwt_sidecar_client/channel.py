"""What every channel to a sidecar has: retries, keep-alive, address and deadline."""

import json
import math
import os
import re
from collections.abc import Callable
from typing import Any, Final

DEFAULT_ADDRESS: Final = "unix:/run/jwt-sidecar/sidecar.sock"
DEFAULT_TIMEOUT: Final = 1.0
_SERVICE: Final = "sidecar.v1.TokenService"
_RETRIED: Final = ("ValidateToken", "ExplainToken", "IssueToken", "RevokeToken", "GetJwks")
"""Not RefreshToken: a refresh token works once."""

SERVICE_CONFIG: Final[dict[str, Any]] = {
    "methodConfig": [
        {
            "name": [{"service": _SERVICE, "method": method} for method in _RETRIED],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.05s",
                "maxBackoff": "0.5s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}

OPTIONS: Final[tuple[tuple[str, str | int], ...]] = (
    ("grpc.service_config", json.dumps(SERVICE_CONFIG)),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 0),
    # Tokens are for the sidecar alone, whatever proxy the environment names.
    ("grpc.enable_http_proxy", 0),
    # A sidecar that restarted is found again at once; gRPC would wait for up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

_CALLER_TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")

CallerToken = str | Callable[[], str] | None
Metadata = tuple[tuple[str, str], ...]


def address_or_default(address: str | None) -> str:
    """The address, else the environment's, else the sidecar's usual socket."""
    return address or os.environ.get("JWT_SIDECAR_ADDRESS") or DEFAULT_ADDRESS


def checked_timeout(timeout: float) -> float:
    """Seconds for a call; raises ValueError unless they are a positive, finite number."""
    if not (timeout > 0 and math.isfinite(timeout)):
        raise ValueError("timeout must be a positive number of seconds")
    return timeout


def metadata(caller_token: CallerToken) -> Metadata:
    """What tells the sidecar who calls; raises ValueError for what is no token."""
    token = caller_token() if callable(caller_token) else caller_token
    if token is None:
        return ()
    # Looked at here, since gRPC's own complaint would quote it.
    if not _CALLER_TOKEN.fullmatch(token):
        raise ValueError("the caller token must be a token alone (RFC 6750, section 2.1)")
    return (("authorization", f"Bearer {token}"),)
