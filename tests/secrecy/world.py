"""A configuration that has a secret everywhere where one may stand, each a marker."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
)

from deploy.demo.stage import free_port
from tests.identities import HERE, Ca
from tests.secrecy.markers import Markers

CORP_ISS: Final = "https://corp.example"
LAB_ISS: Final = "https://lab.example"
SIGNER_ISS: Final = "https://tokens.example"
TRANSPORTS: Final = ("native", "grpcio")
_ALL: Final = ["validate", "issue", "ext_authz", "admin"]


@dataclass(frozen=True)
class World:
    """The directory of a configuration, and the secrets in it."""

    path: Path
    markers: Markers
    environment: dict[str, str]
    """Variables that hold secrets."""
    secrets: dict[str, str]
    """By what they are for."""
    configuration: dict[str, Any]
    ca: Path
    """The certificate that the listener with TLS is trusted by."""

    @property
    def file(self) -> Path:
        return self.path / "jwt-sidecar.yaml"

    def write(self, configuration: dict[str, Any] | None = None) -> None:
        """The configuration, or another one, into its file."""
        self.file.write_text(json.dumps(configuration or self.configuration))

    def address(self, transport: str) -> str:
        return f"unix:{self.path}/{transport}.sock"


def world(
    path: Path, provider: str, store: dict[str, Any] | None = None, form: str = "json"
) -> World:
    """The configuration in a directory; `provider` answers for keys and for users.

    The log has this form.
    """
    markers = Markers()
    one = World(path, markers, {}, {}, {}, path / "ca.crt")
    store = store or {"url": "sqlite:state.db"}
    if "password" in store:
        markers.know("password of the store", store["password"]["value"])
    one.configuration.update(
        {
            "listeners": [*map(_listener, TRANSPORTS), _tls_listener(one)],
            "http": {"address": "unix:http.sock", "serve": ["health", "metrics", "jwks", "check"]},
            "issuers": _issuers(one, provider),
            "consumers": {"store": True, "list": _consumers(one)},
            "signers": _signers(one),
            "store": {**store, **_secrets_keys(one)},
            "subjects": _subjects(one, provider),
            "authorization": _AUTHORIZATION,
            "log": {"level": "debug", "format": form, "decisions": "all"},
            "shutdown": {"drain": "0s", "grace": "1s"},
        }
    )
    one.write()
    return one


_AUTHORIZATION: Final = {
    "token_from": [
        {"header": "authorization", "prefix": "Bearer "},
        {"query": "access_token"},
        {"cookie": "session"},
    ],
    "rules": [
        {"name": "open", "match": {"path_prefix": "/open/"}, "allow": "optional"},
        {"name": "admin", "match": {"path_prefix": "/admin/"}, "require": {"scopes": ["admin"]}},
    ],
    "forward": {"headers": {"x-subject": "sub"}, "consumer_header": "x-consumer"},
}


def _listener(transport: str) -> dict[str, Any]:
    return {"address": f"unix:{transport}.sock", "services": _ALL, "transport": transport}


def _tls_listener(one: World) -> dict[str, Any]:
    ca, key = Ca(), ec.generate_private_key(ec.SECP256R1())
    ca.certify(*HERE, key=key).write(one.path / "tls.crt", one.path / "tls.key")
    one.ca.write_bytes(ca.certificate)
    know_private_key(one.markers, "the listener's private key", key)
    return {
        "address": f"127.0.0.1:{free_port()}",
        "services": _ALL,
        "tls": {"certificate_file": "tls.crt", "private_key_file": "tls.key"},
        "caller_token": {"issuer": "lab", "scopes": ["call"]},
    }


def _issuers(one: World, provider: str) -> list[dict[str, Any]]:
    query = _made(one, "query of the key URL")
    password = _in_file(one, "header to the key server", odd=True)
    lab = _in_variable(one, "secret of issuer lab", odd=True)
    remote = {
        "url": f"{provider}/jwks?version=1&api_key={query}",
        "headers": {"x-api-key": password},
        "unknown_key_interval": "0s",
        "timeout": "2s",
    }
    others = {
        "headers": {"x-api-key": password},
        "unknown_key_interval": "0s",
        "required": False,
    }
    down = {
        **others,
        "url": f"http://keys.invalid/jwks?api_key={query}",
        "proxy_url": f"http://127.0.0.1:{free_port()}",
    }
    return [
        {"name": "corp", "issuer": CORP_ISS, "keys": remote, "audiences": ["orders"]}
        | {"subjects": "users", "max_age": "1h"},
        {"name": "down", "issuer": "https://down.example", "keys": down, "audiences": "*"},
        {"name": "found", "issuer": provider, "audiences": "*"}
        | {"keys": {**others, "discovery": True}},
        {"name": "lab", "issuer": LAB_ISS, "keys": {"secret": lab}, "audiences": "*"}
        | {"algorithms": ["HS256"], "subjects": "staff", "one_time": False},
    ]


def _consumers(one: World) -> list[dict[str, Any]]:
    return [
        _consumer("jack", _in_variable(one, "secret of jack", odd=True)),
        _consumer("jill", _in_file(one, "secret of jill", encoding="hex")),
        _consumer("bob", {"value": _made(one, "secret of bob", odd=True)}),
    ]


def _consumer(name: str, secret: dict[str, str]) -> dict[str, Any]:
    return {"name": name, "key": f"{name}-key", "algorithm": "HS256", "secret": secret}


def _signers(one: World) -> list[dict[str, Any]]:
    password = _in_variable(one, "password of the private key", odd=True)
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        Encoding.PEM,
        PrivateFormat.PKCS8,
        BestAvailableEncryption(one.secrets["password of the private key"].encode()),
    )
    (one.path / "signer.pem").write_bytes(pem)
    know_private_key(one.markers, "the signer's private key", key)
    know_lines(one.markers, "the signer's private key, encrypted", pem)
    shared = _in_variable(one, "secret of the signer", encoding="base64", odd=True)
    named = {"private_key": {"file": "signer.pem", "password": password}}
    return [
        {"name": "internal", "issuer": SIGNER_ISS, "accept": True, "scopes": ["read", "admin"]}
        | {
            "keys": [
                {"key_id": "named", "algorithm": "ES256", **named},
                {"key_id": "shared", "algorithm": "HS256", "secret": shared},
                {"generate": "ES384"},
            ],
            "refresh": {"lifetime": "1d", "grace": "0s"},
        },
        {"name": "plain", "issuer": "https://plain.example", "keys": [{"generate": "Ed25519"}]},
    ]


def _secrets_keys(one: World) -> dict[str, Any]:
    return {
        "secrets_key": _in_file(one, "secrets_key", encoding="base64url"),
        "previous_secrets_key": _in_variable(one, "previous_secrets_key"),
    }


def _subjects(one: World, provider: str) -> list[dict[str, Any]]:
    query = _made(one, "query of the service of users")
    http = {
        "url": f"{provider}/users/{{sub}}?api_key={query}",
        "headers": {"x-api-key": _in_file(one, "header to the service of users", odd=True)},
    }
    sql = {
        "url": f"postgresql://reader@127.0.0.1:{free_port()}/users",
        "query": "SELECT enabled FROM users WHERE id = :sub",
        "password": _in_variable(one, "password of the database", odd=True),
    }
    return [
        {"name": "users", "http": http, "cache": {"entries": 0}},
        {"name": "staff", "sql": sql, "on_outage": "allow"},
    ]


def _made(one: World, name: str, odd: bool = False) -> str:
    one.secrets[name] = one.markers.make(name, odd=odd)
    return one.secrets[name]


def _in_variable(one: World, name: str, encoding: str = "", odd: bool = False) -> dict[str, str]:
    variable = name.replace(" ", "_").upper()
    one.environment[variable] = _encoded(_made(one, name, odd), encoding)
    return {"env": variable} | ({"encoding": encoding} if encoding else {})


def _in_file(one: World, name: str, encoding: str = "", odd: bool = False) -> dict[str, str]:
    file = f"{name.replace(' ', '-')}.txt"
    (one.path / file).write_text(_encoded(_made(one, name, odd), encoding) + "\n")
    return {"file": file} | ({"encoding": encoding} if encoding else {})


def _encoded(text: str, encoding: str) -> str:
    data = text.encode()
    if encoding == "hex":
        return data.hex()
    if encoding:
        encode = base64.b64encode if encoding == "base64" else base64.urlsafe_b64encode
        return encode(data).decode()
    return text


def know_private_key(markers: Markers, name: str, key: ec.EllipticCurvePrivateKey) -> None:
    """Its number. In PEM that stands in base64, of which a line break leaves enough."""
    number = key.private_numbers().private_value
    markers.know(name, number.to_bytes(32, "big"))
    markers.know(name, str(number))


def know_lines(markers: Markers, name: str, pem: bytes) -> None:
    """All lines of a key in PEM but the first, which is alike in all of a kind."""
    for line in pem.splitlines()[2:-1]:
        if len(line) > 32:
            markers.know(name, line)
