"""A directory with a configuration in it, and the pieces that one is made of."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, mldsa, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sidecar.config.load import Configuration, load
from sidecar.config.problems import InvalidConfiguration

NAME = "jwt-sidecar.yaml"
SECRET = "marker-" + "s" * 57


class Folder:
    """A directory with a configuration and the files that it names."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment = {"SECRET": SECRET, "EMPTY": "", "SHORT": "marker"}

    def write(self, name: str, content: str | bytes) -> str:
        """The absolute path of a file that now has this content."""
        data = content.encode() if isinstance(content, str) else content
        (self.path / name).write_bytes(data)
        return str(self.path / name)

    def load(self, text: str | Mapping[str, Any]) -> Configuration:
        """The configuration that a file with this text gives."""
        text = text if isinstance(text, str) else json.dumps(text)
        return load(self.write(NAME, text), self.environment)

    def problems(self, text: str | Mapping[str, Any]) -> list[str]:
        """What is wrong with it, line by line, without this directory's name; empty: nothing."""
        try:
            self.load(text)
        except InvalidConfiguration as invalid:
            return str(invalid).replace(f"{self.path}/", "").splitlines()
        return []


def private_pem(key: Any, password: bytes | None = None) -> bytes:
    encryption = BestAvailableEncryption(password) if password else NoEncryption()
    data: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return data


def locked_pem(key: Any, password: bytes, wrong: bytes) -> bytes:
    """Encrypted so that the wrong password can be told from damage, as of 256 ways in 255."""
    while True:
        pem = private_pem(key, password)
        try:
            load_pem_private_key(pem, wrong)
        except ValueError as error:
            if "Incorrect password" in str(error):
                return pem


def public_pem(key: Any) -> bytes:
    data: bytes = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return data


KEYS: dict[str, Any] = {
    "ec": ec.generate_private_key(ec.SECP256R1()),
    "rsa": rsa.generate_private_key(65537, 2048),
    "weak": rsa.generate_private_key(65537, 1024),  # noqa: S505
    "k256": ec.generate_private_key(ec.SECP256K1()),
    "akp": mldsa.MLDSA65PrivateKey.generate(),
    "ed": ed25519.Ed25519PrivateKey.generate(),
}


def configuration(**sections: Any) -> dict[str, Any]:
    """A valid configuration with these sections; None takes one out."""
    usual: dict[str, Any] = {
        "listeners": [{"address": "unix:a.sock", "services": ["validate"]}],
        "issuers": [issuer()],
    }
    return _without_none({**usual, **sections})


def issuer(**settings: Any) -> dict[str, Any]:
    """A valid issuer with these settings; None takes one out."""
    usual = {
        "name": "corp",
        "issuer": "https://login.example.com/",
        "keys": {"file": "ec.pub"},
        "audiences": ["orders"],
    }
    return _without_none({**usual, **settings})


def consumer(**settings: Any) -> dict[str, Any]:
    """A valid consumer with these settings; None takes one out."""
    usual = {"name": "jack", "key": "k", "algorithm": "HS256", "secret": {"env": "SECRET"}}
    return _without_none({**usual, **settings})


def signer(**settings: Any) -> dict[str, Any]:
    """A valid signer with these settings; None takes one out."""
    usual = {
        "name": "internal",
        "issuer": "https://tokens.internal",
        "keys": [{"key_id": "1", "algorithm": "ES256", "private_key": {"file": "ec.pem"}}],
    }
    return _without_none({**usual, **settings})


def _without_none(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if value is not None}
