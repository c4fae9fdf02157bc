"""TLS of a listener: its certificate and private key, and whose certificates callers need."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)
from pydantic import AfterValidator

from sidecar.config.keyfiles import CertificateFile
from sidecar.config.section import Fault, Maybe, OneOrMore, Section, Text, Written, fault
from sidecar.config.surroundings import Surroundings, Unreadable, read

MOST_BYTES: Final = 1024 * 1024
_LEAST_RSA_BITS: Final = 2048
_CURVES: Final = frozenset({"secp256r1", "secp384r1"})
_NO_CERTIFICATE: Final = "it has no PEM certificates, or one that is broken"


class Unfit(Exception):
    """A file that TLS can't be served with: the setting that names it, and a sentence about it."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting
        self.message = message


@dataclass(frozen=True, slots=True)
class Files:
    """What the files of a listener hold, as it was read."""

    certificate: bytes
    private_key: bytes = field(repr=False)
    client_ca: bytes | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Files that were found to fit together, and the life of the listener's own certificate."""

    files: Files
    not_before: float
    """Seconds since the epoch, as `not_after`."""
    not_after: float


@dataclass(frozen=True, slots=True)
class PrivateKeyFile(Written):
    """A file with a private key in PEM, which is not encrypted."""

    path: str

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """Raises a fault where the file can't be read or has no such key."""
        path = surroundings.absolute(text)
        try:
            load_private_key(path, surroundings.read(path, MOST_BYTES))
        except (Unreadable, ValueError) as error:
            raise fault(str(error)) from None
        return cls(path)

    def __str__(self) -> str:
        """Its absolute path."""
        return self.path


def _exact(name: str) -> str:
    if "*" in name:
        raise fault("names are compared character for character; write each one out")
    return name


class Tls(Section):
    """TLS of a listener, which is then reached by TLS alone.

    Holds where the files are, not what is in them: that may change while they serve.
    """

    certificate_file: CertificateFile
    """PEM certificates: the listener's own first, then those between it and its CA."""
    private_key_file: PrivateKeyFile
    """Private key of the first of these, in PEM and not encrypted."""
    client_ca_file: Maybe[CertificateFile] = None
    """PEM certificates of CAs; callers need a certificate from one of them."""
    client_names: Maybe[OneOrMore[Annotated[Text, AfterValidator(_exact)]]] = None
    """Callers need one of these as SAN; absent: any certificate from the CA will do."""

    def files(self) -> Files:
        """What the files hold now; raises Unfit where one can't be read."""
        ca = self.client_ca_file
        return Files(
            _read("certificate_file", self.certificate_file.path),
            _read("private_key_file", self.private_key_file.path),
            _read("client_ca_file", ca.path) if ca else None,
        )

    def identity(self, files: Files) -> Identity:
        """The files, if TLS can be served with them; raises Unfit.

        A certificate whose time is over, or has not come, will do: it is replaced while it serves.
        """
        if self.client_ca_file and files.client_ca is not None:
            _check_ca("client_ca_file", self.client_ca_file.path, files.client_ca)
        own = _check_pair(
            ("certificate_file", self.certificate_file.path, files.certificate),
            ("private_key_file", self.private_key_file.path, files.private_key),
        )
        return Identity(
            files, own.not_valid_before_utc.timestamp(), own.not_valid_after_utc.timestamp()
        )

    def contradictions(self) -> Iterator[Fault]:
        """Key and certificate must fit each other."""
        try:
            self.identity(self.files())
        except Unfit as unfit:
            yield (unfit.setting,), unfit.message

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """Names are read from certificates that a CA vouches for."""
        if self.client_ca_file is None:
            yield "client_names", "client_ca_file"


def load_private_key(path: str, data: bytes) -> Any:
    """The private key in a PEM file; raises ValueError, whose message names the path."""
    try:
        return load_pem_private_key(data, None)
    except TypeError:
        raise ValueError(
            f"{path}: it is encrypted; write it without a password, readable for its user alone"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"{path}: it has no private key in PEM, or one that is broken") from None


def read_ca(setting: str, path: str) -> bytes:
    """The certificates of CAs in a PEM file; raises Unfit."""
    data = _read(setting, path)
    _check_ca(setting, path, data)
    return data


def read_pair(
    certificate_setting: str, certificate_path: str, key_setting: str, key_path: str
) -> tuple[bytes, bytes]:
    """The certificates and the private key of one party, in PEM; raises Unfit."""
    certificate = _read(certificate_setting, certificate_path)
    key = _read(key_setting, key_path)
    _check_pair((certificate_setting, certificate_path, certificate), (key_setting, key_path, key))
    return certificate, key


_Source = tuple[str, str, bytes]
"""A setting, the path that it names, and what is there."""


def _check_ca(setting: str, path: str, data: bytes) -> None:
    if not any(_may_sign(one) for one in _certificates(setting, path, data)):
        raise Unfit(setting, f"{path}: it has no certificate of a CA; put in the one that signs")


def _check_pair(certificates: _Source, private_key: _Source) -> x509.Certificate:
    """The first certificate, whose key it is."""
    own = _certificates(*certificates)[0]
    setting, path, data = private_key
    try:
        key = load_private_key(path, data)
    except ValueError as error:
        raise Unfit(setting, str(error)) from None
    wrong = _unfit_key(key)
    if wrong:
        raise Unfit(
            setting,
            f"{path}: it is {wrong}; TLS takes EC keys on P-256 and P-384 and RSA keys of "
            f"{_LEAST_RSA_BITS} bits or more",
        )
    if not _belongs(key, own):
        raise Unfit(
            setting,
            f"{path} is not the key of the first certificate in {certificates[1]}; use the two "
            "that were issued together",
        )
    return own


def _belongs(private_key: Any, certificate: x509.Certificate) -> bool:
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    try:
        certified = certificate.public_key().public_bytes(*form)
    except (ValueError, UnsupportedAlgorithm):
        return False
    own: bytes = private_key.public_key().public_bytes(*form)
    return own == certified


def _read(setting: str, path: str) -> bytes:
    try:
        return read(path, MOST_BYTES)
    except Unreadable as error:
        raise Unfit(setting, str(error)) from None


def _certificates(setting: str, path: str, data: bytes) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(data)
    except (ValueError, x509.InvalidVersion):
        raise Unfit(setting, f"{path}: {_NO_CERTIFICATE}") from None


def _may_sign(certificate: x509.Certificate) -> bool:
    """Whether it is a CA's; certificates from before X.509 v3 don't say."""
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return True
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return False


def _unfit_key(key: Any) -> str:
    """What kind of key it is, where gRPC's TLS library does not serve it."""
    if isinstance(key, rsa.RSAPrivateKey):
        return "" if key.key_size >= _LEAST_RSA_BITS else f"an RSA key of {key.key_size} bits"
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return "" if key.curve.name in _CURVES else f"an EC key on {key.curve.name}"
    return "neither an EC nor an RSA key"
