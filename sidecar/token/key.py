"""A key that verifies signatures, and how one is made from PEM or a secret."""

from dataclasses import dataclass, field
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from sidecar.token import pem, restriction
from sidecar.token.algorithms import ALGORITHMS, KINDS, SYMMETRIC, fitting
from sidecar.token.kinds import MIN_RSA_BITS, Kind
from sidecar.token.reason import Reason
from sidecar.token.restriction import Restriction
from sidecar.token.words import names

_MAX_RSA_BITS: Final = 16384
_MAX_EXPONENT_BITS: Final = 32
_TOO_WEAK: Final = Reason.KEY_TOO_WEAK
_P25519: Final = 2**255 - 19
_P448: Final = 2**448 - 2**224 - 1
# The two y of the points of order 8 on edwards25519; those of lower order have 0, 1 and -1.
_Y8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_SMALL_ORDER: Final = {
    32: (_P25519, frozenset({0, 1, _P25519 - 1, _Y8, _P25519 - _Y8})),
    57: (_P448, frozenset({0, 1, _P448 - 1})),
}
"""By the length of an encoded point: the field's prime, and the y of its points of small order."""


class UnusableKey(Exception):
    """A key that can't verify anything here: why, and with which reason its tokens are refused.

    The message never holds the key.
    """

    def __init__(self, message: str, reason: Reason = Reason.KEY_MISMATCH) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason


@dataclass(frozen=True, slots=True, eq=False)
class Key:
    """A key bound to its type, curve and the algorithms that it may verify.

    Compared by identity: two fetches of the same JWK are two keys.
    """

    key_id: str | None
    type: str
    """`kty`: RSA, EC, OKP, AKP or oct."""
    curve: str | None
    algorithms: frozenset[str]
    """Every `alg` it may verify: what fits its type and curve, narrowed by its own `alg`."""
    material: Any = field(repr=False)
    """A public key of `cryptography`, or the bytes of an HMAC secret."""
    restriction: Restriction | None = None
    """What its file or certificate allows it for; counted in `algorithms` already."""

    def verify(self, algorithm: str, signing_input: bytes, signature: bytes) -> bool:
        """Whether the signature holds; False for an algorithm that is not this key's."""
        return algorithm in self.algorithms and ALGORITHMS[algorithm].verify(
            self.material, signing_input, signature
        )

    def signature_bytes(self, algorithm: str) -> int:
        """The length of its signatures with one of its algorithms."""
        if isinstance(self.material, bytes):
            # A secret is at least as long as the hash, and the signature is just as long.
            return ALGORITHMS[algorithm].min_secret_bytes
        return kind_of(self.material).signature_bytes(self.material)

    def describe(self) -> str:
        """What the key is, for a sentence: `an EC key on P-256 for ES256`."""
        curve = f" on {self.curve}" if self.curve else ""
        why = f" alone ({self.restriction.cause})" if self.restriction else ""
        return f"an {self.type} key{curve} for {', '.join(sorted(self.algorithms))}{why}"


def from_secret(secret: bytes, algorithms: frozenset[str], key_id: str | None = None) -> Key:
    """The key of an HMAC secret, for the given HS algorithms.

    Raises UnusableKey where the secret is shorter than an algorithm's hash (RFC 7518,
    section 3.2), is a key in PEM, which others may know, or an algorithm is no HMAC.
    """
    if b"-----BEGIN " in secret:
        raise UnusableKey("the secret is a key or certificate in PEM, which is no secret")
    for name in sorted(algorithms):
        if name not in SYMMETRIC:
            raise UnusableKey(f"{name} needs a public key; a secret serves {names(SYMMETRIC)}")
        least = ALGORITHMS[name].min_secret_bytes
        if len(secret) < least:
            raise UnusableKey(
                f"the secret has {len(secret)} bytes; {name} needs at least {least}",
                Reason.KEY_TOO_WEAK,
            )
    return Key(key_id, "oct", None, algorithms, secret)


def from_public_key(
    public_key: Any, key_id: str | None = None, restricted: Restriction | None = None
) -> Key:
    """The key of a public key of `cryptography`, for every algorithm that fits it.

    `restricted` is what its file or certificate leaves of these, if it says anything: the object
    from `cryptography` itself has forgotten. Raises UnusableKey if it leaves nothing.
    Raises UnusableKey for a type or curve that no algorithm uses, for an RSA key of under 2048
    or over 16384 bits or with a public exponent that is even, under 3 or over 32 bits (a longer
    one only makes verifying slow), and for an Edwards point of small order, for which anyone can
    make signatures (RFC 8032, section 5.1.3, for its form).
    """
    kind = kind_of(public_key)
    if isinstance(public_key, rsa.RSAPublicKey):
        _check_rsa(public_key)
    if kind.type == "OKP":
        _check_edwards(public_key.public_bytes_raw())
    algorithms = fitting(kind)
    if restricted:
        algorithms &= restricted.algorithms
        if not algorithms:
            raise UnusableKey(restricted.cause)
    return Key(key_id, kind.type, kind.curve, algorithms, public_key, restricted)


def from_pem(data: bytes, key_id: str | None = None) -> Key:
    """The key in a PEM public key or the subject of a PEM certificate.

    Raises UnusableKey where the bytes hold neither, or a key that is unfit. The validity of
    a certificate is not checked: it only carries the key. What it and the key's OID restrict
    the key to is kept.
    """
    try:
        # Beside a certificate too: what is taken for public is kept, and shown to who asks.
        if b"PRIVATE KEY-----" in data:
            raise UnusableKey("it has a private key; a public key or a certificate is needed")
        if b"-----BEGIN CERTIFICATE-----" in data:
            certificate = x509.load_pem_x509_certificate(data)
            restricted = restriction.of_certificate(certificate)
            return from_public_key(certificate.public_key(), key_id, restricted)
        block = pem.first(data, pem.PUBLIC_KEYS)
        public_key = load_pem_public_key(block.text)
        is_rsa = isinstance(public_key, rsa.RSAPublicKey)
        restricted = restriction.of_public_key(block.der()) if is_rsa else None
        return from_public_key(public_key, key_id, restricted)
    except UnsupportedAlgorithm as error:
        raise UnusableKey("it is of a type that no JWS algorithm uses") from error
    except (x509.InvalidVersion, x509.UnsupportedGeneralNameType) as error:
        raise UnusableKey(
            "its certificate can't be read, as it has an unknown version or a rare kind of name; "
            "configure the public key alone (openssl x509 -pubkey -noout)"
        ) from error
    except ValueError as error:
        raise UnusableKey("it is neither a PEM public key nor a PEM certificate") from error


def kind_of(public_key: Any) -> Kind:
    """The kind of a public key of `cryptography`; raises UnusableKey where it has none here."""
    for kind in KINDS:
        if kind.holds(public_key):
            return kind
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        known = names(kind.name or "" for kind in KINDS if kind.type == "EC")
        raise UnusableKey(f"its curve is {public_key.curve.name}; known are {known}")
    raise UnusableKey("it is of a type that no JWS algorithm uses")


def _check_rsa(public_key: rsa.RSAPublicKey) -> None:
    bits = public_key.key_size
    if bits < MIN_RSA_BITS:
        raise UnusableKey(
            f"its RSA modulus has {bits} bits; at least {MIN_RSA_BITS} are needed",
            Reason.KEY_TOO_WEAK,
        )
    if bits > _MAX_RSA_BITS:
        raise UnusableKey(f"its RSA modulus has {bits} bits; at most {_MAX_RSA_BITS} are taken")
    exponent = public_key.public_numbers().e
    if exponent < 3 or exponent % 2 == 0 or exponent.bit_length() > _MAX_EXPONENT_BITS:
        raise UnusableKey(
            f"its RSA exponent must be odd, from 3 up, of at most {_MAX_EXPONENT_BITS} bits",
            Reason.KEY_TOO_WEAK,
        )


def _check_edwards(point: bytes) -> None:
    """The y of every point of small order; its sign does not matter."""
    prime, small = _SMALL_ORDER[len(point)]
    sign = 1 << (8 * len(point) - 1)
    y = int.from_bytes(point, "little") & ~sign
    if y >= prime:
        raise UnusableKey("its point is not in the one form that is allowed")
    if y in small:
        raise UnusableKey("its point is of small order: no secret stands behind it", _TOO_WEAK)
