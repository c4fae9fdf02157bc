"""Tokens of the consumer of tests/clients/sidecar.yaml, with any claims."""

import base64
import hashlib
import hmac
import json
from typing import Any, Final

_SECRET: Final = b"an-example-secret-of-32-bytes-or-more"


def of_jack(**claims: Any) -> str:
    """A token with these claims, signed by HS256 (RFC 7518, section 3.2)."""
    header = _base64url(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    payload = _base64url(json.dumps({"key": "user-key", **claims}).encode())
    signature = hmac.digest(_SECRET, f"{header}.{payload}".encode(), hashlib.sha256)
    return f"{header}.{payload}.{_base64url(signature)}"


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
