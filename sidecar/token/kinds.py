"""The kinds of public key that JWS algorithms use, and what tells one from another.

RSA and EC: RFC 7518, section 6, with secp256k1 of RFC 8812. OKP: RFC 8037. AKP: RFC 9964.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MIN_RSA_BITS: Final = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """One kind of key, as a JWK and as `cryptography` has it."""

    type: str
    """`kty`."""
    named_by: str | None
    """The JWK member that tells it from the others of its type: `crv`, or `alg` for AKP."""
    name: str | None
    """The value of that member."""
    members: Mapping[str, int | None]
    """The members that hold the public key, and how many bytes each has; None: any number."""
    holds: Callable[[Any], bool]
    """Whether a public key of `cryptography` is of this kind."""
    build: Callable[..., Any]
    """The public key of the bytes of `members`; raises ValueError where they make none."""
    parts: Callable[[Any], tuple[bytes, ...]]
    """The bytes of `members` for a public key."""
    signature_bytes: Callable[[Any], int]
    """The length of the signatures that a public key of `cryptography` verifies."""
    generate: Callable[[], Any]
    """A new private key. It draws on chance, so nothing in this package calls it."""

    @property
    def curve(self) -> str | None:
        """`crv`, where its keys have one."""
        return self.name if self.named_by == "crv" else None

    @property
    def identity(self) -> dict[str, str]:
        """The JWK members by which it is known."""
        if self.named_by is None or self.name is None:
            return {"kty": self.type}
        return {"kty": self.type, self.named_by: self.name}


def _rsa() -> Kind:
    def build(n: bytes, e: bytes) -> rsa.RSAPublicKey:
        numbers = rsa.RSAPublicNumbers(int.from_bytes(e, "big"), int.from_bytes(n, "big"))
        return numbers.public_key()

    def parts(public_key: rsa.RSAPublicKey) -> tuple[bytes, ...]:
        numbers = public_key.public_numbers()
        return _unsigned(numbers.n), _unsigned(numbers.e)

    return Kind(
        "RSA",
        None,
        None,
        {"n": None, "e": None},
        lambda key: isinstance(key, rsa.RSAPublicKey),
        build,
        parts,
        lambda key: (key.key_size + 7) // 8,
        lambda: rsa.generate_private_key(65537, MIN_RSA_BITS),
    )


def _ec(name: str, curve: ec.EllipticCurve) -> Kind:
    size = (curve.key_size + 7) // 8

    def build(x: bytes, y: bytes) -> ec.EllipticCurvePublicKey:
        return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y)

    def parts(public_key: ec.EllipticCurvePublicKey) -> tuple[bytes, ...]:
        point = public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return point[1 : 1 + size], point[1 + size :]

    return Kind(
        "EC",
        "crv",
        name,
        {"x": size, "y": size},
        lambda key: isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name == curve.name,
        build,
        parts,
        lambda _: 2 * size,
        lambda: ec.generate_private_key(curve),
    )


def _raw(
    identity: tuple[str, str, str],
    member: str,
    size: int,
    signature_bytes: int,
    public: Any,
    private: Any,
) -> Kind:
    """A kind whose public key is one string of bytes."""
    key_type, named_by, name = identity
    return Kind(
        key_type,
        named_by,
        name,
        {member: size},
        lambda key: isinstance(key, public),
        public.from_public_bytes,
        lambda key: (key.public_bytes_raw(),),
        lambda _: signature_bytes,
        private.generate,
    )


RSA: Final = _rsa()
P_256: Final = _ec("P-256", ec.SECP256R1())
P_384: Final = _ec("P-384", ec.SECP384R1())
P_521: Final = _ec("P-521", ec.SECP521R1())
SECP256K1: Final = _ec("secp256k1", ec.SECP256K1())
ED25519: Final = _raw(
    ("OKP", "crv", "Ed25519"), "x", 32, 64, ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey
)
ED448: Final = _raw(
    ("OKP", "crv", "Ed448"), "x", 57, 114, ed448.Ed448PublicKey, ed448.Ed448PrivateKey
)
ML_DSA_44: Final = _raw(
    ("AKP", "alg", "ML-DSA-44"), "pub", 1312, 2420, mldsa.MLDSA44PublicKey, mldsa.MLDSA44PrivateKey
)
ML_DSA_65: Final = _raw(
    ("AKP", "alg", "ML-DSA-65"), "pub", 1952, 3309, mldsa.MLDSA65PublicKey, mldsa.MLDSA65PrivateKey
)
ML_DSA_87: Final = _raw(
    ("AKP", "alg", "ML-DSA-87"), "pub", 2592, 4627, mldsa.MLDSA87PublicKey, mldsa.MLDSA87PrivateKey
)


def _unsigned(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
