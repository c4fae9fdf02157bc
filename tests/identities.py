"""Certificates made for a test: a CA, and what it certifies."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

NOW_IN_FORCE: Final = (timedelta(days=-1), timedelta(days=30))
EXPIRED: Final = (timedelta(days=-3), timedelta(days=-1))
NOT_YET: Final = (timedelta(days=1), timedelta(days=3))
Life = tuple[timedelta, timedelta]
"""Start and end, from now."""

HERE: Final = ("127.0.0.1", "::1", "localhost")
"""What a listener of a test is reached by."""


@dataclass(frozen=True)
class Certified:
    """A certificate and its private key, in PEM."""

    certificate: bytes
    private_key: bytes

    @property
    def serial_number(self) -> int:
        return x509.load_pem_x509_certificate(self.certificate).serial_number

    def write(self, certificate: Path, private_key: Path) -> None:
        certificate.write_bytes(self.certificate)
        private_key.write_bytes(self.private_key)


class Ca:
    """A certificate authority; `certificate` is its own, in PEM."""

    def __init__(self, name: str = "ca") -> None:
        self._name = _name(name)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(
            self._name, self._key, x509.BasicConstraints(ca=True, path_length=0), NOW_IN_FORCE
        )

    def certify(
        self, *sans: str, life: Life = NOW_IN_FORCE, key: Any = None, common_name: str = "party"
    ) -> Certified:
        """A certificate with these subject alternative names, for this key or a new one."""
        names = x509.SubjectAlternativeName([_san(one) for one in sans]) if sans else None
        key = key or ec.generate_private_key(ec.SECP256R1())
        return self._certify(key, names, life, common_name)

    def leaf(self) -> Certified:
        """A certificate which says that it is no CA's."""
        no_ca = x509.BasicConstraints(ca=False, path_length=None)
        return self._certify(ec.generate_private_key(ec.SECP256R1()), no_ca, NOW_IN_FORCE)

    def unreadable_names(self) -> Certified:
        """A certificate with a name of a kind (X.400) that `cryptography` can't read."""
        names = x509.UnrecognizedExtension(
            x509.SubjectAlternativeName.oid, bytes.fromhex("3004a3023000")
        )
        return self._certify(ec.generate_private_key(ec.SECP256R1()), names, NOW_IN_FORCE)

    def _certify(
        self,
        key: Any,
        extension: x509.ExtensionType | None,
        life: Life,
        common_name: str = "party",
    ) -> Certified:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Certified(self._sign(_name(common_name), key, extension, life), pem)

    def _sign(
        self, subject: x509.Name, key: Any, extension: x509.ExtensionType | None, life: Life
    ) -> bytes:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + life[0])
            .not_valid_after(now + life[1])
        )
        if extension:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _san(text: str) -> x509.GeneralName:
    if "://" in text:
        return x509.UniformResourceIdentifier(text)
    try:
        return x509.IPAddress(ip_address(text))
    except ValueError:
        return x509.DNSName(text)
