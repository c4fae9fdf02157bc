"""What the file or certificate of a key restricts it to."""

from datetime import UTC, datetime
from typing import Any, Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config.consumers import credential
from sidecar.config.keyfiles import parse_keys
from sidecar.token import der as reader
from sidecar.token.key import UnusableKey, from_pem
from sidecar.token.signing import from_private_pem
from tests.authors import VECTORS, author, rsa_key
from tests.unit.token.test_keys import as_pem, der, public_pem

RSA: Final = rsa_key("rsa-2048")
PSS_PEM: Final = (VECTORS / "keys" / "rsa-pss.pem").read_bytes()
ALL_RSA: Final = {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
ALL_PSS: Final = {"PS256", "PS384", "PS512"}
NULL: Final = b"\x05\x00"
RSA_ENCRYPTION, OAEP, MGF1, PSS = (
    der(6, bytes.fromhex("2a864886f70d0101" + last)) for last in ("01", "07", "08", "0a")
)
SHA1: Final = der(0x30, der(6, bytes.fromhex("2b0e03021a")) + NULL)
SHA224, SHA256_, SHA384, SHA512 = (
    der(0x30, der(6, bytes.fromhex("6086480165030402" + last)) + NULL)
    for last in ("04", "01", "02", "03")
)
WITHOUT_NULL: Final = der(0x30, der(6, bytes.fromhex("608648016503040201")))
SHAKE256: Final = der(6, bytes.fromhex("60864801650304020c"))

X400_NAME: Final = x509.UnrecognizedExtension(
    x509.SubjectAlternativeName.oid, bytes.fromhex("3004a3023000")
)


def mgf1(hashed: bytes) -> bytes:
    return der(0x30, MGF1 + hashed)


def parameters(
    hashed: bytes = b"", mask: bytes = b"", salt: int | None = None, trailer: int | None = None
) -> bytes:
    """RSASSA-PSS-params; what is left out has its default: SHA-1, 20 and 1."""
    fields = der(0xA0, hashed) if hashed else b""
    fields += der(0xA1, mask) if mask else b""
    fields += der(0xA2, der(2, bytes([salt]))) if salt is not None else b""
    fields += der(0xA3, der(2, bytes([trailer]))) if trailer is not None else b""
    return der(0x30, fields)


def public_key(algorithm: bytes) -> bytes:
    """A PEM public key whose AlgorithmIdentifier has this content."""
    form = (Encoding.DER, PublicFormat.PKCS1)
    key = der(3, b"\0" + RSA.public_key().public_bytes(*form))
    return as_pem(b"PUBLIC KEY", der(0x30, der(0x30, algorithm) + key))


def certificate(key: Any = RSA, *extensions: x509.ExtensionType) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "corp")])
    day = datetime(2001, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().issuer_name(name).subject_name(name).serial_number(1)
    builder = builder.not_valid_before(day).not_valid_after(day).public_key(key.public_key())
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def with_algorithm(certified: bytes, algorithm: bytes) -> bytes:
    """The same certificate, whose key has this AlgorithmIdentifier. Nobody checks its signature."""
    (_, body), signed = reader.elements(reader.only(certified, 0x30))[0], b""
    fields = reader.elements(body)
    fields[6] = (0x30, der(0x30, algorithm) + der(*reader.elements(fields[6][1])[1]))
    for element in reader.elements(reader.only(certified, 0x30))[1:]:
        signed += der(*element)
    body = b"".join(der(*field) for field in fields)
    return as_pem(b"CERTIFICATE", der(0x30, der(0x30, body) + signed))


def in_version(number: int) -> bytes:
    """A certificate that says to be of this version, counted from 0."""
    version = bytes.fromhex("a003020102")
    other = version[:-1] + bytes([number])
    return as_pem(b"CERTIFICATE", certificate().replace(version, other, 1))


def usage(*names: str) -> x509.KeyUsage:
    every = (
        *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
        *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
    )
    return x509.KeyUsage(**{name: name in names for name in every})


FITTING = [
    pytest.param(RSA_ENCRYPTION + NULL, ALL_RSA, id="rsaEncryption"),
    pytest.param(PSS, ALL_PSS, id="without parameters"),
    pytest.param(PSS + parameters(SHA256_, mgf1(SHA256_), 32), {"PS256"}, id="SHA-256"),
    pytest.param(PSS + parameters(SHA384, mgf1(SHA384), 48), {"PS384"}, id="SHA-384"),
    pytest.param(PSS + parameters(SHA512, mgf1(SHA512), 64), {"PS512"}, id="SHA-512"),
    pytest.param(PSS + parameters(SHA256_, mgf1(SHA256_)), {"PS256"}, id="a salt of 20 bytes"),
    pytest.param(PSS + parameters(SHA256_, mgf1(SHA256_), 0), {"PS256"}, id="any salt"),
    pytest.param(
        PSS + parameters(WITHOUT_NULL, mgf1(WITHOUT_NULL), 32), {"PS256"}, id="hash without NULL"
    ),
]
NOTHING_FITS = [
    pytest.param(parameters(SHA256_, mgf1(SHA256_), 33), "a salt of 33 bytes", id="longer salt"),
    pytest.param(parameters(), "SHA-1, MGF1 with SHA-1", id="the defaults, which are SHA-1"),
    pytest.param(parameters(SHA256_), "SHA-256, MGF1 with SHA-1", id="MGF1 left at SHA-1"),
    pytest.param(parameters(mask=mgf1(SHA256_)), "SHA-1, MGF1 with SHA-256", id="hash left out"),
    pytest.param(
        parameters(SHA512, mgf1(SHA256_), 64), "SHA-512, MGF1 with SHA-256", id="two hashes"
    ),
    pytest.param(parameters(SHA224, mgf1(SHA224)), "the hash 2.16.840", id="another hash"),
]


@pytest.mark.parametrize(("algorithm", "names"), FITTING)
def test_a_public_key_is_for_what_its_oid_and_parameters_allow(
    algorithm: bytes, names: set[str]
) -> None:
    assert from_pem(public_key(algorithm)).algorithms == names


@pytest.mark.parametrize(("algorithm", "names"), FITTING)
def test_so_is_the_key_of_a_certificate(algorithm: bytes, names: set[str]) -> None:
    assert from_pem(with_algorithm(certificate(), algorithm)).algorithms == names


@pytest.mark.parametrize(("algorithm", "names"), FITTING)
def test_so_is_one_of_a_file_of_keys(algorithm: bytes, names: set[str]) -> None:
    assert parse_keys(public_key(algorithm)).algorithms == names


@pytest.mark.parametrize(("fields", "why"), NOTHING_FITS)
@pytest.mark.parametrize("as_certificate", [False, True], ids=["key", "certificate"])
def test_a_key_whose_parameters_fit_no_algorithm_is_unusable(
    fields: bytes, why: str, as_certificate: bool
) -> None:
    algorithm = PSS + fields
    data = with_algorithm(certificate(), algorithm) if as_certificate else public_key(algorithm)
    with pytest.raises(UnusableKey, match=f"id-RSASSA-PSS with .*{why}.* no JWS algorithm is that"):
        from_pem(data)


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param(parameters(SHA256_, mgf1(SHA256_), 32, 2), id="another trailer"),
        pytest.param(parameters(SHA1, mgf1(SHA1)), id="defaults that are written out"),
        pytest.param(parameters(SHA256_, mgf1(SHA256_), 0x80), id="a negative salt"),
        pytest.param(parameters(SHA256_, der(0x30, SHAKE256)), id="a mask that is not MGF1"),
        pytest.param(parameters(SHA256_, mgf1(b"")), id="MGF1 without a hash"),
        pytest.param(der(0x30, der(0xA2, der(2, b" ")) * 2), id="a field twice"),
        pytest.param(der(0x30, der(0xA4, der(2, b" "))), id="an unknown field"),
        pytest.param(der(0x30, der(0x80, b" ")), id="another tag"),
        pytest.param(
            der(0x30, der(0xA1, mgf1(SHA256_)) + der(0xA0, SHA256_)), id="in another order"
        ),
        pytest.param(der(0x31, b""), id="a SET"),
        pytest.param(NULL, id="NULL, which RFC 4055 does not allow"),
        pytest.param(parameters() + parameters(), id="parameters twice"),
    ],
)
def test_parameters_that_are_malformed_open_nothing(fields: bytes) -> None:
    with pytest.raises(UnusableKey):
        from_pem(public_key(PSS + fields))
    with pytest.raises(UnusableKey):
        from_pem(with_algorithm(certificate(), PSS + fields))


@pytest.mark.parametrize(
    ("label", "body", "names"),
    [
        pytest.param(
            b"RSA PUBLIC KEY", der(0x30, PSS), ALL_PSS, id="an OID under the label of PKCS#1"
        ),
        pytest.param(b"RSA PUBLIC KEY", None, ALL_RSA, id="PKCS#1 under its own"),
    ],
)
def test_a_label_does_not_hide_the_oid(label: bytes, body: bytes | None, names: set[str]) -> None:
    key = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)
    data = der(0x30, body + der(3, b"\0" + key)) if body else key
    assert from_pem(as_pem(label, data)).algorithms == names


def test_of_several_keys_the_oid_is_that_of_the_one_that_is_used() -> None:
    restricted, free = public_key(PSS), public_pem(RSA)
    pkcs1 = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.PKCS1)
    assert from_pem(restricted + free).algorithms == ALL_PSS
    assert from_pem(restricted + pkcs1).algorithms == ALL_PSS
    assert from_pem(free + restricted).algorithms == ALL_RSA


def test_a_consumer_with_such_a_key_signs_nothing_else() -> None:
    data = public_key(PSS + parameters(SHA256_, mgf1(SHA256_), 32))
    assert credential("PS256", data).algorithms == {"PS256"}
    with pytest.raises(UnusableKey, match=r"for PS256 alone .*id-RSASSA-PSS.*; RS256 needs"):
        credential("RS256", data)


ENCRYPTED = ["aes256", "aes192-sha512", "aes128-sha1", "3des", "scrypt"]
PRIVATE = [
    pytest.param(PSS_PEM, None, id="not encrypted"),
    pytest.param(b"Bag Attributes\n\n" + PSS_PEM.replace(b"\n", b"\r\n"), None, id="between text"),
    *(
        pytest.param((VECTORS / "keys" / f"rsa-pss-{how}.pem").read_bytes(), b"pw", id=how)
        for how in ENCRYPTED
    ),
]


@pytest.mark.parametrize(("data", "password"), PRIVATE)
def test_a_private_key_signs_what_its_oid_and_parameters_allow(
    data: bytes, password: bytes | None
) -> None:
    assert from_private_pem(data, password, "PS256", "k").public is not None
    for algorithm in ("RS256", "PS384"):
        with pytest.raises(UnusableKey, match=f'"{algorithm}" can.*PS256 alone .*id-RSASSA-PSS'):
            from_private_pem(data, password, algorithm, "k")


def test_an_rsa_key_whose_encryption_hides_its_oid_is_unusable() -> None:
    data = (VECTORS / "keys" / "rsa-pss-pbes1.pem").read_bytes()
    with pytest.raises(UnusableKey, match="encrypt it anew: openssl pkcs8 -topk8 -v2"):
        from_private_pem(data, b"pw", "PS256", "k")


def test_of_two_private_keys_none_is_chosen() -> None:
    for data in (author("RS256").private_pem() + PSS_PEM, PSS_PEM + author("RS256").private_pem()):
        with pytest.raises(UnusableKey, match="more than one private key"):
            from_private_pem(data, None, "RS256", "k")


def test_the_label_of_pkcs1_does_not_hide_the_oid_of_a_private_key() -> None:
    data = PSS_PEM.replace(b"PRIVATE", b"RSA PRIVATE")
    with pytest.raises(UnusableKey):
        from_private_pem(data, None, "RS256", "k")


@pytest.mark.parametrize("key", [RSA, author("ES256").private_key], ids=["RSA", "EC"])
@pytest.mark.parametrize(
    ("extensions", "is_usable"),
    [
        pytest.param((), True, id="no keyUsage"),
        pytest.param((usage("digital_signature"),), True, id="digitalSignature"),
        pytest.param((usage("digital_signature", "key_cert_sign"),), True, id="and keyCertSign"),
        pytest.param((usage("content_commitment"),), True, id="nonRepudiation"),
        pytest.param((usage("key_cert_sign", "crl_sign"),), False, id="a CA's"),
        pytest.param((usage("key_encipherment"),), False, id="for encryption"),
        pytest.param((usage("key_agreement"),), False, id="for key agreement"),
        pytest.param(
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]),), True, id="for TLS"
        ),
        pytest.param(
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.1"), b"\x05\0"),),
            True,
            id="an unknown critical extension",
        ),
    ],
)
def test_the_key_usage_of_a_certificate_counts(
    key: Any, extensions: tuple[x509.ExtensionType, ...], is_usable: bool
) -> None:
    data = as_pem(b"CERTIFICATE", certificate(key, *extensions))
    if is_usable:
        assert from_pem(data).algorithms
    else:
        with pytest.raises(UnusableKey, match=r"neither digitalSignature nor .*RFC 5280"):
            from_pem(data)


def test_a_certificate_with_a_broken_key_usage_is_unusable() -> None:
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.15"), b"\x04\x01\x00")
    with pytest.raises(UnusableKey):
        from_pem(as_pem(b"CERTIFICATE", certificate(RSA, broken)))


EC_POINT: Final = der(
    3,
    b"\0"
    + author().private_key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
)
P_256: Final = der(6, bytes.fromhex("2a8648ce3d030107"))


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(
            as_pem(b"CERTIFICATE", certificate(RSA, X400_NAME)),
            id="an X.400 name",
        ),
        pytest.param(in_version(9), id="an unknown version"),
    ],
)
def test_a_certificate_that_can_not_be_read_is_unusable_and_says_so(data: bytes) -> None:
    with pytest.raises(UnusableKey, match="certificate can't be read"):
        from_pem(data)


def explicit_p256(generator: str) -> bytes:
    """SpecifiedECDomain of P-256 (SEC 1, C.2), with this x of its generator."""
    prime, a, b, order = (
        bytes.fromhex(number)
        for number in (
            "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff",
            "ffffffff00000001000000000000000000000000fffffffffffffffffffffffc",
            "5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b",
            "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551",
        )
    )
    y = bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
    prime_field = der(6, bytes.fromhex("2a8648ce3d0101")) + der(2, b"\0" + prime)
    return der(
        0x30,
        der(2, b"\x01")
        + der(0x30, prime_field)
        + der(0x30, der(4, a) + der(4, b))
        + der(4, b"\x04" + bytes.fromhex(generator) + y)
        + der(2, b"\0" + order)
        + der(2, b"\x01"),
    )


OWN_GENERATOR: Final = "6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"


@pytest.mark.parametrize(
    ("oid", "curve", "is_usable"),
    [
        pytest.param("2a8648ce3d0201", P_256, True, id="id-ecPublicKey"),
        pytest.param("2b8104010c", P_256, False, id="id-ecDH, for key agreement"),
        pytest.param("2b8104010d", P_256, False, id="id-ecMQV, for key agreement"),
        pytest.param(
            "2a8648ce3d0201", explicit_p256(OWN_GENERATOR), True, id="a known curve, spelled out"
        ),
        pytest.param(
            "2a8648ce3d0201",
            explicit_p256("6b" * 32),
            False,
            id="with another generator (CVE-2020-0601)",
        ),
    ],
)
def test_an_ec_key_is_for_signatures_on_a_known_curve(
    oid: str, curve: bytes, is_usable: bool
) -> None:
    algorithm = der(0x30, der(6, bytes.fromhex(oid)) + curve)
    data = as_pem(b"PUBLIC KEY", der(0x30, algorithm + EC_POINT))
    if is_usable:
        assert from_pem(data).algorithms == {"ES256"}
    else:
        with pytest.raises(UnusableKey):
            from_pem(data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(public_key(OAEP), id="id-RSAES-OAEP, for encryption"),
        pytest.param(public_key(OAEP + NULL), id="with NULL"),
        pytest.param(public_pem(dsa.generate_private_key(2048)), id="DSA"),
    ],
)
def test_a_key_for_something_else_says_so(data: bytes) -> None:
    with pytest.raises(UnusableKey, match="no JWS algorithm uses"):
        from_pem(data)


@given(st.binary(max_size=40))
def test_what_is_read_as_der_is_in_the_one_form_of_der(data: bytes) -> None:
    try:
        found = reader.elements(data)
    except ValueError:
        return
    again = b""
    for tag, content in found:
        size = len(content)
        again += bytes([tag, size]) if size < 128 else bytes([tag, 0x81, size])
        again += content
    assert again == data


@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_of_algorithms_fail_otherwise(data: bytes) -> None:
    for read in (reader.algorithm, reader.integer, reader.octets):
        for tag in (0x02, 0x04, 0x30):
            try:
                read((tag, data))
            except ValueError:
                continue


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x30\x80\x00\x00", id="no length"),
        pytest.param(b"\x30\x81\x01\x00", id="a long form for a short length"),
        pytest.param(b"\x30\x82\x00\x80" + bytes(128), id="a length with a zero before it"),
        pytest.param(b"\x30\x02\x00", id="cut short"),
        pytest.param(b"\x30", id="a tag alone"),
        pytest.param(b"\x3f\x81\x01\x00", id="a long tag"),
    ],
)
def test_what_only_ber_allows_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"an element|a length"):
        reader.elements(data)


@pytest.mark.parametrize(
    ("content", "oid"),
    [
        ("2a864886f70d01010a", "1.2.840.113549.1.1.10"),
        ("2b0e03021a", "1.3.14.3.2.26"),
        ("883703", "2.999.3"),
        ("00", "0.0"),
    ],
)
def test_an_oid_is_shown_in_dotted_form(content: str, oid: str) -> None:
    assert reader.algorithm((0x30, der(6, bytes.fromhex(content)))) == (oid, [])


@pytest.mark.parametrize("content", ["", "80", "2a80", "2a8001", "2a86"])
def test_an_oid_in_another_form_is_refused(content: str) -> None:
    """Or two spellings of one OID would be two algorithms."""
    with pytest.raises(ValueError, match=r"OID|AlgorithmIdentifier"):
        reader.algorithm((0x30, der(6, bytes.fromhex(content))))


def test_an_ec_key_has_no_restriction() -> None:
    assert from_pem(public_pem(ec.generate_private_key(ec.SECP256R1()))).restriction is None
