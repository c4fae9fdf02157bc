"""The certificate that a client has shown to the proxy.

The proxy itself says so, in fields that no client reaches. Envoy's header
`x-forwarded-client-cert` says it too, but is Envoy's word only where Envoy has set it: whoever
configures the sidecar must say that it does.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import unquote

from sidecar.authorization.http_request import HttpRequest
from sidecar.token.reason import Reason, Refused

_HEADER: Final = "x-forwarded-client-cert"
_LONGEST_HEADER: Final = 64 * 1024
"""Characters; a chain of certificates is in it where Envoy is asked to put it there."""
_REMEMBERED: Final = 1024
"""Certificates that are not parsed again; one is about 2 KiB."""
# What a value has taken is never given back: spaces at its end would cost quadratic time.
_PAIR: Final = re.compile(
    r'[ \t]*([A-Za-z]+)=("(?:[^"\\]|\\.)*+"|[^",;]*+)[ \t]*(?:([,;])|\Z)', re.DOTALL
)
_SHA256: Final = re.compile(r"[0-9A-Fa-f]{64}")


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """What counts of a certificate."""

    sha256: bytes
    """Of its DER."""
    names: tuple[str, ...]
    """Its subject alternative names: URIs, then DNS names."""


@lru_cache(_REMEMBERED)
def read_certificate(text: str) -> ClientCertificate | None:
    """The certificate in PEM, encoded for a URL as Envoy does; None where the text is none."""
    from cryptography import x509
    from cryptography.hazmat.primitives.hashes import SHA256

    try:
        certificate = x509.load_pem_x509_certificate(unquote(text).encode("utf-8"))
        return ClientCertificate(certificate.fingerprint(SHA256()), _names(certificate, x509))
    except (ValueError, x509.InvalidVersion):
        return None


def _names(certificate: Any, x509: Any) -> tuple[str, ...]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (
        x509.ExtensionNotFound,
        x509.DuplicateExtension,
        x509.UnsupportedGeneralNameType,
        ValueError,
    ):
        return ()
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return (*uris, *names.get_values_for_type(x509.DNSName))


def certificate_names(text: str, principal: str) -> tuple[str, ...]:
    """The names in a certificate, or else the one that the proxy tells of its connection.

    None of `x-forwarded-client-cert` are among them: Envoy quotes no URI there, so that a
    certificate may name two where it has one.
    """
    certificate = read_certificate(text) if text else None
    if certificate:
        return certificate.names
    return (principal,) if principal else ()


def certificate_sha256(request: HttpRequest, header_trusted: bool) -> bytes:
    """SHA-256 of the certificate that the client has shown, empty where it has shown none.

    Raises Refused with PROOF_INVALID where what the proxy says can't be read, or names two
    certificates.
    """
    found: set[bytes] = set()
    if request.source_certificate:
        certificate = read_certificate(request.source_certificate)
        if certificate is None:
            raise _refused("the client certificate that the proxy hands on can't be read")
        found.add(certificate.sha256)
    # Without a certificate the proxy has set no such header: this one is the client's.
    if header_trusted and (request.source_principal or request.source_certificate):
        found |= _forwarded(",".join(request.values(_HEADER)))
    if len(found) > 1:
        raise _refused(
            f"the proxy tells of {len(found)} client certificates; {_HEADER} may be trusted only "
            "where this very proxy sets it (forward_client_cert_details: SANITIZE_SET)"
        )
    return next(iter(found), b"")


def _forwarded(text: str) -> set[bytes]:
    """The certificates in a header's elements, each of which must name one."""
    if len(text) > _LONGEST_HEADER:
        raise _refused(f"header {_HEADER} has more than {_LONGEST_HEADER} characters")
    if not text:
        return set()
    found: set[bytes] = set()
    hashes: list[str] = []
    end, separator = 0, ";"
    while separator:
        pair = _PAIR.match(text, end)
        if pair is None:
            raise _unreadable()
        name, value, separator = pair.groups(default="")
        end = pair.end()
        if name.lower() == "hash":
            hashes.append(value.strip(" \t"))
        if separator != ";":
            found.add(_the_one(hashes))
            hashes = []
    return found


def _the_one(hashes: list[str]) -> bytes:
    if len(hashes) != 1 or not _SHA256.fullmatch(hashes[0]):
        raise _unreadable()
    return bytes.fromhex(hashes[0])


def _unreadable() -> Refused:
    return _refused(f"header {_HEADER} can't be read: each element needs one Hash, of SHA-256")


def _refused(message: str) -> Refused:
    return Refused(Reason.PROOF_INVALID, message)
