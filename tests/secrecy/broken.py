"""Configurations that are wrong where a secret stands, or where one was put by mistake."""

import copy
import json
from collections.abc import Mapping
from typing import Any, Final

from tests.secrecy.world import World

Path = tuple[str | int, ...]

_JACK: Final = ("consumers", "list", 0)
_SECRET: Final = (*_JACK, "secret")
_KEYS: Final = ("issuers", 0, "keys")
_PEM: Final = ("signers", 0, "keys", 0, "private_key")
_SHARED: Final = ("signers", 0, "keys", 1, "secret")
_TLS: Final = ("listeners", 2, "tls")
_HTTP: Final = ("subjects", 0, "http")
_SQL: Final = ("subjects", 1, "sql")


def configurations(one: World, token: str) -> Mapping[str, str]:
    """The text of each, by what is wrong with it."""
    return {**_settings(one, token), **_texts(one)}


def _settings(one: World, token: str) -> dict[str, str]:
    secret = one.markers.make("a secret of a broken configuration")
    digits = str(int.from_bytes(secret.encode(), "big"))[:40]
    one.markers.know("digits of a broken configuration", digits)
    pem = (one.path / "tls.key").read_text()
    encrypted = (one.path / "signer.pem").read_text()
    (one.path / "broken.pem").write_text(encrypted[:200] + encrypted[220:])
    (one.path / "other.pem").write_text(pem)
    (one.path / "no-hex.txt").write_text(f"{secret}\n")
    (one.path / "two-lines.txt").write_text(f"{secret}\n{secret}\n")
    (one.path / "broken.yaml").write_text(f"- {{name: a, secret: {{value: {secret}}}, key: [")
    (one.path / "wrong.yaml").write_text(json.dumps([{"name": "a", "secret": secret}]))
    password = {"env": "PASSWORD_OF_THE_PRIVATE_KEY"}
    at = f"reader:{secret}@"
    changes: dict[str, tuple[Path, Any]] = {
        "a secret right there": (_SECRET, secret),
        "a number for a secret": (_SECRET, int(digits)),
        "a number for a value": (_SECRET, {"value": int(digits)}),
        "a list of secrets": (_SECRET, [secret]),
        "a secret as a key": (_SECRET, {secret: None}),
        "a secret in two places": (_SECRET, {"value": secret, "env": "PATH"}),
        "a secret with a typo": (_SECRET, {"vlaue": secret}),
        "a secret under a mapping": (_SECRET, {"value": {"value": secret}}),
        "a secret for a variable": (_SECRET, {"env": f"{secret}="}),
        "a secret that is too short": (_SECRET, {"value": secret[:31]}),
        "a secret that is no hex": (_SECRET, {"value": secret, "encoding": "hex"}),
        "a secret that is no base64": (_SECRET, {"value": f"{secret}!", "encoding": "base64"}),
        "a file that is no hex": (_SECRET, {"file": "no-hex.txt", "encoding": "hex"}),
        "a file that is not there": (_SECRET, {"file": "nothing.txt"}),
        "a file that is a directory": (_SECRET, {"file": "."}),
        "a key for a file": (_SECRET, {"file": pem}),
        "a key for a file, in a line": (_SECRET, {"file": pem.replace("\n", " ")}),
        "a key for a secret": (_SECRET, {"value": pem}),
        "a secret of another algorithm": ((*_JACK, "algorithm"), "ES256"),
        "a secret of a longer algorithm": ((*_JACK, "algorithm"), "HS512"),
        "a secret for a public key": ((*_JACK, "public_key"), {"value": secret}),
        "a private key for a public one": (
            _JACK,
            {"name": "a", "key": "a", "algorithm": "ES256", "public_key": {"value": pem}},
        ),
        "consumers that are no YAML": (("consumers", "file"), "broken.yaml"),
        "consumers that are wrong": (("consumers", "file"), "wrong.yaml"),
        "a private key without its password": (_PEM, {"file": "signer.pem"}),
        "a private key with another password": (
            _PEM,
            {"file": "signer.pem", "password": {"value": secret}},
        ),
        "a password right there": (_PEM, {"file": "signer.pem", "password": secret}),
        "a password of no encrypted key": (_PEM, {"file": "other.pem", "password": password}),
        "a damaged private key": (_PEM, {"file": "broken.pem", "password": password}),
        "half a private key": (_PEM, {"value": pem[: len(pem) // 2]}),
        "a private key right there": (_PEM, pem),
        "a private key for a file": (_PEM, {"file": pem}),
        "a private key of another algorithm": (("signers", 0, "keys", 0, "algorithm"), "RS256"),
        "a private key for an HS algorithm": (("signers", 0, "keys", 0, "algorithm"), "HS256"),
        "a short secret of a signer": (_SHARED, {"value": secret[:31]}),
        "a key for a secret of a signer": (_SHARED, {"value": pem}),
        "a secret for a signer's key": (("signers", 0, "keys", 1), secret),
        "secrets for a signer's keys": (("signers", 0, "keys"), secret),
        "a URL with a password": ((*_KEYS, "url"), f"https://{at}corp.example/jwks"),
        "a URL with a line end": ((*_KEYS, "url"), f"https://{at}corp.example/jwks\n"),
        "a URL with a broken port": ((*_KEYS, "url"), f"https://{at}corp.example:x/jwks?{secret}"),
        "a URL of another scheme": ((*_KEYS, "url"), f"ftp://{at}corp.example/jwks?{secret}"),
        "a URL in a list": ((*_KEYS, "url"), [f"https://{at}corp.example/jwks"]),
        "a URL with a fragment": ((*_KEYS, "url"), f"https://corp.example/jwks?{secret}#x"),
        "a URL for keys": (_KEYS, f"https://{at}corp.example/jwks"),
        "a URL for discovery": (_KEYS, {"discovery": f"https://{at}corp.example"}),
        "a URL for a duration": ((*_KEYS, "refresh"), f"https://{at}corp.example"),
        "a proxy with a password": ((*_KEYS, "proxy_url"), f"http://{at}proxy:3128"),
        "a proxy with a line end": ((*_KEYS, "proxy_url"), f"http://{at}proxy:3128\n"),
        "a proxy in a mapping": ((*_KEYS, "proxy_url"), {"url": f"http://{at}proxy:3128"}),
        "a header right there": ((*_KEYS, "headers"), {"x-api-key": secret}),
        "headers right there": ((*_KEYS, "headers"), f"x-api-key: {secret}"),
        "a header of two lines": ((*_KEYS, "headers"), {"x-api-key": {"file": "two-lines.txt"}}),
        "a header with a space": ((*_KEYS, "headers"), {"x-api-key": {"value": f"{secret} "}}),
        "a private key among keys": (
            _KEYS,
            {"inline": {"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "d": secret}]}},
        ),
        "a secret among keys": (_KEYS, {"inline": {"keys": [{"kty": "oct", "k": secret}]}}),
        "a secret for inline keys": (_KEYS, {"inline": secret}),
        "a private key for a file of keys": (_KEYS, {"file": "other.pem"}),
        "a private key for its path": (_KEYS, {"file": pem}),
        "a private key for a CA": ((*_KEYS, "ca_file"), pem),
        "a secret of an issuer without algorithms": (("issuers", 3, "algorithms"), ["ES256"]),
        "a store with a password": (("store", "url"), f"redis://{at}redis:6379"),
        "a store with a password alone": (("store", "url"), f"redis://:{secret}@redis:6379"),
        "a store of another kind": (("store", "url"), f"postgresql://{at}db/store"),
        "a store of another port": (("store", "url"), f"redis://redis:{secret}"),
        "a store with a line end": (("store", "url"), f"redis://{at}redis:6379\n"),
        "a store with two slashes": (("store", "url"), f"sqlite://{at}db"),
        "a URL for a store": (("store",), f"redis://{at}redis:6379"),
        "a password of a file": (("store", "password"), {"value": secret}),
        "a secrets_key that is too short": (("store", "secrets_key"), {"value": secret[:31]}),
        "a secrets_key right there": (("store", "secrets_key"), secret),
        "a private key for a file of the store": (("store", "private_key_file"), pem),
        "a service with a password": ((*_HTTP, "url"), f"https://{at}users/{{sub}}"),
        "a service without a place": ((*_HTTP, "url"), f"https://users/?api_key={secret}"),
        "a service with two places": ((*_HTTP, "url"), f"https://users/{{sub}}/{{sub}}?{secret}"),
        "a URL for a service": (_HTTP, f"https://{at}users/{{sub}}"),
        "a service with a broken header": (
            _HTTP,
            {"url": "http://a/{sub}", "headers": {"x": secret}},
        ),
        "headers of a service": (_HTTP, {"url": "http://a/{sub}", "headers": secret}),
        "a database with a password": ((*_SQL, "url"), f"postgresql://{at}db/users"),
        "a database with a password beside it": (
            (*_SQL, "url"),
            f"postgresql://reader@db/users?password={secret}",
        ),
        "a database with a broken port": ((*_SQL, "url"), f"postgresql://{at}db:port/users"),
        "a database without a scheme": ((*_SQL, "url"), f"{at}db/users"),
        "a database of another kind": ((*_SQL, "url"), f"oracle+nothing://{at}db/users"),
        "a database with a line end": ((*_SQL, "url"), f"postgresql://{at}db/users\n"),
        "a URL for a database": (_SQL, f"postgresql://{at}db/users"),
        "a URL for subjects": (("subjects",), f"postgresql://{at}db/users"),
        "a password of the database right there": ((*_SQL, "password"), secret),
        "a query with the password": ((*_SQL, "query"), f"SET x = '{secret}'"),
        "a token for caller_token": (("listeners", 2, "caller_token"), token),
        "a token in caller_token": (("listeners", 2, "caller_token"), {"token": token}),
        "a token for an issuer of callers": (("listeners", 2, "caller_token", "issuer"), token),
        "a private key for tls": (_TLS, pem),
        "a private key for its file": ((*_TLS, "private_key_file"), pem),
        "a private key for its file, in a line": (
            (*_TLS, "private_key_file"),
            pem.replace("\n", " "),
        ),
        "a damaged private key for tls": ((*_TLS, "private_key_file"), "broken.pem"),
        "an encrypted private key for tls": ((*_TLS, "private_key_file"), "signer.pem"),
        "a private key for a certificate": ((*_TLS, "certificate_file"), "other.pem"),
        "a private key of another certificate": ((*_TLS, "certificate_file"), "ca.crt"),
    }
    return {name: json.dumps(_changed(one, *change)) for name, change in changes.items()}


def _changed(one: World, path: Path, value: Any) -> dict[str, Any]:
    configuration = copy.deepcopy(one.configuration)
    place: Any = configuration
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return configuration


def _texts(one: World) -> dict[str, str]:
    """What is no YAML, or none that is taken."""
    secret = one.markers.make("a secret in no YAML")
    return {
        f"{what} in YAML": f"store:\n  password:\n    value: x\n    {text}\n"
        for what, text in {
            "an open bracket": f"env: [{secret}",
            "an open quote": f'env: "{secret}',
            "a bad escape": f'env: "\\{secret}"',
            "a second colon": f"env: a: {secret}",
            "an alias": f"env: *{secret}",
            "an anchor twice": f"env: &{secret} a\n    b: &{secret} a",
            "a tag": f"env: !{secret} a",
            "a directive": f"env: %{secret}",
            "an at sign": f"env: @{secret}",
            "a tab": f"env:\t{secret}\n\t{secret}: x",
            "a secret twice": f"value: {secret}",
            "a long number": f"env: {'9' * 5000}{secret}",
            "a control character": f"env: {secret}\x01",
            "a block that ends early": f"env: |\n {secret}",
            "a key that is a list": f"? [{secret}]\n    : x",
            "another document": f"env: x\n---\n{secret}",
            "a merge key": f"<<: {{value: {secret}}}",
        }.items()
    } | {"nothing but a secret": secret, "a list of secrets": f"- {secret}"}
