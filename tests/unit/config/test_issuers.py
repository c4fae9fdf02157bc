import json
from time import process_time
from typing import Any

import pytest

from sidecar.config.keyfiles import parse_keys
from sidecar.token import key
from sidecar.token.jwk import public_jwk
from tests.unit.config.folder import KEYS, SECRET, Folder, configuration, issuer

URL = "https://login.example.com/jwks.json"
HMAC = {"keys": {"secret": {"env": "SECRET"}}, "algorithms": ["HS256"]}


def jwk(name: str, **members: Any) -> dict[str, Any]:
    return {**public_jwk(key.from_public_key(KEYS[name].public_key())), **members}


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        pytest.param({}, [], id="a file of keys"),
        pytest.param({"keys": {"url": URL}}, [], id="a URL"),
        pytest.param({"keys": {"discovery": True}}, [], id="discovery"),
        pytest.param({"keys": {"inline": {"keys": [jwk("ec")]}}}, [], id="keys right here"),
        pytest.param(HMAC, [], id="a secret"),
        pytest.param({"issuer": "*"}, [], id="any issuer"),
        pytest.param(
            {"keys": {}},
            [
                "keys: needs exactly one of discovery, url, file, inline, secret; it has none of "
                "them"
            ],
            id="no keys",
        ),
        pytest.param(
            {"keys": {"url": URL, "discovery": True}},
            [
                "keys: needs exactly one of discovery, url, file, inline, secret; it has "
                "discovery and url"
            ],
            id="keys from two places",
        ),
        pytest.param(
            {"keys": {"discovery": False}},
            ["keys.discovery: must be true; it is false"],
            id="discovery switched off",
        ),
        pytest.param(
            {"keys": {"discovery": True}, "issuer": "corp"},
            [
                "issuer: must be an http or https URL with a host, such as "
                "https://example.com/jwks; keys.discovery starts from it"
            ],
            id="discovery of an issuer that is no URL",
        ),
        pytest.param(
            {"keys": {"discovery": True}, "issuer": "https://joe:marker@example.com/"},
            [
                "issuer: must be a URL without user name and password; headers can hold one; "
                "keys.discovery starts from it"
            ],
            id="discovery of an issuer with a password",
        ),
        pytest.param(
            {"keys": {"discovery": True}, "issuer": "https://example.com/?a"},
            ["issuer: must be a URL without a query (?…); keys.discovery starts from it"],
            id="discovery of an issuer with a query",
        ),
        pytest.param(
            {"keys": {"url": "ftp://example.com/"}},
            [
                "keys.url: must be an http or https URL with a host, such as "
                "https://example.com/jwks"
            ],
            id="a URL that is not HTTP",
        ),
        pytest.param(
            {"keys": {"url": "https:///jwks"}},
            [
                "keys.url: must be an http or https URL with a host, such as "
                "https://example.com/jwks"
            ],
            id="a URL without a host",
        ),
        pytest.param(
            {"keys": {"url": "https://joe:marker@example.com/"}},
            ["keys.url: must be a URL without user name and password; headers can hold one"],
            id="a URL with a password",
        ),
        pytest.param(
            {"keys": {"url": f"{URL}#a"}},
            ["keys.url: must be a URL without a fragment (#…), which servers never see"],
            id="a URL with a fragment",
        ),
        pytest.param(
            {"keys": {"url": "https://example.com:x/"}},
            ["keys.url: must be an http or https URL; this one is malformed"],
            id="a URL with a port that is no number",
        ),
        pytest.param(
            {"keys": {"file": "ec.pub", "refresh": "10m", "required": False}},
            [
                "keys.refresh: has a meaning only with discovery or url; remove it",
                "keys.required: has a meaning only with discovery or url; remove it",
            ],
            id="refreshing a file",
        ),
        pytest.param(
            {"keys": {"url": URL, "key_id": "1"}},
            ["keys.key_id: has a meaning only with secret; remove it"],
            id="a key's name without a secret",
        ),
        pytest.param(
            {"keys": {"url": URL, "refresh": "999ms"}},
            ["keys.refresh: must be at least 1s; it is 999ms"],
            id="refreshing more than once a second",
        ),
        pytest.param(
            {"keys": {"url": URL, "refresh": "1s", "timeout": "60s"}}, [], id="the bounds"
        ),
        pytest.param(
            {"keys": {"url": URL, "timeout": "61s"}},
            ["keys.timeout: must be at least 1ms and at most 1m; it is 61s"],
            id="a long timeout",
        ),
        pytest.param(
            {"keys": {"url": URL, "timeout": "0s"}},
            ["keys.timeout: must be at least 1ms and at most 1m; it is 0s"],
            id="no timeout",
        ),
        pytest.param({"keys": {"url": URL, "proxy_url": "http://proxy:3128"}}, [], id="a proxy"),
        *(
            pytest.param(
                {"keys": {"url": URL, "proxy_url": url}},
                [
                    "keys.proxy_url: must be the URL of an HTTP proxy without user name and "
                    "password, such as http://proxy:3128"
                ],
                id=name,
            )
            for name, url in {
                "a proxy that is asked by TLS": "https://proxy:3128",
                "a proxy with a password": "http://joe:marker@proxy:3128",
                "a proxy that is no URL": "proxy:3128",
            }.items()
        ),
        pytest.param(
            {"keys": {"url": URL, "headers": {"X-Api-Key": {"env": "SECRET"}}}},
            [],
            id="a header",
        ),
        pytest.param(
            {"keys": {"url": URL, "headers": {"x-api-key": "marker"}}},
            [
                "keys.headers.x-api-key: must say where the secret is, and not be the secret: "
                "write {env: NAME}, {file: PATH} or {value: TEXT}"
            ],
            id="a header that stands in the file",
        ),
        pytest.param(
            {"keys": {"url": URL, "headers": {"x-api-key": {"value": "marker\r\nhost: evil"}}}},
            [
                "keys.headers.x-api-key: must be printable ASCII, without line ends or spaces "
                "around it"
            ],
            id="a header of two lines",
        ),
        pytest.param(
            {"keys": {"url": URL, "headers": {"x-api-key": {"marker": "a"}}}},
            [
                "keys.headers.x-api-key: has an unknown key; known are encoding, env, file, value",
            ],
            id="a header whose secret is a key of the mapping",
        ),
        pytest.param(
            {"keys": {"url": URL, "headers": {"a": {"env": "SECRET"}, "A": {"env": "SECRET"}}}},
            ["keys.headers: has header a twice: case makes no difference; remove one"],
            id="a header twice",
        ),
        pytest.param(
            {"keys": {"url": URL, "headers": {"If-None-Match": {"env": "SECRET"}}}},
            [
                "keys.headers.If-None-Match: sets if-none-match, which the sidecar sends itself; "
                "remove it"
            ],
            id="a header of the sidecar's own",
        ),
        pytest.param(
            {"keys": {"url": URL, "headers": {"x api": {"env": "SECRET"}}}},
            [
                'keys.headers["x api"]: must be the name of a header (RFC 9110, section 5.1); it '
                'is the text "x api"'
            ],
            id="a header whose name is none",
        ),
        pytest.param(
            {"keys": {"file": "ec.pub", "headers": {}}},
            ["keys.headers: has a meaning only with discovery or url; remove it"],
            id="headers to a file",
        ),
        pytest.param(
            {"keys": {"url": URL, "xyz": True}},
            [
                "keys.xyz: unknown key; known are ca_file, discovery, file, headers, inline, "
                "key_id, max_stale, proxy_url, refresh, required, secret, snapshot, timeout, "
                "unknown_key_interval, url"
            ],
            id="a setting that is not there yet",
        ),
        pytest.param(
            {"keys": {"url": URL, "ca_file": "ec.pub"}},
            ["keys.ca_file: ec.pub: it has no PEM certificates, or one that is broken"],
            id="certificates that are none",
        ),
        pytest.param(
            {"name": "Corp"},
            [
                "name: must be a name of 1 to 100 of the characters a-z, 0-9, ., _ and -; it is "
                'the text "Corp"'
            ],
            id="a name in upper case",
        ),
        pytest.param({"name": "a" * 100}, [], id="a name of 100 characters"),
        pytest.param({"audiences": None}, ["audiences: is missing"], id="no audiences"),
        pytest.param(
            {"audiences": []},
            ['audiences: must have at least one entry; write "*" for any'],
            id="an empty list of audiences",
        ),
        pytest.param(
            {"audiences": ["a", "*"]},
            ['audiences: has "*" in a list; write "*" alone for any'],
            id="any audience among others",
        ),
        pytest.param(
            {"audiences": ["a", 5]},
            ["audiences[1]: must be text; it is the number 5: put it in quotes"],
            id="an audience that is a number",
        ),
        pytest.param(
            {"types": ["*"]},
            ['types: has "*" in a list; write "*" alone for any'],
            id="any type in a list",
        ),
        pytest.param({"clock_skew": "0s"}, [], id="no clock skew"),
        pytest.param({"clock_skew": "10m"}, [], id="the largest clock skew"),
        pytest.param(
            {"clock_skew": "601s"},
            ["clock_skew: must be at least 0s and at most 10m; it is 601s"],
            id="a clock skew too large",
        ),
        pytest.param(
            {"max_age": "0s"}, ["max_age: must be at least 1ms; it is 0s"], id="no age at all"
        ),
        pytest.param(
            {"critical_headers": ["exp", "b64"]},
            [
                "critical_headers[1]: b64 is a registered header parameter, which crit may not "
                "name (RFC 7515, section 4.1.11); remove it"
            ],
            id="a registered critical header",
        ),
        pytest.param(
            {"claims": {"roles": []}},
            ['claims: "roles" must be a string, number, boolean or null, or an array of these'],
            id="a claim without a value",
        ),
        pytest.param(
            {"algorithms": ["RS265"]},
            [
                'algorithms[0]: must be a JWS algorithm; it is the text "RS265": did you mean '
                '"RS256"?'
            ],
            id="an algorithm that there is not",
        ),
        pytest.param(
            {"algorithms": ["none"]},
            [
                'algorithms[0]: must be a JWS algorithm; it is the text "none": known are ES256, '
                "ES256K, ES384, ES512, Ed25519, Ed448, EdDSA, HS256, HS384, HS512, ML-DSA-44, "
                "ML-DSA-65, ML-DSA-87, PS256, PS384, PS512, RS256, RS384, RS512"
            ],
            id="the algorithm none",
        ),
        pytest.param(
            {"algorithms": ["HS256"]},
            ["algorithms[0]: HS256 needs keys.secret; remove it"],
            id="HMAC with public keys",
        ),
        pytest.param(
            {"algorithms": ["ES256", "RS256"]},
            ["algorithms[1]: RS256 fits none of the keys, which are for ES256"],
            id="an algorithm that fits no key",
        ),
        pytest.param(
            {**HMAC, "algorithms": None},
            [
                "keys.secret: needs the algorithms that it serves: add algorithms with some of "
                "HS256, HS384, HS512"
            ],
            id="a secret without algorithms",
        ),
        pytest.param(
            {**HMAC, "algorithms": ["HS256", "RS256"]},
            [
                "algorithms[1]: RS256 needs public keys, and keys has a secret, which serves "
                "HS256, HS384, HS512"
            ],
            id="a secret with an asymmetric algorithm",
        ),
        pytest.param(
            {"keys": {"secret": {"env": "SHORT"}}, "algorithms": ["HS256"]},
            ["keys.secret: the secret has 6 bytes; HS256 needs at least 32"],
            id="a short secret",
        ),
        pytest.param(
            {**HMAC, "keys": {"secret": "marker"}},
            [
                "keys.secret: must say where the secret is, and not be the secret: write "
                "{env: NAME}, {file: PATH} or {value: TEXT}"
            ],
            id="a bare secret",
        ),
        pytest.param(
            {"keys": {"file": "weak.pub"}},
            [
                "keys.file: weak.pub: it has no usable key: line 1: its RSA modulus has 1024 "
                "bits; at least 2048 are needed"
            ],
            id="a file with a weak key alone",
        ),
        pytest.param(
            {"keys": {"file": "ec.pem"}},
            [
                "keys.file: ec.pem: it has no usable key: line 1: it has a private key; a public "
                "key or a certificate is needed"
            ],
            id="a file with a private key",
        ),
        pytest.param(
            {"keys": {"file": "absent.pem"}},
            ["keys.file: absent.pem can't be read: No such file or directory"],
            id="no file",
        ),
        pytest.param(
            {"keys": {"file": "directory"}},
            ["keys.file: directory can't be read: Is a directory"],
            id="a directory",
        ),
        pytest.param(
            {"keys": {"inline": {"keys": [jwk("ec", use="enc"), {"kty": "oct", "k": "marker"}]}}},
            [
                'keys.inline: it has no usable key: keys[0]: its use is "enc", not "sig"; '
                "keys[1]: it is a symmetric key, which never comes from a key set"
            ],
            id="unusable keys right here",
        ),
        pytest.param(
            {"keys": {"inline": {}}},
            ['keys.inline: it is no JWK Set: "keys" must be an array and is absent'],
            id="no key set",
        ),
        pytest.param({"profile": "access_token", "proof": "required"}, [], id="a profile"),
        pytest.param(
            {"profile": "id_token"},
            [
                'profile: must be access_token; it is the text "id_token": did you mean '
                '"access_token"?'
            ],
            id="an unknown profile",
        ),
        pytest.param(
            {"profile": "access_token", "types": ["JWT"]},
            ["types: has a meaning only with no profile, which has a typ of its own; remove it"],
            id="a profile and types",
        ),
        pytest.param(
            {"profile": "access_token", "audiences": "*"},
            ['audiences: must name this service with profile: access_token; it is "*"'],
            id="a profile for any audience",
        ),
        pytest.param(
            {"profile": "access_token", "issuer": "*"},
            ['issuer: must be that of the tokens with profile: access_token; it is "*"'],
            id="a profile for any issuer",
        ),
        pytest.param(
            {"proof": "never"},
            ['proof: must be when_bound, required or ignore; it is the text "never"'],
            id="an unknown rule on proofs",
        ),
        pytest.param(
            {"keys": {"inline": {"keys": []}}},
            ["keys.inline: it has no key"],
            id="an empty key set",
        ),
    ],
)
def test_settings_of_an_issuer(
    folder: Folder, settings: dict[str, Any], messages: list[str]
) -> None:
    (folder.path / "directory").mkdir()
    assert folder.problems(configuration(issuers=[issuer(**settings)])) == [
        f"jwt-sidecar.yaml:1: issuers[0].{message}" for message in messages
    ]


@pytest.mark.parametrize(
    ("second", "messages"),
    [
        pytest.param({"name": "b", "issuer": "b"}, [], id="of another name and iss"),
        pytest.param({"name": "b", "issuer": "*"}, [], id="that is any"),
        pytest.param(
            {"issuer": "b"},
            ['name: name "corp" is taken by issuers[0].name in line 1; choose another'],
            id="of the same name",
        ),
        pytest.param(
            {"name": "b"},
            [
                'issuer: issuer "https://login.example.com/" is taken by issuers[0].issuer in '
                "line 1; choose another"
            ],
            id="of the same iss",
        ),
    ],
)
def test_a_second_issuer(folder: Folder, second: dict[str, Any], messages: list[str]) -> None:
    assert folder.problems(configuration(issuers=[issuer(), issuer(**second)])) == [
        f"jwt-sidecar.yaml:1: issuers[1].{message}" for message in messages
    ]


def test_two_issuers_may_both_be_any(folder: Folder) -> None:
    both = [issuer(name="a", issuer="*"), issuer(name="b", issuer="*")]
    assert folder.problems(configuration(issuers=both)) == []


def test_unusable_keys_beside_good_ones_are_set_aside(folder: Folder) -> None:
    folder.write(
        "mixed.pem",
        "".join((folder.path / f"{one}.pub").read_text() for one in ("weak", "ec", "rsa", "ed")),
    )
    folder.write("mixed.json", json.dumps({"keys": [jwk("ec", kid="1"), {"kty": "x"}]}))
    found = folder.load(
        configuration(
            issuers=[
                issuer(name="pem", issuer="a", keys={"file": "mixed.pem"}),
                issuer(name="json", issuer="b", keys={"file": "mixed.json"}),
            ]
        )
    ).settings
    pem, jwks = (one.local_keys for one in found.issuers)
    assert pem is not None
    assert jwks is not None
    assert [one.type for one in pem.keys] == ["EC", "RSA", "OKP"]
    assert [one.place for one in pem.unusable] == ["line 1"]
    assert [one.key_id for one in jwks.keys] == ["1"]
    assert len(jwks.unusable) == 1


def test_the_secret_of_an_issuer_may_have_a_key_id(folder: Folder) -> None:
    settings = {**HMAC, "keys": {"secret": {"env": "SECRET"}, "key_id": "k1"}}
    (found,) = folder.load(configuration(issuers=[issuer(**settings)])).settings.issuers
    assert found.local_keys is not None
    (only,) = found.local_keys.keys
    assert only.key_id == "k1"
    assert only.algorithms == {"HS256"}
    assert only.material == SECRET.encode()


@pytest.mark.parametrize(
    "unit",
    [b"-----BEGIN A-----\n", b"-----BEGIN A", b"-----BEGIN A-----\n-----END B-----\n"],
)
def test_the_time_for_a_key_file_does_not_grow_with_the_square_of_its_length(unit: bytes) -> None:
    """50 ms or so for 200,000 bytes; a file may have 1 MiB."""
    started = process_time()
    with pytest.raises(ValueError, match="neither a JWK Set nor PEM"):
        parse_keys(unit * (200_000 // len(unit)))
    assert process_time() - started < 2
