"""Keys and signatures that others made (see `tests/vectors/jose/README.md`)."""

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from sidecar.token.jwk import from_jwk, public_jwk, thumbprint
from sidecar.token.key import Key, UnusableKey, from_public_key
from sidecar.token.signing import from_private_key, sign
from tests.authors import VECTORS
from tests.tokens import decode

FILES = sorted((VECTORS / "jose").glob("*.json"))
ML_DSA: dict[str, Any] = {
    "ML-DSA-44": mldsa.MLDSA44PrivateKey,
    "ML-DSA-65": mldsa.MLDSA65PrivateKey,
    "ML-DSA-87": mldsa.MLDSA87PrivateKey,
}
PRIVATE = {"d", "priv"}


@pytest.fixture(params=FILES, ids=lambda path: str(path.stem))
def vector(request: pytest.FixtureRequest) -> dict[str, Any]:
    found = json.loads(request.param.read_text())
    return {"algorithm": request.param.stem, **found}


def public_key(vector: dict[str, Any]) -> Key:
    return from_jwk({name: one for name, one in vector["jwk"].items() if name not in PRIVATE})


def private_key(vector: dict[str, Any]) -> Any:
    jwk = vector["jwk"]
    if jwk["kty"] == "AKP":
        return ML_DSA[jwk["alg"]].from_seed_bytes(decode(jwk["priv"]))
    return ec.derive_private_key(int.from_bytes(decode(jwk["d"]), "big"), ec.SECP256K1())


def test_there_is_a_vector_for_each_algorithm_that_has_no_other_judge() -> None:
    assert {path.stem for path in FILES} == {"ES256K", *ML_DSA}


def test_the_signature_holds(vector: dict[str, Any]) -> None:
    signing_input, _, signature = vector["jws"].rpartition(".")
    key = public_key(vector)
    assert key.algorithms == {vector["algorithm"]}
    assert key.verify(vector["algorithm"], signing_input.encode(), decode(signature))


def test_the_signature_holds_for_nothing_else(vector: dict[str, Any]) -> None:
    signing_input, _, signature = vector["jws"].rpartition(".")
    key, algorithm = public_key(vector), vector["algorithm"]
    assert not key.verify(algorithm, f"{signing_input}A".encode(), decode(signature))
    changed = bytearray(decode(signature))
    changed[0] ^= 1
    assert not key.verify(algorithm, signing_input.encode(), bytes(changed))


def test_the_private_key_makes_the_public_one(vector: dict[str, Any]) -> None:
    made = from_public_key(private_key(vector).public_key(), vector["jwk"].get("kid"))
    published = {name: one for name, one in vector["jwk"].items() if name not in PRIVATE}
    assert public_jwk(made) == published


def test_the_private_key_signs_for_the_public_one(vector: dict[str, Any]) -> None:
    key = from_private_key(private_key(vector), vector["algorithm"], None)
    assert public_key(vector).verify(vector["algorithm"], b"text", sign(key, b"text"))


def test_the_private_jwk_is_refused(vector: dict[str, Any]) -> None:
    with pytest.raises(UnusableKey, match="private members"):
        from_jwk(vector["jwk"])


@pytest.mark.parametrize("algorithm", sorted(ML_DSA))
def test_the_kid_of_an_akp_key_is_its_thumbprint(algorithm: str) -> None:
    """RFC 9964, section 6: of `alg`, `kty` and `pub`."""
    jwk = json.loads((VECTORS / "jose" / f"{algorithm}.json").read_text())["jwk"]
    del jwk["priv"]
    assert thumbprint(from_jwk(jwk)) == jwk["kid"]
