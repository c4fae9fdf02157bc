"""What an HTTP request has to show that its client holds the key that its token is bound to."""

import re
from typing import Final

from sidecar.authorization.client_certificate import certificate_sha256
from sidecar.authorization.credentials import Credential
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.policy import PROOF_HEADER
from sidecar.token.reason import DpopError, Reason, Refused
from sidecar.token.request import NO_PROOF, Proof, Scheme

_AUTHORITY: Final = re.compile(r"[A-Za-z0-9._~%:\[\]-]+")
"""Nothing that would end it, so that a Host header can't bring a path of its own."""
_SCHEMES: Final = frozenset({"http", "https", "ws", "wss"})
"""Some proxies say `wss` of a WebSocket's handshake, which is an HTTPS request (RFC 6455)."""


def find_proof(
    request: HttpRequest, credential: Credential, certificate_header_trusted: bool
) -> Proof:
    """The proof that came with a token.

    Raises Refused with PROOF_INVALID where there are two of a kind.
    """
    if not credential.token:
        return NO_PROOF
    sent = request.values(PROOF_HEADER)
    # A proxy may have joined them, and no proof has a comma in it.
    if len(sent) > 1 or (sent and "," in sent[0]):
        raise Refused(
            Reason.PROOF_INVALID,
            "there are several DPoP headers, or a comma in one; send one proof (RFC 9449, "
            "section 4.3)",
            DpopError.PROOF,
        )
    certificate = b""
    if request.source_certificate or certificate_header_trusted:  # few have any, and all pay
        certificate = certificate_sha256(request, certificate_header_trusted)
    if not sent and not certificate and credential.scheme is not Scheme.DPOP:
        return NO_PROOF
    return Proof(
        sent[0].strip(" \t") if sent else "",
        request.method,
        target_uri(request),
        certificate,
        credential.scheme,
    )


def target_uri(request: HttpRequest) -> str:
    """The absolute URI that was asked for, without its query; empty where it can't be told."""
    scheme, path = _scheme(request), request.target.partition("?")[0]
    if not scheme or not path.startswith("/") or "#" in path:
        return ""
    if not _AUTHORITY.fullmatch(request.host):
        return ""
    return f"{scheme}://{request.host}{path}"


def _scheme(request: HttpRequest) -> str:
    """As the first proxy saw it: behind one that ends TLS the request itself says http."""
    told = request.values("x-forwarded-proto")
    scheme = (told[0] if len(told) == 1 else "") if told else request.scheme
    return scheme.lower() if scheme.lower() in _SCHEMES else ""
