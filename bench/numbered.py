"""Tokens by number, made in a few microseconds: the same number gives the same token."""

import base64
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Final

from bench.work import AUDIENCE, SECRET, SUBJECT

_LIFETIME: Final = 86_400
_SIGNATURE: Final = 256
"""Bytes of one, by a key of 2048 bits."""


class NumberedTokens:
    """Tokens of the benchmark's consumer, and such as only look like tokens of these issuers."""

    def __init__(self, *issuers: str) -> None:
        now = int(time.time())
        claims = {**SUBJECT, "aud": AUDIENCE, "iat": now, "exp": now + _LIFETIME}
        self._secret = SECRET.encode()
        self._header = _encoded({"alg": "HS256"})
        self._claims = _opened({"key": "bench", **claims})
        self._issued = {issuer: _opened({"iss": issuer, **claims}) for issuer in issuers}

    def valid(self, number: int) -> str:
        """A token that passes."""
        signed = f"{self._header}.{self._numbered(self._claims, number)}"
        signature = hmac.digest(self._secret, signed.encode(), "sha256")
        return f"{signed}.{_base64(signature)}"

    def forged(self, number: int, issuer: str, key_id: str) -> str:
        """One of an issuer, by its looks, with a signature of RS256 that nobody made."""
        header = _encoded({"alg": "RS256", "kid": key_id})
        signature = number.to_bytes(_SIGNATURE, "big")
        return f"{header}.{self._numbered(self._issued[issuer], number)}.{_base64(signature)}"

    def _numbered(self, claims: str, number: int) -> str:
        return _base64(f'{claims}"jti":"{number:036}"}}'.encode())


def _opened(claims: Mapping[str, Any]) -> str:
    """These claims as JSON that one more can be put behind."""
    return json.dumps(claims, separators=(",", ":"))[:-1] + ","


def _encoded(members: Mapping[str, Any]) -> str:
    return _base64(json.dumps(members, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
