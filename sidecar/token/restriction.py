"""What a key's file or certificate allows it to be used for, beyond what its type allows.

The OID id-RSASSA-PSS in place of rsaEncryption keeps a key to RSASSA-PSS, and its parameters to
one hash (RFC 4055, sections 1.2 and 3.3). A certificate's keyUsage says whether its key is for
signatures at all (RFC 5280, section 4.2.1.3). `cryptography` reads such a key as any RSA key and
forgets its OID, so the DER is read here once more.
"""

from dataclasses import dataclass
from typing import Final

from cryptography import x509

from sidecar.token import der
from sidecar.token.words import names

_RSASSA_PSS: Final = "1.2.840.113549.1.1.10"
_MGF1: Final = "1.2.840.113549.1.1.8"
_HASHES: Final = {
    "1.3.14.3.2.26": "SHA-1",
    "2.16.840.1.101.3.4.2.1": "SHA-256",
    "2.16.840.1.101.3.4.2.2": "SHA-384",
    "2.16.840.1.101.3.4.2.3": "SHA-512",
}
_PSS: Final = {"PS256": ("SHA-256", 32), "PS384": ("SHA-384", 48), "PS512": ("SHA-512", 64)}
"""The hash of each algorithm, for the message as for MGF1, and its length, which is also that of
the salt (RFC 7518, section 3.5)."""
_VERSION: Final = 0xA0


@dataclass(frozen=True, slots=True)
class Restriction:
    """The algorithms that a key may be used with, and a sentence on why no others."""

    algorithms: frozenset[str]
    cause: str


def of_public_key(public_key: bytes) -> Restriction | None:
    """Return what the DER of a public key says of it, None if nothing; raises ValueError.

    An RSAPublicKey (PKCS#1) has no place for an OID. It is told from a SubjectPublicKeyInfo by its
    form, as `cryptography` takes either under the label of the other.
    """
    first, *_ = der.elements(der.only(public_key, der.SEQUENCE))
    return None if first[0] == der.INTEGER else _of_algorithm(first)


def of_private_key(private_key_info: bytes) -> Restriction | None:
    """Return what a PrivateKeyInfo (PKCS#8) says, None if nothing; raises ValueError."""
    _, algorithm, *_ = der.elements(der.only(private_key_info, der.SEQUENCE))
    return _of_algorithm(algorithm)


def of_certificate(certificate: x509.Certificate) -> Restriction | None:
    """Return what a certificate says of its key, None if nothing; raises ValueError.

    Without keyUsage it says nothing. extendedKeyUsage is not looked at, as there is no purpose in
    it for JWS, and providers publish certificates for TLS. Nor is what only a certificate's chain
    is judged by: it is taken for its key.
    """
    if not _is_for_signatures(certificate):
        return Restriction(
            frozenset(),
            "the keyUsage of its certificate has neither digitalSignature nor nonRepudiation, so "
            "its key is not for tokens (RFC 5280, section 4.2.1.3); get a certificate for "
            "signing, or configure the public key alone if you know that it signs tokens "
            "(openssl x509 -pubkey -noout)",
        )
    if certificate.public_key_algorithm_oid.dotted_string != _RSASSA_PSS:
        return None
    fields = der.elements(der.only(certificate.tbs_certificate_bytes, der.SEQUENCE))
    if fields and fields[0][0] == _VERSION:
        fields = fields[1:]
    _serial, _signature, _issuer, _validity, _subject, (_, key_info), *_ = fields
    algorithm, *_ = der.elements(key_info)
    return _of_algorithm(algorithm)


def _is_for_signatures(certificate: x509.Certificate) -> bool:
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except x509.DuplicateExtension as error:
        raise ValueError("an extension of the certificate is there twice") from error
    return usage.digital_signature or usage.content_commitment


def _of_algorithm(element: der.Element) -> Restriction | None:
    oid, parameters = der.algorithm(element)
    if oid != _RSASSA_PSS:
        return None
    if not parameters:
        return Restriction(frozenset(_PSS), "its OID is id-RSASSA-PSS")
    hashed, mask, salt = _pss_parameters(parameters[0])
    described = f"id-RSASSA-PSS with {hashed}, MGF1 with {mask} and a salt of {salt} bytes or more"
    allowed = {name for name, (same, size) in _PSS.items() if hashed == mask == same}
    allowed = {name for name in allowed if salt <= _PSS[name][1]}
    if allowed:
        return Restriction(frozenset(allowed), f"it is for {described}")
    return Restriction(
        frozenset(),
        f"it is for {described} (RFC 4055), and no JWS algorithm is that: {names(_PSS)} have one "
        "hash for both and a salt as long as it; make a key with such parameters or with none",
    )


def _pss_parameters(element: der.Element) -> tuple[str, str, int]:
    """Return hash, hash of MGF1 and least length of the salt (RFC 4055, section 3.1)."""
    tag, content = element
    fields = der.elements(content)
    tags = [number for number, _ in fields]
    if tag != der.SEQUENCE or tags != sorted(set(tags)) or not {*tags} <= {*range(0xA0, 0xA4)}:
        raise ValueError("its RSASSA-PSS parameters are malformed")
    hashed = mask = "SHA-1"
    salt, trailer = 20, 1
    for number, inner in fields:
        [field] = der.elements(inner)
        match number:
            case 0xA0:
                hashed = _hash(field)
            case 0xA1:
                mask = _mask_hash(field)
            case 0xA2:
                salt = der.integer(field)
            case _:
                trailer = der.integer(field)
    if trailer != 1:
        raise ValueError("the trailer of its RSASSA-PSS parameters is unknown")
    return hashed, mask, salt


def _mask_hash(element: der.Element) -> str:
    oid, parameters = der.algorithm(element)
    if oid != _MGF1:
        return f"an unknown function ({oid})"
    [hashed] = parameters
    return _hash(hashed)


def _hash(element: der.Element) -> str:
    oid, parameters = der.algorithm(element)
    if parameters:
        raise ValueError("a hash of its RSASSA-PSS parameters has parameters of its own")
    return _HASHES.get(oid, f"the hash {oid}")
