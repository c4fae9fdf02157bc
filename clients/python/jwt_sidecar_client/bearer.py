"""The token of a request: one `Authorization: Bearer` header (RFC 6750, section 2.1)."""

import re
from collections.abc import Sequence
from typing import Final

from jwt_sidecar_client.errors import TokenRefused

_BEARER: Final = re.compile(r"bearer(?![!#$%&'*+.^_`|~0-9a-z-])", re.IGNORECASE | re.ASCII)
"""A scheme of this name, and not one that begins so (RFC 9110, section 5.6.2)."""
_B64TOKEN: Final = re.compile(r"[A-Za-z0-9\-._~+/]+=*")


def bearer_token(authorization: Sequence[str]) -> str:
    """The token behind the scheme; raises TokenRefused without asking the sidecar.

    `authorization` has the value of every such header of the request: one of them is read, of more
    none, since who comes after might read another.
    """
    if len(authorization) > 1:
        raise TokenRefused("TOKEN_MALFORMED", "the request has more than one Authorization header")
    value = authorization[0] if authorization else ""
    scheme = _BEARER.match(value)
    rest = value[scheme.end() :] if scheme else ""
    token = rest.lstrip(" ")
    if not token:
        raise TokenRefused("TOKEN_MISSING", "the request shows no Bearer token")
    if token == rest or not _B64TOKEN.fullmatch(token):
        raise TokenRefused("TOKEN_MALFORMED", "behind Bearer is not spaces and one token")
    return token
