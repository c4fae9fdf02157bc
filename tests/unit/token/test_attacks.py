"""Attacks on algorithms, keys and signatures, each with where it is known from."""

import hashlib
import hmac
from dataclasses import replace
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sidecar.token.key import from_pem
from sidecar.token.keyset import KeySet
from sidecar.token.reason import Reason
from sidecar.token.snapshot import Consumers, Issuer
from tests.attacks import Attack, assert_fails, attack
from tests.authors import (
    ALL_ALGORITHMS,
    CORP,
    STRANGER,
    VECTORS,
    Author,
    author,
    key_set,
    rsa_key,
)
from tests.tokens import (
    ABSENT,
    CLAIMS,
    ISSUER,
    JACK,
    JACK_KEY,
    as_json,
    assert_passes,
    consumer,
    consumers,
    encode,
    header_of,
    issuer,
    judge,
    mint,
    sign,
)

OTHER_ISS = "https://other.example"
RSA, EDWARDS = author("RS256"), author("Ed25519")
JILL = author("HS256", None, other=1)
SECRET, PEM = b"k" * 32, RSA.public_pem()
WEAK = replace(RSA, private_key=rsa_key("rsa-2047"))
P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
ED25519_ORDER = 2**252 + 27742317777372353535851937790883648493
OCT = {"kty": "oct", "k": encode(SECRET), "kid": "key-1"}

RSA_CORP = issuer(keys=key_set(RSA))
PSS = Author("PS256", rsa_key("rsa-pss"), None)
PSS_CORP = issuer(
    keys=KeySet((from_pem((VECTORS / "keys" / "rsa-pss-public.pem").read_bytes()),)),
    algorithms=frozenset(ALL_ALGORITHMS),
)
EDWARDS_CORP = issuer(keys=key_set(EDWARDS))
LAX = issuer(keys=key_set(RSA, CORP), algorithms=frozenset(ALL_ALGORITHMS))
HMAC_CORP = issuer(keys=key_set(OCT), algorithms=frozenset({"HS256"}))
OTHER = issuer("other", OTHER_ISS, key_set(STRANGER))
EMPTY = issuer(keys=KeySet(()))
BOTH = consumers(consumer("jack", JACK), consumer("jill", JILL))

ALGORITHM, SIGNATURE = Reason.ALGORITHM_NOT_ALLOWED, Reason.SIGNATURE_INVALID
KEY, NOT_FOUND, MALFORMED = Reason.KEY_MISMATCH, Reason.KEY_NOT_FOUND, Reason.TOKEN_MALFORMED


def unsigned(alg: str) -> str:
    return f"{encode(as_json(header_of(alg=alg)))}.{encode(as_json(dict(CLAIMS)))}."


def head(by: Author = CORP) -> str:
    """What is signed of a good token."""
    return mint(by).rpartition(".")[0]


def signed_with(signature: bytes, by: Author = CORP) -> str:
    return f"{head(by)}.{encode(signature)}"


def hmac_of(secret: bytes, **header: object) -> str:
    return mint(Author("HS256", secret, "key-1"), header=header)


def as_jack(by: Author, **claims: Any) -> str:
    return mint(by, iss=ABSENT, key=JACK_KEY, **claims)


def forged(**header: object) -> str:
    return mint(STRANGER, header=header)


def public_bytes(by: Author, encoding: Encoding, form: PublicFormat) -> bytes:
    return cast(bytes, by.private_key.public_key().public_bytes(encoding, form))


def publishing(by: Author, **members: object) -> Issuer:
    """CORP, where it publishes this key with these members changed."""
    return issuer(keys=key_set({**by.jwk(), **members}))


def cut_hmac() -> str:
    text = as_jack(JACK).rpartition(".")[0]
    return f"{text}.{encode(hmac.digest(JACK.private_key, text.encode(), 'sha256')[:1])}"


def halves() -> tuple[int, int]:
    """The two numbers of a good ECDSA signature of head()."""
    good = CORP.sign(head().encode())
    return int.from_bytes(good[:32], "big"), int.from_bytes(good[32:], "big")


def in_der() -> str:
    return signed_with(encode_dss_signature(*halves()))


def in_ber() -> str:
    """With the length in two bytes, where one is enough."""
    der = encode_dss_signature(*halves())
    return signed_with(der[:1] + b"\x81" + der[1:])


def halves_padded() -> str:
    return signed_with(b"".join(number.to_bytes(33, "big") for number in halves()))


def same_point() -> str:
    """EdDSA's S with the order of the group added, which a lax check takes for the same."""
    good = EDWARDS.sign(head(EDWARDS).encode())
    number = int.from_bytes(good[32:], "little") + ED25519_ORDER
    return signed_with(good[:32] + number.to_bytes(32, "little"), EDWARDS)


def padded_hash() -> bytes:
    """How PKCS #1 version 1.5 begins the hash of head(RSA), with the shortest padding."""
    hashed = hashlib.sha256(head(RSA).encode()).digest()
    return b"\0\1\xff\0" + bytes.fromhex("3031300d060960864801650304020105000420") + hashed


def cube_root() -> str:
    """A number whose cube begins as the padded hash does, and ends in rubbish."""
    target = int.from_bytes(padded_hash().ljust(256, b"\0"), "big")
    low, high = 0, 1 << 700
    while low < high:
        middle = (low + high) // 2
        low, high = (middle + 1, high) if middle**3 < target else (low, middle)
    return signed_with(low.to_bytes(256, "big"), RSA)


def no_power() -> str:
    """The padded hash itself, which is its own first power."""
    return signed_with(padded_hash()[:2].ljust(204, b"\xff") + padded_hash()[3:], RSA)


def spliced() -> str:
    return ".".join((mint(header={"x": 1}).split(".")[0], *mint().split(".")[1:]))


def alg_twice(second: bytes) -> str:
    return sign(b'{"alg":"ES256",' + second + b':"none","kid":"key-1"}', dict(CLAIMS))


ON_ALGORITHMS = [
    attack("alg none, no signature", "CVE-2024-48916", lambda: unsigned("none"), MALFORMED),
    attack(
        "alg none with a signature",
        "CVE-2018-1000531",
        lambda: mint(header={"alg": "none"}),
        ALGORITHM,
    ),
    attack("alg nOnE", "RFC 8725, 2.1", lambda: mint(header={"alg": "nOnE"}), ALGORITHM),
    attack("an empty alg", "RFC 7515, 4.1.1", lambda: mint(header={"alg": ""}), ALGORITHM),
    attack("no alg", "RFC 7515, 4.1.1", lambda: mint(header={"alg": ABSENT}), ALGORITHM),
    attack(
        "Alg in place of alg",
        "RFC 7515, 4",
        lambda: mint(header={"alg": ABSENT, "Alg": "ES256"}),
        ALGORITHM,
    ),
    attack("alg null", "RFC 7515, 4.1.1", lambda: mint(header={"alg": None}), MALFORMED),
    attack("alg an array", "RFC 7515, 4.1.1", lambda: mint(header={"alg": ["ES256"]}), MALFORMED),
    attack("alg twice", "RFC 7515, 10.12", lambda: alg_twice(b'"alg"'), MALFORMED),
    attack(
        "alg twice, once with an escape",
        "RFC 7515, 10.13",
        lambda: alg_twice(rb'"\u0061lg"'),
        MALFORMED,
    ),
    attack(
        "alg in lower case", "RFC 7515, 4.1.1", lambda: mint(header={"alg": "es256"}), ALGORITHM
    ),
    attack(
        "an alg for encryption, in three parts",
        "CVE-2023-51774",
        lambda: mint(header={"alg": "RSA-OAEP", "enc": "A256GCM"}),
        ALGORITHM,
    ),
    attack("another curve's alg", "RFC 8725, 3.1", lambda: mint(header={"alg": "ES384"}), KEY),
    attack(
        "an alg that the issuer doesn't list",
        "RFC 8725, 3.1",
        lambda: mint(RSA),
        ALGORITHM,
        issuer(keys=key_set(RSA), algorithms=frozenset({"PS256"})),
    ),
    attack(
        "an alg that is not the key's own",
        "RFC 8725, 3.1",
        lambda: mint(RSA),
        KEY,
        publishing(RSA, alg="PS256"),
    ),
    attack(
        "an alg that is not the consumer's own",
        "RFC 8725, 3.1",
        lambda: as_jack(Author("HS512", JACK.private_key * 2, None)),
        ALGORITHM,
        BOTH,
    ),
]

ON_SECRETS = [
    attack(
        "HS256 with the RSA key in PEM as secret",
        "CVE-2015-9235",
        lambda: hmac_of(PEM),
        ALGORITHM,
        RSA_CORP,
    ),
    attack("the same, where HS256 is listed", "CVE-2016-5431", lambda: hmac_of(PEM), KEY, LAX),
    attack(
        "the same, where the key set gives no alg",
        "CVE-2026-22817",
        lambda: hmac_of(PEM.strip()),
        ALGORITHM,
        RSA_CORP,
    ),
    attack(
        "the same, white space before the PEM",
        "CVE-2026-34950",
        lambda: hmac_of(b"\n" + PEM),
        KEY,
        LAX,
    ),
    attack(
        "the same, PEM with other line ends",
        "CVE-2026-102268",
        lambda: hmac_of(PEM.replace(b"\n", b"\r")),
        KEY,
        LAX,
    ),
    attack(
        "the same, BEGIN RSA PUBLIC KEY",
        "CVE-2023-48223",
        lambda: hmac_of(public_bytes(RSA, Encoding.PEM, PublicFormat.PKCS1)),
        KEY,
        LAX,
    ),
    attack(
        "the same, key in DER",
        "CVE-2026-85394",
        lambda: hmac_of(public_bytes(RSA, Encoding.DER, PublicFormat.SubjectPublicKeyInfo)),
        KEY,
        LAX,
    ),
    attack(
        "the same, key in OpenSSH's form",
        "CVE-2024-33663",
        lambda: hmac_of(public_bytes(CORP, Encoding.OpenSSH, PublicFormat.OpenSSH)),
        KEY,
        LAX,
    ),
    attack("the same, EC key", "CVE-2022-29217", lambda: hmac_of(CORP.public_pem()), KEY, LAX),
    attack("the same, JWK", "CVE-2026-48526", lambda: hmac_of(as_json(RSA.jwk())), KEY, LAX),
    attack(
        "the same, only n of the JWK",
        "CVE-2024-37568",
        lambda: hmac_of(RSA.jwk()["n"].encode()),
        KEY,
        LAX,
    ),
    attack("HS256 with an empty secret", "CVE-2019-20933", lambda: hmac_of(b""), KEY, LAX),
    attack(
        "a consumer's token with an empty secret",
        "CVE-2019-20933",
        lambda: as_jack(Author("HS256", b"", None)),
        SIGNATURE,
        BOTH,
    ),
    attack(
        "a consumer's token with a guessed secret",
        "RFC 8725, 2.2",
        lambda: as_jack(Author("HS256", b"secret", None)),
        SIGNATURE,
        BOTH,
    ),
    attack("an HMAC cut to one byte", "CVE-2009-0217", cut_hmac, SIGNATURE, BOTH),
    attack("a secret in the key set", "RFC 8725, 3.1", lambda: hmac_of(SECRET), KEY, HMAC_CORP),
]

ON_KEYS = [
    attack(
        "RS256 with a key for RSASSA-PSS",
        "RFC 4055, 1.2",
        lambda: mint(PSS.using("RS256")),
        KEY,
        PSS_CORP,
    ),
    attack(
        "PS512 with a key for RSASSA-PSS with SHA-256",
        "RFC 4055, 3.3",
        lambda: mint(PSS.using("PS512")),
        KEY,
        PSS_CORP,
    ),
    attack(
        "the forger's key in jwk", "CVE-2018-0114", lambda: forged(jwk=STRANGER.jwk()), SIGNATURE
    ),
    attack(
        "the forger's key in jwk, no kid",
        "CVE-2018-0114",
        lambda: forged(jwk=STRANGER.jwk(), kid=ABSENT),
        SIGNATURE,
    ),
    attack(
        "the forger's key in jwk, where the issuer has none",
        "CVE-2026-27962",
        lambda: forged(jwk=STRANGER.jwk()),
        NOT_FOUND,
        EMPTY,
    ),
    attack(
        "the forger's secret in jwk",
        "CVE-2018-0114",
        lambda: hmac_of(SECRET, jwk=OCT),
        KEY,
        LAX,
    ),
    attack(
        "the forger's URL in jku",
        "RFC 8725, 3.10",
        lambda: forged(jku="https://evil.example/k"),
        SIGNATURE,
    ),
    attack(
        "jku by a redirect of the issuer's own host",
        "PortSwigger",
        lambda: forged(jku=f"{ISSUER}/login?next=https://evil.example/k"),
        SIGNATURE,
    ),
    attack(
        "the forger's URL in x5u",
        "RFC 8725, 3.10",
        lambda: forged(x5u="https://evil.example/c"),
        SIGNATURE,
    ),
    attack(
        "the forger's certificate in x5c",
        "RFC 7515, 4.1.6",
        lambda: forged(x5c=["MIIB"]),
        SIGNATURE,
    ),
    attack(
        "kid a path to an empty file",
        "PortSwigger",
        lambda: hmac_of(b"", kid="../../../dev/null"),
        NOT_FOUND,
        LAX,
    ),
    attack(
        "kid with SQL that selects the secret",
        "RFC 8725, 3.10",
        lambda: hmac_of(b"k", kid="x' UNION SELECT 'k"),
        NOT_FOUND,
        LAX,
    ),
    attack("kid with LDAP", "RFC 8725, 3.10", lambda: forged(kid="*)(uid=*"), NOT_FOUND),
    attack("kid a URL", "RFC 8725, 3.10", lambda: forged(kid="http://169.254.1.1/"), NOT_FOUND),
    attack("kid in another case", "RFC 7515, 4.1.4", lambda: forged(kid="KEY-1"), NOT_FOUND),
    attack("kid a number", "RFC 7515, 4.1.4", lambda: forged(kid=1), MALFORMED),
    attack("kid without an end", "CVE-2025-61920", lambda: forged(kid="k" * 1025), MALFORMED),
    attack(
        "another issuer's key under the same kid",
        "RFC 8725, 3.8",
        lambda: forged(),
        SIGNATURE,
        issuer(),
        OTHER,
    ),
    attack(
        "a second key under the same kid",
        "RFC 7517, 4.5",
        lambda: forged(),
        SIGNATURE,
        issuer(keys=key_set(CORP, STRANGER)),
    ),
    attack(
        "another issuer's token with this one's iss",
        "RFC 8725, 3.8",
        lambda: mint(STRANGER, iss=ISSUER),
        SIGNATURE,
        issuer(),
        OTHER,
    ),
    attack(
        "another issuer's token where one is named",
        "RFC 8725, 3.8",
        lambda: mint(STRANGER, iss=OTHER_ISS),
        Reason.ISSUER_MISMATCH,
        issuer(),
        OTHER,
        issuer_name="corp",
    ),
    attack("one consumer as another", "RFC 8725, 3.8", lambda: as_jack(JILL), SIGNATURE, BOTH),
    attack(
        "a consumer that grants itself a scope",
        "CWE-269",
        lambda: as_jack(JACK, scope="admin:write"),
        Reason.SCOPE_INSUFFICIENT,
        BOTH,
        scopes=("admin:write",),
    ),
    attack(
        "a consumer that grants itself a role",
        "CWE-269",
        lambda: as_jack(JACK, roles=["admin"]),
        Reason.CLAIM_MISSING,
        BOTH,
        claims={"roles": "admin"},
    ),
    attack(
        "a consumer that calls itself by a user's sub",
        "CWE-269",
        lambda: as_jack(JACK, sub="alice"),
        Reason.CLAIM_MISSING,
        BOTH,
        claims={"sub": "alice"},
    ),
    attack(
        "a consumer that names itself an audience",
        "CWE-269",
        lambda: as_jack(JACK, aud="billing"),
        Reason.AUDIENCE_MISMATCH,
        BOTH,
        audiences=("billing",),
    ),
    attack(
        "a consumer as an issuer",
        "RFC 8725, 3.8",
        lambda: mint(JACK, key=JACK_KEY),
        ALGORITHM,
        issuer(),
        BOTH,
    ),
    attack(
        "a key that is published for encryption",
        "RFC 7517, 4.2",
        lambda: mint(RSA),
        KEY,
        publishing(RSA, use="enc"),
    ),
    attack(
        "a key whose private half is published",
        "RFC 7517, 9.2",
        lambda: mint(RSA),
        KEY,
        publishing(RSA, **RSA.private_jwk()),
    ),
    attack(
        "an RSA key that is too short",
        "RFC 7518, 3.3",
        lambda: mint(WEAK),
        Reason.KEY_TOO_WEAK,
        issuer(keys=key_set(WEAK)),
    ),
    attack(
        "an RSA key with the exponent 1", "RFC 8725, 3.4", no_power, KEY, publishing(RSA, e="AQ")
    ),
    attack(
        "an RSA key with an exponent of 2048 bits",
        "CVE-2006-2940",
        lambda: mint(RSA),
        Reason.KEY_TOO_WEAK,
        publishing(RSA, e=encode(b"\x80" + bytes(254) + b"\1")),
    ),
    attack(
        "an EC key off its curve",
        "CVE-2017-12974",
        lambda: mint(),
        KEY,
        publishing(CORP, y=STRANGER.jwk()["y"]),
    ),
]

ON_SIGNATURES = [
    attack(
        "a signature for any token, with a key of small order",
        "RFC 8725, 3.4",
        lambda: signed_with(b"\1" + bytes(63), EDWARDS),
        Reason.KEY_TOO_WEAK,
        publishing(EDWARDS, x=encode(b"\1" + bytes(31))),
    ),
    attack("the signature emptied", "CVE-2020-28042", lambda: f"{head()}.", MALFORMED),
    attack("the signature left out", "CVE-2020-28042", head, MALFORMED),
    attack(
        "an ECDSA signature of zeros", "CVE-2022-21449", lambda: signed_with(bytes(64)), SIGNATURE
    ),
    attack("the same in DER", "CVE-2022-21449", lambda: f"{head()}.MAYCAQACAQA", SIGNATURE),
    attack(
        "the same with the curve's order",
        "CVE-2022-21449",
        lambda: signed_with(P256_ORDER.to_bytes(32, "big") * 2),
        SIGNATURE,
    ),
    attack("an ECDSA signature in DER", "RFC 7518, 3.4", in_der, SIGNATURE),
    attack("an ECDSA signature in BER", "CVE-2024-42461", in_ber, SIGNATURE),
    attack("an ECDSA signature with zeros put in", "RFC 7518, 3.4", halves_padded, SIGNATURE),
    attack(
        "an EdDSA signature with a zero appended",
        "CVE-2024-42459",
        lambda: signed_with(EDWARDS.sign(head(EDWARDS).encode()) + b"\0", EDWARDS),
        SIGNATURE,
        EDWARDS_CORP,
    ),
    attack(
        "an EdDSA signature whose S is not reduced",
        "RFC 8032, 5.1.7",
        same_point,
        SIGNATURE,
        EDWARDS_CORP,
    ),
    attack(
        "an RSA signature of 0",
        "Wycheproof",
        lambda: signed_with(bytes(256), RSA),
        SIGNATURE,
        RSA_CORP,
    ),
    attack(
        "an RSA signature of 1",
        "Wycheproof",
        lambda: signed_with((1).to_bytes(256, "big"), RSA),
        SIGNATURE,
        RSA_CORP,
    ),
    attack(
        "an RSA signature with a zero before it",
        "RFC 8017, 8.2.2",
        lambda: signed_with(b"\0" + RSA.sign(head(RSA).encode()), RSA),
        SIGNATURE,
        RSA_CORP,
    ),
    attack(
        "a cube root for a key with the exponent 3",
        "CVE-2006-4339",
        cube_root,
        SIGNATURE,
        publishing(RSA, e="Aw"),
    ),
    attack(
        "PSS called PKCS #1",
        "RFC 8725, 3.1",
        lambda: mint(RSA.using("PS256"), header={"alg": "RS256"}),
        SIGNATURE,
        RSA_CORP,
    ),
    attack("another token's header", "RFC 7515, 5.2", spliced, SIGNATURE),
]

ATTACKS = [*ON_ALGORITHMS, *ON_SECRETS, *ON_KEYS, *ON_SIGNATURES]


@pytest.mark.parametrize("one", ATTACKS)
def test_an_attack_fails(one: Attack) -> None:
    assert_fails(one)


@pytest.mark.parametrize(
    ("token", "party"),
    [
        pytest.param(mint(), issuer(), id="CORP"),
        pytest.param(mint(RSA), RSA_CORP, id="RSA_CORP"),
        pytest.param(mint(EDWARDS), EDWARDS_CORP, id="EDWARDS_CORP"),
        pytest.param(mint(RSA), LAX, id="LAX"),
        pytest.param(mint(PSS), PSS_CORP, id="PSS_CORP"),
        pytest.param(mint(STRANGER, iss=OTHER_ISS), OTHER, id="OTHER"),
        pytest.param(as_jack(JACK), BOTH, id="BOTH"),
    ],
)
def test_without_the_attack_the_token_passes(token: str, party: Issuer | Consumers) -> None:
    assert_passes(judge(token, party))
