"""Attacks on algorithms, keys and signatures, each with where it is known from."""

import hmac

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from sidecar.token.keyset import KeySet
from sidecar.token.reason import Reason
from sidecar.token.snapshot import Consumers, Issuer
from tests.attacks import Attack, assert_fails, attack
from tests.authors import ALL_ALGORITHMS, CORP, STRANGER, Author, author, key_set
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
OCT = {"kty": "oct", "k": encode(SECRET), "kid": "key-1"}

RSA_CORP = issuer(keys=key_set(RSA))
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


def as_jack(by: Author) -> str:
    return mint(by, iss=ABSENT, key=JACK_KEY)


def forged(**header: object) -> str:
    return mint(STRANGER, header=header)


def cut_hmac() -> str:
    text = as_jack(JACK).rpartition(".")[0]
    return f"{text}.{encode(hmac.digest(JACK.private_key, text.encode(), 'sha256')[:1])}"


def in_der() -> str:
    good = CORP.sign(head().encode())
    r, s = int.from_bytes(good[:32], "big"), int.from_bytes(good[32:], "big")
    return signed_with(encode_dss_signature(r, s))


def spliced() -> str:
    return ".".join((mint(header={"x": 1}).split(".")[0], *mint().split(".")[1:]))


def alg_twice(second: bytes) -> str:
    return sign(b'{"alg":"ES256",' + second + b':"none","kid":"key-1"}', dict(CLAIMS))


ATTACKS = [
    attack("alg none", "CVE-2015-9235", lambda: unsigned("none"), MALFORMED),
    attack("none, signed", "CVE-2018-1000531", lambda: mint(header={"alg": "none"}), ALGORITHM),
    attack("nOnE", "RFC 8725, 2.1", lambda: mint(header={"alg": "nOnE"}), ALGORITHM),
    attack("alg empty", "CVE-2022-23540", lambda: mint(header={"alg": ""}), ALGORITHM),
    attack("alg absent", "CVE-2022-23540", lambda: mint(header={"alg": ABSENT}), ALGORITHM),
    attack("alg null", "RFC 7515, 4.1.1", lambda: mint(header={"alg": None}), MALFORMED),
    attack("alg an array", "RFC 7515, 4.1.1", lambda: mint(header={"alg": ["ES256"]}), MALFORMED),
    attack("alg twice", "RFC 7515, 10.12", lambda: alg_twice(b'"alg"'), MALFORMED),
    attack("alg twice, escaped", "RFC 7515, 10.13", lambda: alg_twice(rb'"\u0061lg"'), MALFORMED),
    attack("ES256K", "RFC 8812, 3.2", lambda: mint(header={"alg": "ES256K"}), KEY),
    attack("signature emptied", "CVE-2020-28042", lambda: f"{head()}.", MALFORMED),
    attack("signature left out", "CVE-2020-28042", head, MALFORMED),
    attack(
        "RSA key in PEM as secret",
        "CVE-2015-9235",
        lambda: hmac_of(PEM),
        ALGORITHM,
        RSA_CORP,
    ),
    attack("the same, HS256 listed", "CVE-2016-5431", lambda: hmac_of(PEM), KEY, LAX),
    attack(
        "PEM after white space",
        "CVE-2026-34950",
        lambda: hmac_of(b"\n" + PEM),
        KEY,
        LAX,
    ),
    attack("EC key as secret", "CVE-2022-29217", lambda: hmac_of(CORP.public_pem()), KEY, LAX),
    attack("JWK as secret", "CVE-2023-48238", lambda: hmac_of(as_json(RSA.jwk())), KEY, LAX),
    attack("n as secret", "CVE-2024-37568", lambda: hmac_of(RSA.jwk()["n"].encode()), KEY, LAX),
    attack("JWK without alg", "CVE-2026-22817", lambda: hmac_of(PEM.strip()), ALGORITHM, RSA_CORP),
    attack("empty secret", "CVE-2019-20933", lambda: hmac_of(b""), KEY, LAX),
    attack(
        "empty secret of a consumer",
        "CVE-2019-20933",
        lambda: as_jack(Author("HS256", b"", None)),
        SIGNATURE,
        BOTH,
    ),
    attack("HMAC of one byte", "CVE-2009-0217", cut_hmac, SIGNATURE, BOTH),
    attack("secret in the key set", "RFC 8725, 3.1", lambda: hmac_of(SECRET), KEY, HMAC_CORP),
    attack("jwk", "CVE-2018-0114", lambda: forged(jwk=STRANGER.jwk()), SIGNATURE),
    attack(
        "jwk, no kid", "CVE-2018-0114", lambda: forged(jwk=STRANGER.jwk(), kid=ABSENT), SIGNATURE
    ),
    attack(
        "jwk where no key is",
        "CVE-2026-27962",
        lambda: forged(jwk=STRANGER.jwk()),
        NOT_FOUND,
        EMPTY,
    ),
    attack("jwk of a secret", "CVE-2018-0114", lambda: hmac_of(SECRET, jwk=OCT), KEY, LAX),
    attack("jku", "RFC 8725, 3.10", lambda: forged(jku="https://evil.example/k"), SIGNATURE),
    attack("x5u", "RFC 8725, 3.10", lambda: forged(x5u="https://evil.example/c"), SIGNATURE),
    attack("x5c", "RFC 7515, 4.1.6", lambda: forged(x5c=["MIIB"]), SIGNATURE),
    attack("kid a path", "RFC 8725, 3.10", lambda: forged(kid="../../dev/null"), NOT_FOUND),
    attack("kid SQL", "RFC 8725, 3.10", lambda: forged(kid="x' UNION SELECT 'k"), NOT_FOUND),
    attack("kid a URL", "RFC 8725, 3.10", lambda: forged(kid="http://169.254.1.1/"), NOT_FOUND),
    attack("kid of another issuer", "RFC 8725, 3.8", lambda: forged(), SIGNATURE, issuer(), OTHER),
    attack(
        "iss of another issuer",
        "RFC 8725, 3.8",
        lambda: mint(STRANGER, iss=ISSUER),
        SIGNATURE,
        issuer(),
        OTHER,
    ),
    attack(
        "issuer named, other's token",
        "RFC 8725, 3.8",
        lambda: mint(STRANGER, iss=OTHER_ISS),
        Reason.ISSUER_MISMATCH,
        issuer(),
        OTHER,
        issuer_name="corp",
    ),
    attack("zeros", "CVE-2022-21449", lambda: signed_with(bytes(64)), SIGNATURE),
    attack("DER", "RFC 7518, 3.4", in_der, SIGNATURE),
    attack(
        "zero appended to EdDSA",
        "CVE-2024-42459",
        lambda: signed_with(EDWARDS.sign(head(EDWARDS).encode()) + b"\0", EDWARDS),
        SIGNATURE,
        EDWARDS_CORP,
    ),
    attack(
        "RSA signature of 0",
        "CVE-2006-4339",
        lambda: signed_with(bytes(256), RSA),
        SIGNATURE,
        RSA_CORP,
    ),
    attack(
        "RSA signature of 1",
        "CVE-2006-4339",
        lambda: signed_with((1).to_bytes(256, "big"), RSA),
        SIGNATURE,
        RSA_CORP,
    ),
    attack(
        "PSS taken for PKCS #1",
        "RFC 8725, 3.1",
        lambda: mint(RSA.using("PS256"), header={"alg": "RS256"}),
        SIGNATURE,
        RSA_CORP,
    ),
    attack("another token's header", "RFC 7515, 5.2", spliced, SIGNATURE),
    attack("one consumer as another", "RFC 8725, 3.8", lambda: as_jack(JILL), SIGNATURE, BOTH),
    attack(
        "a consumer as an issuer",
        "RFC 8725, 3.8",
        lambda: mint(JACK, key=JACK_KEY),
        ALGORITHM,
        issuer(),
        BOTH,
    ),
]


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
        pytest.param(mint(STRANGER, iss=OTHER_ISS), OTHER, id="OTHER"),
        pytest.param(as_jack(JACK), BOTH, id="BOTH"),
    ],
)
def test_without_the_attack_the_token_passes(token: str, party: Issuer | Consumers) -> None:
    assert_passes(judge(token, party))
