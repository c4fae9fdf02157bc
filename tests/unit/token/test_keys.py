"""Keys from PEM, for verifying and for signing."""

from base64 import encodebytes
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa, x25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import NameOID

from sidecar.token.jwk import from_jwk
from sidecar.token.key import UnusableKey, from_pem
from sidecar.token.reason import Reason
from sidecar.token.signing import from_private_key, from_private_pem, from_secret, sign
from tests.authors import ALL_ALGORITHMS, author, rsa_key

PUBLIC = [name for name in ALL_ALGORITHMS if not name.startswith("HS")]
EC = author("ES256").private_key
PKCS8, OPENSSL = PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL


def certificate(private_key: Any) -> bytes:
    """A certificate that has expired: it only carries the key."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "corp")])
    long_ago = datetime(2001, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().issuer_name(name).subject_name(name).serial_number(1)
    builder = builder.not_valid_before(long_ago).not_valid_after(long_ago)
    hashed = isinstance(private_key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    builder = builder.public_key(private_key.public_key())
    signed = builder.sign(private_key, SHA256() if hashed else None)
    return signed.public_bytes(Encoding.PEM)


def private_pem(form: PrivateFormat, password: bytes | None = None, key: Any = EC) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    pem = key.private_bytes(Encoding.PEM, form, encryption)
    assert isinstance(pem, bytes)
    return pem


def public_pem(key: Any) -> bytes:
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert isinstance(pem, bytes)
    return pem


def der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes([tag, size]) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + content


def as_pem(label: bytes, data: bytes) -> bytes:
    return b"-----BEGIN %s-----\n%s-----END %s-----\n" % (label, encodebytes(data), label)


def scrypt_pem(n: int) -> bytes:
    """Rubbish, as if it was encrypted with AES-256 and a key that scrypt derives at this cost."""
    cost = der(4, b"saltsalt") + der(2, bytes([n])) + der(2, b"\x08") + der(2, b"\x01")
    scrypt = der(0x30, der(6, bytes.fromhex("2b06010401da47040b")) + der(0x30, cost))
    aes = der(0x30, der(6, bytes.fromhex("60864801650304012a")) + der(4, bytes(16)))
    pbes2 = der(6, bytes.fromhex("2a864886f70d01050d")) + der(0x30, scrypt + aes)
    return as_pem(b"ENCRYPTED PRIVATE KEY", der(0x30, der(0x30, pbes2) + der(4, bytes(32))))


def ml_dsa_44(private_key: bytes) -> bytes:
    """A PKCS#8 private key with this content (RFC 9881, section 6)."""
    algorithm = der(0x30, der(0x06, bytes.fromhex("608648016503040311")))
    return as_pem(b"PRIVATE KEY", der(0x30, der(2, b"\0") + algorithm + der(4, private_key)))


EXPANDED = {
    "expanded": ml_dsa_44(der(4, bytes(2560))),
    "both": ml_dsa_44(der(0x30, der(4, bytes(32)) + der(4, bytes(2560)))),
    "a seed of 31 bytes": ml_dsa_44(der(0x80, bytes(31))),
}
AT_INFINITY = as_pem(
    b"PUBLIC KEY",
    der(
        0x30,
        der(
            0x30,
            der(6, bytes.fromhex("2a8648ce3d0201")) + der(6, bytes.fromhex("2b8104000a")),
        )
        + der(3, b"\0\0"),
    ),
)
"""A key on secp256k1 that is the point at infinity, which a JWK can't say (SEC 1, 2.3.3)."""


@pytest.mark.parametrize("algorithm", PUBLIC)
def test_a_pem_public_key_is_read(algorithm: str) -> None:
    by = author(algorithm)
    key = from_pem(by.public_pem(), "key-1")
    assert key.verify(algorithm, b"text", by.sign(b"text"))
    assert not key.verify(algorithm, b"other", by.sign(b"text"))
    assert key.key_id == "key-1"


def test_a_key_verifies_no_algorithm_but_its_own() -> None:
    by = author("RS256")
    key = from_jwk(by.jwk(alg="RS512"))
    assert not key.verify("RS256", b"text", by.sign(b"text"))
    assert not key.verify("none", b"text", b"")


@pytest.mark.parametrize("algorithm", PUBLIC)
def test_a_pem_certificate_is_read_whatever_its_dates(algorithm: str) -> None:
    by = author(algorithm)
    assert from_pem(certificate(by.private_key)).verify(algorithm, b"text", by.sign(b"text"))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param(b"", "neither a PEM public key nor", id="nothing"),
        pytest.param(b"\xff\0\xff", "neither a PEM public key nor", id="not text"),
        pytest.param(b'{"kty":"EC"}', "neither a PEM public key nor", id="a JWK"),
        pytest.param(public_pem(EC)[:60], "neither a PEM public key nor", id="cut short"),
        pytest.param(
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----",
            "neither a PEM public key nor",
            id="a broken certificate",
        ),
        pytest.param(private_pem(PKCS8), "has a private key", id="a private key"),
        pytest.param(private_pem(OPENSSL), "has a private key", id="a private key of SEC1"),
        pytest.param(private_pem(PKCS8, b"pw"), "has a private key", id="an encrypted one"),
        pytest.param(
            certificate(EC) + private_pem(PKCS8), "has a private key", id="one behind a certificate"
        ),
        pytest.param(
            private_pem(OPENSSL) + certificate(EC), "has a private key", id="one before it"
        ),
        pytest.param(
            public_pem(ec.generate_private_key(ec.SECP224R1())), "secp224r1", id="another curve"
        ),
        pytest.param(
            public_pem(x25519.X25519PrivateKey.generate()), "no JWS algorithm", id="another type"
        ),
        pytest.param(AT_INFINITY, "neither a PEM public key nor", id="the point at infinity"),
        pytest.param(public_pem(rsa_key("rsa-1024")), "1024 bits", id="RSA of 1024 bits"),
        pytest.param(public_pem(rsa_key("rsa-2047")), "2047 bits", id="RSA of 2047 bits"),
    ],
)
def test_a_pem_that_is_no_fit_public_key_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(UnusableKey, match=why):
        from_pem(data)


@pytest.mark.parametrize("algorithm", PUBLIC)
def test_a_pem_private_key_signs(algorithm: str) -> None:
    by = author(algorithm)
    key = from_private_pem(by.private_pem(), None, algorithm, "key-1")
    assert key.public is not None
    assert key.public.algorithms == {algorithm}
    assert key.public.verify(algorithm, b"text", sign(key, b"text"))
    assert (key.key_id, key.public.key_id) == ("key-1", "key-1")


def test_the_seed_of_ml_dsa_is_read() -> None:
    """So that what is refused below is the form."""
    key = from_private_pem(ml_dsa_44(der(0x80, bytes(32))), None, "ML-DSA-44", "key-1")
    assert key.public is not None
    assert key.public.algorithms == {"ML-DSA-44"}


@pytest.mark.parametrize("form", EXPANDED)
def test_an_expanded_key_of_ml_dsa_is_refused_with_the_remedy(form: str) -> None:
    """RFC 9964, section 4, has the seed alone; OpenSSL writes `both` unless told otherwise."""
    with pytest.raises(UnusableKey, match="of ML-DSA-44 only a seed is read: openssl pkey"):
        from_private_pem(EXPANDED[form], None, "ML-DSA-44", "key-1")


@pytest.mark.parametrize(
    ("form", "password"), [(PKCS8, None), (PKCS8, b"pw"), (OPENSSL, None), (OPENSSL, b"pw")]
)
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_each_form_of_pem_is_read(
    form: PrivateFormat, password: bytes | None, algorithm: str
) -> None:
    data = private_pem(form, password, author(algorithm).private_key)
    assert from_private_pem(data, password, algorithm, "key-1").algorithm == algorithm


@pytest.mark.parametrize(
    ("data", "password", "why"),
    [
        pytest.param(b"junk", None, "not a PEM private key", id="no PEM"),
        pytest.param(public_pem(EC), None, "not a PEM private key", id="a public key"),
        pytest.param(private_pem(PKCS8, b"pw"), None, "needs a password", id="no password"),
        pytest.param(private_pem(OPENSSL, b"pw"), None, "needs a password", id="none for SEC1"),
        pytest.param(private_pem(PKCS8, b"pw"), b"no", "password .* is wrong", id="wrong password"),
        pytest.param(
            private_pem(PKCS8, b"pw").replace(b"\nM", b"\nX", 1), b"pw", "damaged", id="damaged"
        ),
        pytest.param(scrypt_pem(n=3), b"pw", "damaged", id="a cost of scrypt that is none"),
        pytest.param(b"junk", b"pw", "not a PEM private key", id="no PEM, with a password"),
        pytest.param(private_pem(PKCS8), b"pw", "is not encrypted", id="password not needed"),
        pytest.param(
            private_pem(PKCS8, key=rsa_key("rsa-2048")), None, '"ES256" can', id="another type"
        ),
        pytest.param(
            private_pem(PKCS8, key=author("ES384").private_key), None, "P-384", id="another curve"
        ),
        pytest.param(private_pem(PKCS8, key=rsa_key("rsa-2047")), None, "2047", id="too weak"),
        pytest.param(
            private_pem(PKCS8, key=x25519.X25519PrivateKey.generate()), None, "no JWS", id="X25519"
        ),
    ],
)
def test_a_pem_that_is_no_fit_private_key_is_refused(
    data: bytes, password: bytes | None, why: str
) -> None:
    with pytest.raises(UnusableKey, match=why) as refused:
        from_private_pem(data, password, "ES256", "key-1")
    assert "BEGIN" not in refused.value.message


def test_an_encrypted_key_with_an_empty_password_is_said_to_be_encrypted() -> None:
    with pytest.raises(UnusableKey) as refused:
        from_private_pem(private_pem(PKCS8, b"pw"), b"", "ES256", "key-1")
    assert "is not encrypted" not in refused.value.message


def test_a_signing_key_without_a_name_gets_its_thumbprint() -> None:
    key = from_private_key(EC, "ES256", None)
    assert len(key.key_id) == 43
    assert key.public is not None
    assert key.public.key_id == key.key_id


@pytest.mark.parametrize(
    ("algorithm", "secret", "reason"),
    [
        ("HS256", b"x" * 31, Reason.KEY_TOO_WEAK),
        ("ES256", b"x" * 32, Reason.KEY_MISMATCH),
        ("HS256", public_pem(EC), Reason.KEY_MISMATCH),
    ],
    ids=["a byte too short", "for a public-key algorithm", "a public key in PEM"],
)
def test_a_signing_secret_must_fit(algorithm: str, secret: bytes, reason: Reason) -> None:
    with pytest.raises(UnusableKey) as refused:
        from_secret(secret, algorithm, "key-1")
    assert refused.value.reason is reason


@pytest.mark.parametrize("length", range(0, 170, 10))
def test_a_pem_cut_short_raises_nothing_else(length: int) -> None:
    with pytest.raises(UnusableKey):
        from_pem(public_pem(EC)[:length])
    with pytest.raises(UnusableKey):
        from_private_pem(private_pem(PKCS8)[:length], None, "ES256", "key-1")
