"""`jwt-sidecar keys` and `decode`, for keys of every kind."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from sidecar.cli import DONE, CommandFailed
from sidecar.commands import keys, tokens
from sidecar.token.algorithms import ASYMMETRIC
from sidecar.token.keyset import from_jwks
from sidecar.token.signing import from_private_pem, sign
from tests.authors import VECTORS, Author, author
from tests.tokens import mint

EVERY = sorted(ASYMMETRIC)


def generated(capsys: pytest.CaptureFixture[str], algorithm: str) -> tuple[bytes, dict[str, Any]]:
    """The PEM and the JWK Set that are printed."""
    assert keys.generate(Namespace(algorithm=algorithm, key_id=None)) == DONE
    pem, end, jwks = capsys.readouterr().out.partition("-----END PRIVATE KEY-----\n")
    return (pem + end).encode(), json.loads(jwks)


@pytest.mark.parametrize("algorithm", EVERY)
def test_what_the_pem_signs_the_jwk_set_verifies(
    capsys: pytest.CaptureFixture[str], algorithm: str
) -> None:
    pem, jwks = generated(capsys, algorithm)
    (key,) = from_jwks(jwks).keys
    private = from_private_pem(pem, None, algorithm, "k1")
    assert key.verify(algorithm, b"text", sign(private, b"text"))


@pytest.mark.parametrize("algorithm", EVERY)
def test_the_jwk_set_has_the_thumbprint_and_nothing_private(
    capsys: pytest.CaptureFixture[str], algorithm: str, tmp_path: Path
) -> None:
    pem, jwks = generated(capsys, algorithm)
    path = tmp_path / "key.pem"
    path.write_bytes(pem)
    assert keys.jwks(Namespace(pem=[str(path)])) == DONE
    (member,) = json.loads(capsys.readouterr().out)["keys"]
    assert member | {"alg": algorithm} == jwks["keys"][0]
    assert not {"d", "p", "q", "priv", "k"} & member.keys()


@pytest.mark.parametrize("algorithm", EVERY)
def test_a_public_key_in_pem_gives_its_jwk_set(
    capsys: pytest.CaptureFixture[str], algorithm: str, tmp_path: Path
) -> None:
    by: Author = author(algorithm)
    path = tmp_path / "key.pem"
    path.write_bytes(by.public_pem())
    keys.jwks(Namespace(pem=[str(path)]))
    (key,) = from_jwks(json.loads(capsys.readouterr().out)).keys
    assert key.verify(algorithm, b"text", by.sign(b"text"))


@pytest.mark.parametrize("name", ["rsa-pss", "rsa-pss-public"], ids=["private", "public"])
def test_the_jwk_of_a_key_for_pss_alone_says_so(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """A JWK has no other place for it, and without it others would take the key for RS256 too."""
    keys.jwks(Namespace(pem=[str(VECTORS / "keys" / f"{name}.pem")]))
    (member,) = json.loads(capsys.readouterr().out)["keys"]
    assert (member["kty"], member["alg"]) == ("RSA", "PS256")


def test_an_encrypted_private_key_gives_no_jwk_set() -> None:
    path = str(VECTORS / "keys" / "rsa-pss-aes256.pem")
    with pytest.raises(CommandFailed, match="encrypted; give its public key"):
        keys.jwks(Namespace(pem=[path]))


def test_an_unknown_algorithm_is_named_with_those_that_there_are() -> None:
    with pytest.raises(CommandFailed, match=r"ML-DSA-64: known are ES256, ES256K, .*ML-DSA-44"):
        keys.generate(Namespace(algorithm="ML-DSA-64", key_id=None))


@pytest.mark.parametrize("algorithm", ["ES256K", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"])
def test_a_token_is_decoded(capsys: pytest.CaptureFixture[str], algorithm: str) -> None:
    assert tokens.decode(Namespace(token=mint(author(algorithm)))) == DONE
    assert f'"alg": "{algorithm}"' in capsys.readouterr().out
