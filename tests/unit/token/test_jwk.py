"""Which JWKs make a key, and which are set aside.

RFC 7517; RFC 7518, section 6; RFC 8037; RFC 8812; RFC 9964.
"""

import contextlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import given
from hypothesis import strategies as st

from sidecar.token.jwk import from_jwk, public_jwk, thumbprint
from sidecar.token.key import UnusableKey, from_public_key
from sidecar.token.keyset import from_jwks
from sidecar.token.reason import Reason
from tests.authors import ALL_ALGORITHMS, CORP, Author, author, rsa_key
from tests.tokens import assert_passes, encode, issuer, judge, mint

RSA, EC, OKP = author("RS256", "bad"), author("ES256", "bad"), author("Ed25519", "bad")
K256, AKP = author("ES256K", "bad"), author("ML-DSA-44", "bad")
P384, X448 = author("ES384", "bad"), author("Ed448", "bad")
ODD_2048 = 2**2047 + 1
# The prime of secp256k1's field, and the y of its points with x = 1 (SEC 2, section 2.4.1).
P_K256 = 2**256 - 2**32 - 977
Y_OF_1 = pow(1 + 7, (P_K256 + 1) // 4, P_K256)


def number(value: int) -> str:
    return encode(value.to_bytes((value.bit_length() + 7) // 8 or 1, "big"))


def weak(name: str) -> dict[str, Any]:
    numbers = rsa_key(name).public_key().public_numbers()
    return RSA.jwk(n=number(numbers.n), e=number(numbers.e))


def flipped(text: str) -> str:
    return ("B" if text[0] == "A" else "A") + text[1:]


MEMBERS = ["kty", "crv", "alg", "use", "key_ops", "kid", "x", "y", "n", "e", "pub", "d", "priv"]
VALUES = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.text(), st.lists(st.text(), max_size=2)),
    st.sampled_from(["RSA", "EC", "OKP", "AKP", "P-256", "secp256k1", "Ed448", *ALL_ALGORITHMS]),
    st.binary(max_size=70).map(encode),
    st.sampled_from([31, 32, 33, 57, 1312, 1952, 2592]).map(lambda size: encode(bytes(size))),
)
"""What the members of a JWK may be changed to."""
BAD: list[Any] = [
    pytest.param(None, "it is null", id="null"),
    pytest.param("key", "it is a string", id="a string"),
    pytest.param([], "it is an array", id="an array"),
    pytest.param({}, 'no "kty"', id="an empty object"),
    pytest.param(EC.jwk(kty=None), 'no "kty"', id="no kty"),
    pytest.param(EC.jwk(kty=1), '"kty" is no string', id="kty is a number"),
    pytest.param(EC.jwk(kty="ec"), "known are AKP, EC, OKP, RSA", id="kty in lower case"),
    pytest.param(EC.jwk(kty="PQC"), '"PQC"', id="an unknown kty"),
    pytest.param(EC.jwk(kty="RSA"), 'no "n"', id="the kty of another"),
    pytest.param({"kty": "oct", "k": "A" * 43}, "never comes from a key set", id="a secret"),
    pytest.param({"kty": "oct", "alg": "HS256"}, "symmetric", id="a secret without k"),
    pytest.param({**RSA.private_jwk(), "kid": "bad"}, "private members", id="private RSA"),
    pytest.param({**EC.private_jwk(), "kid": "bad"}, "private members", id="private EC"),
    pytest.param({**OKP.private_jwk(), "kid": "bad"}, "private members", id="private OKP"),
    pytest.param(EC.jwk(k="AAAA"), r"private members \(k\)", id="a secret beside the point"),
    pytest.param(EC.jwk(use="enc"), "use is", id="use is enc"),
    pytest.param(EC.jwk(use=""), "use is", id="use is empty"),
    pytest.param(EC.jwk(use=["sig"]), "use is", id="use is an array"),
    pytest.param(EC.jwk(key_ops=["sign"]), "key_ops", id="key_ops without verify"),
    pytest.param(EC.jwk(key_ops=[]), "key_ops", id="key_ops is empty"),
    pytest.param(EC.jwk(key_ops="verify"), "key_ops", id="key_ops is a string"),
    pytest.param(EC.jwk(key_ops={"verify": 1}), "key_ops", id="key_ops is an object"),
    pytest.param(EC.jwk(alg="RS256"), 'alg is "RS256", but it is an EC', id="alg of another type"),
    pytest.param(EC.jwk(alg="ES384"), 'alg is "ES384"', id="alg of another curve"),
    pytest.param(EC.jwk(alg="none"), 'alg is "none"', id="alg is none"),
    pytest.param(EC.jwk(alg="HS256"), 'alg is "HS256"', id="alg is an HMAC"),
    pytest.param(EC.jwk(alg="es256"), 'alg is "es256"', id="alg in lower case"),
    pytest.param(RSA.jwk(alg="RSA-OAEP"), 'alg is "RSA-OAEP"', id="alg of encryption"),
    pytest.param(OKP.jwk(alg="Ed448"), 'alg is "Ed448"', id="alg of the other Edwards curve"),
    pytest.param(EC.jwk(alg=256), "alg is", id="alg is a number"),
    pytest.param(EC.jwk(alg=["ES256"]), "alg is", id="alg is an array"),
    pytest.param(EC.jwk(alg={}), "alg is", id="alg is an object"),
    pytest.param(EC.jwk(kid=1), "kid is no string", id="kid is a number"),
    pytest.param(EC.jwk(kid="k" * 1025), "at most 1024", id="kid is too long"),
    pytest.param(RSA.jwk(n=None), 'no "n"', id="RSA without n"),
    pytest.param(RSA.jwk(e=None), 'no "e"', id="RSA without e"),
    pytest.param(RSA.jwk(n=5), '"n" is no string', id="n is a number"),
    pytest.param(RSA.jwk(n=RSA.jwk()["n"] + "=="), '"n" is not base64url', id="n with padding"),
    pytest.param(RSA.jwk(n="+/+/"), '"n" is not base64url', id="n in base64"),
    pytest.param(RSA.jwk(n="\ud800"), '"n" is not base64url', id="n is half a surrogate pair"),
    pytest.param(RSA.jwk(n=""), "no public key", id="n is empty"),
    pytest.param(RSA.jwk(e=""), "no public key", id="e is empty"),
    pytest.param(RSA.jwk(e=number(1)), "no public key|exponent", id="e is 1"),
    pytest.param(RSA.jwk(e=number(2)), "no public key|exponent", id="e is 2"),
    pytest.param(RSA.jwk(e=number(65536)), "no public key|exponent", id="e is even"),
    pytest.param(RSA.jwk(e=number(2**32 + 1)), "at most 32 bits", id="e has 33 bits"),
    pytest.param(RSA.jwk(e=RSA.jwk()["n"]), "no public key|exponent", id="e is n"),
    pytest.param(weak("rsa-1024"), "1024 bits; at least 2048", id="RSA of 1024 bits"),
    pytest.param(weak("rsa-2047"), "2047 bits; at least 2048", id="RSA of 2047 bits"),
    pytest.param(RSA.jwk(n=number(2**511 + 1)), "512 bits", id="RSA of 512 bits"),
    pytest.param(RSA.jwk(n=number(2**16384 + 1)), "at most 16384", id="RSA of 16385 bits"),
    pytest.param(EC.jwk(crv=None), 'no "crv"', id="EC without crv"),
    pytest.param(EC.jwk(x=None), 'no "x"', id="EC without x"),
    pytest.param(EC.jwk(y=None), 'no "y"', id="EC without y"),
    pytest.param(EC.jwk(crv="P-256K"), '"P-256K"; known are', id="an unknown curve"),
    pytest.param(EC.jwk(crv="p-256"), '"p-256"; known are', id="a curve in lower case"),
    pytest.param(
        EC.jwk(crv="P-384"), '"x" has 32 bytes; P-384 needs 48', id="a point of a smaller curve"
    ),
    pytest.param(P384.jwk(crv="P-256"), "48 bytes; P-256 needs 32", id="a point of a larger curve"),
    pytest.param(EC.jwk(x=encode(b"\0" * 33)), "33 bytes; P-256 needs 32", id="x of 33 bytes"),
    pytest.param(EC.jwk(x=encode(b"x" * 31)), "31 bytes; P-256 needs 32", id="x of 31 bytes"),
    pytest.param(EC.jwk(x=encode(bytes(32)), y=encode(bytes(32))), "no public key", id="(0, 0)"),
    pytest.param(EC.jwk(x=encode(b"\xff" * 32)), "no public key", id="x over the field"),
    pytest.param(EC.jwk(y=flipped(EC.jwk()["y"])), "no public key", id="off the curve"),
    pytest.param(OKP.jwk(crv="X25519"), '"X25519"', id="a curve for key agreement"),
    pytest.param(OKP.jwk(crv="P-256"), '"P-256"', id="the curve of another kty"),
    pytest.param(OKP.jwk(crv="Ed448"), "32 bytes; Ed448 needs 57", id="Ed448 with 32 bytes"),
    pytest.param(X448.jwk(crv="Ed25519"), "57 bytes; Ed25519 needs 32", id="Ed25519 with 57 bytes"),
    pytest.param(OKP.jwk(x=None), 'no "x"', id="OKP without x"),
    pytest.param(OKP.jwk(x=encode(b"x" * 31)), "31 bytes; Ed25519 needs 32", id="Ed25519, short"),
    pytest.param({**K256.private_jwk(), "kid": "bad"}, "private members", id="private secp256k1"),
    pytest.param(K256.jwk(alg="ES256"), 'alg is "ES256"', id="secp256k1 for ES256"),
    pytest.param(EC.jwk(alg="ES256K"), 'alg is "ES256K"', id="P-256 for ES256K"),
    pytest.param(K256.jwk(crv="P-256"), "no public key", id="a point of secp256k1 as of P-256"),
    pytest.param(EC.jwk(crv="secp256k1"), "no public key", id="a point of P-256 as of secp256k1"),
    pytest.param(K256.jwk(crv="Secp256k1"), '"Secp256k1"; known are', id="secp256k1, a capital"),
    pytest.param(K256.jwk(crv="P-256K"), '"P-256K"; known are', id="secp256k1 by its draft name"),
    pytest.param(K256.jwk(x=None), 'no "x"', id="secp256k1 without x"),
    pytest.param(K256.jwk(y=None), 'no "y"', id="secp256k1 without y, as compressed"),
    pytest.param(K256.jwk(x=encode(b"x" * 31)), "31 bytes", id="x of secp256k1, short"),
    pytest.param(K256.jwk(y=encode(b"\0" * 33)), "33 bytes", id="y of secp256k1, long"),
    pytest.param(K256.jwk(x=""), "0 bytes; secp256k1 needs 32", id="x of secp256k1, empty"),
    pytest.param(
        K256.jwk(x=encode(bytes(32)), y=encode(bytes(32))), "no public key", id="(0, 0), secp256k1"
    ),
    pytest.param(K256.jwk(y=flipped(K256.jwk()["y"])), "no public key", id="off secp256k1"),
    pytest.param(
        K256.jwk(x=number(P_K256 + 1), y=encode(Y_OF_1.to_bytes(32, "big"))),
        "no public key",
        id="a good x of secp256k1 plus p",
    ),
    pytest.param(K256.jwk(x=number(P_K256)), "no public key", id="x of secp256k1 is p"),
    pytest.param(K256.jwk(y=number(P_K256)), "no public key", id="y of secp256k1 is p"),
    pytest.param(AKP.jwk(kty="akp"), '"akp"; known are AKP', id="AKP in lower case"),
    pytest.param(AKP.jwk(alg=None), 'no "alg", which a key of kty AKP', id="AKP without alg"),
    pytest.param(AKP.jwk(alg=44), '"alg" is no string', id="alg of AKP is a number"),
    pytest.param(AKP.jwk(alg="ML-DSA"), '"ML-DSA"; known are ML-DSA-44', id="alg of AKP unknown"),
    pytest.param(AKP.jwk(alg="ml-dsa-44"), '"ml-dsa-44"', id="alg of AKP in lower case"),
    pytest.param(AKP.jwk(alg="ES256"), '"ES256"; known are ML-DSA-44', id="alg of AKP of EC"),
    pytest.param(
        AKP.jwk(alg="ML-DSA-65"), "1312 bytes; ML-DSA-65 needs 1952", id="alg of a larger AKP"
    ),
    pytest.param(EC.jwk(alg="ML-DSA-44"), 'alg is "ML-DSA-44", but', id="alg of AKP for EC"),
    pytest.param(AKP.jwk(pub=None), 'no "pub"', id="AKP without pub"),
    pytest.param(AKP.jwk(pub=7), '"pub" is no string', id="pub is a number"),
    pytest.param(AKP.jwk(pub=""), "0 bytes; ML-DSA-44 needs 1312", id="pub is empty"),
    pytest.param(AKP.jwk(pub=encode(bytes(1311))), "1311 bytes", id="pub of a byte too few"),
    pytest.param(AKP.jwk(pub=encode(bytes(1313))), "1313 bytes", id="pub of a byte too many"),
    pytest.param(AKP.jwk(pub=encode(bytes(32))), "32 bytes", id="pub is as long as a seed"),
    pytest.param(AKP.jwk(pub=AKP.jwk()["pub"] + "=="), "not base64url", id="pub with padding"),
    pytest.param(AKP.private_jwk(), r"private members \(priv\)", id="private AKP"),
    pytest.param({**AKP.jwk(), "priv": ""}, r"private members \(priv\)", id="priv is empty"),
    pytest.param({**AKP.jwk(), "priv": None}, r"private members \(priv\)", id="priv is null"),
    pytest.param(AKP.jwk(use="enc"), "use is", id="AKP to encrypt with"),
]


@pytest.mark.parametrize(("jwk", "why"), BAD)
def test_a_bad_jwk_is_no_key_and_says_why(jwk: object, why: str) -> None:
    with pytest.raises(UnusableKey, match=why):
        from_jwk(jwk)


@pytest.mark.parametrize(("jwk", "why"), BAD)
def test_a_bad_jwk_leaves_the_good_ones_serving(jwk: object, why: str) -> None:
    keys = from_jwks({"keys": [jwk, CORP.jwk(), jwk]})
    assert_passes(judge(mint(), issuer(keys=keys)))
    assert [one.place for one in keys.unusable] == ["keys[0]", "keys[2]"]


@pytest.mark.parametrize(
    "jwk",
    [
        pytest.param(EC.jwk(use="sig"), id="use is sig"),
        pytest.param(EC.jwk(use=None), id="no use"),
        pytest.param(EC.jwk(key_ops=["verify"]), id="key_ops is verify"),
        pytest.param(EC.jwk(key_ops=["sign", "verify"]), id="key_ops includes verify"),
        pytest.param(EC.jwk(alg="ES256"), id="alg fits"),
        pytest.param(EC.jwk(kid=None), id="no kid"),
        pytest.param(EC.jwk(kid=""), id="kid is empty"),
        pytest.param(EC.jwk(kid="k" * 1024), id="kid at its length"),
        pytest.param(EC.jwk(x5c=["AAAA"], x5t="?", x5u=5), id="certificates are not looked at"),
        pytest.param(EC.jwk(ext=True, iat=1), id="unknown members"),
        pytest.param(RSA.jwk(e=number(3)), id="e is 3"),
        pytest.param(RSA.jwk(e=number(2**32 - 1)), id="e has 32 bits"),
        pytest.param(RSA.jwk(n=number(ODD_2048)), id="RSA of 2048 bits"),
        pytest.param(RSA.jwk(n=number(2**16383 + 1)), id="RSA of 16384 bits"),
        pytest.param(RSA.jwk(n="AAAA" + RSA.jwk()["n"]), id="n with leading zeros"),
    ],
)
def test_a_good_jwk_is_a_key(jwk: dict[str, Any]) -> None:
    assert from_jwk(jwk).key_id == jwk.get("kid")


@pytest.mark.parametrize("name", ["rsa-1024", "rsa-2047"])
def test_a_weak_rsa_key_is_said_to_be_weak(name: str) -> None:
    with pytest.raises(UnusableKey) as refused:
        from_jwk(weak(name))
    assert refused.value.reason is Reason.KEY_TOO_WEAK


def test_a_key_with_alg_serves_that_alone() -> None:
    assert from_jwk(RSA.jwk(alg="PS256")).algorithms == {"PS256"}


def test_a_key_without_alg_serves_what_fits_it() -> None:
    assert from_jwk(P384.jwk(alg=None)).algorithms == {"ES384"}
    assert from_jwk(X448.jwk(alg=None)).algorithms == {"EdDSA", "Ed448"}
    assert from_jwk(K256.jwk(alg=None)).algorithms == {"ES256K"}
    assert len(from_jwk(RSA.jwk(alg=None)).algorithms) == 6


def test_a_point_with_a_small_x_is_a_key_of_secp256k1() -> None:
    """So that what is refused above is the p that is added to it."""
    x, y = (encode(one.to_bytes(32, "big")) for one in (1, Y_OF_1))
    assert from_jwk(K256.jwk(x=x, y=y)).algorithms == {"ES256K"}


@pytest.mark.parametrize("algorithm", ["ML-DSA-44", "ML-DSA-65", "ML-DSA-87"])
def test_an_akp_key_serves_its_alg_alone(algorithm: str) -> None:
    key = from_jwk(author(algorithm).jwk(crv="P-256"))
    assert (key.type, key.curve, set(key.algorithms)) == ("AKP", None, {algorithm})


@pytest.mark.parametrize("algorithm", [one for one in ALL_ALGORITHMS if one[0] != "H"])
def test_a_public_key_published_is_read_back(algorithm: str) -> None:
    by = author(algorithm, "key-7")
    key = from_public_key(by.private_key.public_key(), "key-7")
    assert public_jwk(key) == by.jwk()
    assert from_jwk(public_jwk(key)).material == by.private_key.public_key()


def test_a_secret_is_never_published() -> None:
    with pytest.raises(ValueError, match="never published"):
        public_jwk(author("HS256").secret_key())


def test_the_thumbprint_is_that_of_rfc_7638() -> None:
    """The example of section 3.1."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECP"
        "ebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY"
        "368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0f"
        "M4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    key = from_jwk({"kty": "RSA", "n": n, "e": "AQAB", "alg": "RS256", "kid": "2011-04-29"})
    assert isinstance(key.material, rsa.RSAPublicKey)
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@given(
    by=st.sampled_from([RSA, EC, K256, OKP, X448, AKP]),
    changes=st.dictionaries(st.sampled_from(MEMBERS), VALUES, min_size=1),
)
def test_whatever_a_jwk_says_it_is_a_key_or_unusable(by: Author, changes: dict[str, Any]) -> None:
    jwk = {**by.jwk(), **changes}
    with contextlib.suppress(UnusableKey):
        assert public_jwk(from_jwk(jwk)).items() <= {**by.jwk(), **jwk}.items()


def test_why_a_key_is_unusable_never_shows_the_key() -> None:
    for jwk in (RSA.private_jwk(), {"kty": "oct", "k": "s3cret-s3cret-s3cret"}):
        with pytest.raises(UnusableKey) as refused:
            from_jwk(jwk)
        assert not [value for value in jwk.values() if len(value) > 5 and value in str(refused)]
        assert json.dumps(jwk) not in str(refused.value)


def _okp(curve: str, y: int, size: int, sign: bool = False) -> dict[str, str]:
    point = (y | sign << (8 * size - 1)).to_bytes(size, "little")
    return {"kty": "OKP", "crv": curve, "x": encode(point)}


P25519, P448 = 2**255 - 19, 2**448 - 2**224 - 1
ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7


@pytest.mark.parametrize("sign", [False, True])
@pytest.mark.parametrize("y", [0, 1, P25519 - 1, ORDER_8, P25519 - ORDER_8])
def test_a_point_of_small_order_on_ed25519_is_too_weak(y: int, sign: bool) -> None:
    """With such a key anyone can make signatures."""
    with pytest.raises(UnusableKey, match="small order") as caught:
        from_jwk(_okp("Ed25519", y, 32, sign))
    assert caught.value.reason is Reason.KEY_TOO_WEAK


@pytest.mark.parametrize("y", [0, 1, P448 - 1])
def test_a_point_of_small_order_on_ed448_is_too_weak(y: int) -> None:
    with pytest.raises(UnusableKey, match=r"small order|make no public key"):
        from_jwk(_okp("Ed448", y, 57))


@pytest.mark.parametrize(
    ("curve", "y", "size"),
    [("Ed25519", P25519, 32), ("Ed25519", P25519 + 1, 32), ("Ed448", P448, 57)],
)
def test_a_point_in_another_form_than_its_own_is_refused(curve: str, y: int, size: int) -> None:
    with pytest.raises(UnusableKey, match=r"one form|make no public key"):
        from_jwk(_okp(curve, y, size))
