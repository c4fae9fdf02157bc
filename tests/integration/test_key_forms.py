"""Every algorithm with every form of key: configured, minted with, and verified by others too."""

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from joserfc import jwt as joserfc_jwt
from joserfc.errors import BadSignatureError
from joserfc.jwk import KeySet, OctKey
from jwt.types import Options

from sidecar.config.load import load
from sidecar.config.problems import InvalidConfiguration
from sidecar.config.snapshot import build
from sidecar.steady import forget_nothing
from sidecar.token.algorithms import ALGORITHMS, ASYMMETRIC, SYMMETRIC
from sidecar.token.mint import Minted, Order, mint
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Request, Verified
from sidecar.token.signing import public_jwks
from sidecar.token.snapshot import Snapshot
from sidecar.token.validator import validate
from tests.authors import author
from tests.tokens import NOW

PASSWORD: Final = "open sesame"
OTHERS: Final[Mapping[str, tuple[bool, bool]]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), (True, True)),
    **dict.fromkeys(("ES256", "ES384", "ES512", "ES256K", "EdDSA"), (True, True)),
    **dict.fromkeys(("HS256", "HS384", "HS512"), (True, True)),
    **dict.fromkeys(("Ed25519", "Ed448"), (False, True)),
    **dict.fromkeys(("ML-DSA-44", "ML-DSA-65", "ML-DSA-87"), (False, False)),
}
"""Whether PyJWT and joserfc know the algorithm by this name."""
WRITTEN: Final[Mapping[str | None, Callable[[bytes], bytes]]] = {
    None: bytes,
    "hex": lambda secret: secret.hex().encode(),
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
}
FORMS: Final[Mapping[str, tuple[str, ...]]] = {
    "RSA": ("PKCS#1", "PKCS#1 encrypted", "PKCS#8", "PKCS#8 encrypted"),
    "EC": ("SEC1", "SEC1 encrypted", "PKCS#8", "PKCS#8 encrypted"),
}
"""The forms in PEM of a private key by its type; other types have PKCS#8 only."""
ONLY_PKCS_8: Final = ("PKCS#8", "PKCS#8 encrypted")
LABELS: Final = {
    "PKCS#1": b"-----BEGIN RSA PRIVATE KEY-----",
    "PKCS#1 encrypted": b"-----BEGIN RSA PRIVATE KEY-----",
    "SEC1": b"-----BEGIN EC PRIVATE KEY-----",
    "SEC1 encrypted": b"-----BEGIN EC PRIVATE KEY-----",
    "PKCS#8": b"-----BEGIN PRIVATE KEY-----",
    "PKCS#8 encrypted": b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
}


def pem(private_key: Any, form: str) -> bytes:
    outer = PrivateFormat.PKCS8 if form.startswith("PKCS#8") else PrivateFormat.TraditionalOpenSSL
    encrypted = form.endswith("encrypted")
    encryption = BestAvailableEncryption(PASSWORD.encode()) if encrypted else NoEncryption()
    data: bytes = private_key.private_bytes(Encoding.PEM, outer, encryption)
    assert data.startswith(LABELS[form])
    assert (b"DEK-Info:" in data) is (encrypted and outer is PrivateFormat.TraditionalOpenSSL)
    return data


def key_forms() -> Iterator[Any]:
    for algorithm in sorted(ASYMMETRIC):
        for form in FORMS.get(ALGORITHMS[algorithm].kinds[0].type, ONLY_PKCS_8):
            yield pytest.param(algorithm, form, id=f"{algorithm}-{form}")


def configured(directory: Path, key: Mapping[str, Any], environment: Mapping[str, str]) -> Snapshot:
    """What a configuration with this key of a signer gives."""
    path = directory / "jwt-sidecar.yaml"
    signer = {"name": "internal", "issuer": "https://tokens.example", "accept": True}
    signer |= {"audiences": ["orders"], "keys": [{"key_id": "k1", **key}]}
    listeners = [{"address": "unix:s.sock", "services": ["validate", "issue"]}]
    path.write_text(json.dumps({"listeners": listeners, "signers": [signer]}))
    return build(load(path, environment).settings, generated={})


def minted(snapshot: Snapshot, algorithm: str) -> Minted:
    """A token that our own validator accepts."""
    one = mint(Order(subject="alice"), snapshot, NOW, "id")
    assert (one.algorithm, one.key_id) == (algorithm, "k1")
    verdict = validate(Request(one.token), snapshot, NOW, ProofMemory(forget_nothing))
    assert isinstance(verdict, Verified), verdict
    assert (verdict.algorithm, verdict.key_id) == (algorithm, "k1")
    return one


def assert_others_accept(token: str, algorithm: str, pyjwt_key: Any, joserfc_key: Any) -> None:
    pyjwt_knows, joserfc_knows = OTHERS[algorithm]
    changed = token[:-40] + ("A" if token[-40] != "A" else "B") + token[-39:]
    if pyjwt_knows:
        timeless: Options = {"verify_exp": False, "verify_iat": False}
        read = partial(
            jwt.decode, key=pyjwt_key, algorithms=[algorithm], audience="orders", options=timeless
        )
        assert read(token)["sub"] == "alice"
        with pytest.raises(jwt.InvalidSignatureError):
            read(changed)
    if joserfc_knows:
        assert joserfc_jwt.decode(token, joserfc_key, [algorithm]).claims["sub"] == "alice"
        with pytest.raises(BadSignatureError):
            joserfc_jwt.decode(changed, joserfc_key, [algorithm])


@pytest.mark.filterwarnings("ignore:EdDSA is deprecated")  # joserfc of the name, since RFC 9864
@pytest.mark.parametrize(("algorithm", "form"), list(key_forms()))
def test_what_a_private_key_signs_is_accepted_everywhere(
    tmp_path: Path, algorithm: str, form: str
) -> None:
    (tmp_path / "key.pem").write_bytes(pem(author(algorithm).private_key, form))
    private_key: dict[str, Any] = {"file": "key.pem"}
    if form.endswith("encrypted"):
        private_key["password"] = {"env": "KEY_PASSWORD"}
    key = {"algorithm": algorithm, "private_key": private_key}
    snapshot = configured(tmp_path, key, {"KEY_PASSWORD": PASSWORD})
    jwks = json.loads(public_jwks(snapshot.signers.values()))
    assert_others_accept(
        minted(snapshot, algorithm).token,
        algorithm,
        jwt.PyJWK(jwks["keys"][0], algorithm) if OTHERS[algorithm][0] else None,
        KeySet.import_key_set(jwks) if OTHERS[algorithm][1] else None,
    )


@pytest.mark.parametrize("encoding", [None, "hex", "base64", "base64url"])
@pytest.mark.parametrize("algorithm", sorted(SYMMETRIC))
def test_what_the_shortest_secret_signs_is_accepted_everywhere(
    tmp_path: Path, algorithm: str, encoding: str | None
) -> None:
    secret = b"s" * ALGORITHMS[algorithm].min_secret_bytes
    reference = {"env": "SECRET"} | ({"encoding": encoding} if encoding else {})
    snapshot = configured(
        tmp_path,
        {"algorithm": algorithm, "secret": reference},
        {"SECRET": WRITTEN[encoding](secret).decode()},
    )
    token = minted(snapshot, algorithm).token
    assert_others_accept(token, algorithm, secret, OctKey.import_key(secret))


@pytest.mark.parametrize(
    ("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)], ids=lambda one: str(one)
)
def test_a_secret_of_one_byte_less_is_an_error_of_the_configuration(
    tmp_path: Path, algorithm: str, least: int
) -> None:
    key = {"algorithm": algorithm, "secret": {"env": "SECRET"}}
    with pytest.raises(InvalidConfiguration) as caught:
        configured(tmp_path, key, {"SECRET": "s" * (least - 1)})
    assert str(caught.value).endswith(
        f"signers[0].keys[0].secret: the secret has {least - 1} bytes; {algorithm} needs at least "
        f"{least}"
    )


@pytest.mark.parametrize(
    ("algorithm", "curve", "message"),
    [
        pytest.param("ES256", ec.SECP384R1(), "an EC key on P-384 for ES384", id="another curve"),
        pytest.param(
            "ES256",
            ec.BrainpoolP256R1(),
            "its curve is brainpoolP256r1; known are P-256, ",
            id="a curve that JOSE lacks",
        ),
    ],
)
def test_a_curve_that_does_not_fit_is_an_error_of_the_configuration(
    tmp_path: Path, algorithm: str, curve: ec.EllipticCurve, message: str
) -> None:
    (tmp_path / "key.pem").write_bytes(pem(ec.generate_private_key(curve), "SEC1"))
    with pytest.raises(InvalidConfiguration) as caught:
        configured(tmp_path, {"algorithm": algorithm, "private_key": {"file": "key.pem"}}, {})
    assert "signers[0].keys[0].private_key: " in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize("form", ["PKCS#1", "SEC1", "PKCS#8"])
@pytest.mark.parametrize(
    ("encrypted", "password", "message"),
    [
        pytest.param(" encrypted", None, "is encrypted and needs a password", id="none"),
        pytest.param(" encrypted", "MARKER", "password (of the private key is )?wrong", id="wrong"),
        pytest.param("", "MARKER", "is not encrypted; remove its password", id="needless"),
    ],
)
def test_what_is_wrong_with_a_password_is_said(
    tmp_path: Path, form: str, encrypted: str, password: str | None, message: str
) -> None:
    algorithm = "RS256" if form == "PKCS#1" else "ES256"
    (tmp_path / "key.pem").write_bytes(pem(author(algorithm).private_key, form + encrypted))
    private_key = {"file": "key.pem"} | ({"password": {"env": "PASSWORD"}} if password else {})
    key = {"algorithm": algorithm, "private_key": private_key}
    with pytest.raises(InvalidConfiguration) as caught:
        configured(tmp_path, key, {"PASSWORD": password or ""})
    assert re.search(rf"signers\[0\]\.keys\[0\]\.private_key: .*{message}", str(caught.value))
    assert "MARKER" not in str(caught.value)
