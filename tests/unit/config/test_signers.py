from typing import Any

import pytest

from tests.unit.config.folder import Folder, configuration, signer

SECRET_KEY = {"key_id": "1", "algorithm": "HS256", "secret": {"env": "SECRET"}}
PRIVATE_KEY = {"key_id": "1", "algorithm": "ES256", "private_key": {"file": "ec.pem"}}


@pytest.mark.parametrize(
    ("key", "messages"),
    [
        pytest.param(PRIVATE_KEY, [], id="a private key"),
        pytest.param(SECRET_KEY, [], id="a secret"),
        pytest.param({"generate": "ES256"}, [], id="a key that is made"),
        pytest.param(
            {"generate": "EdDSA", "key_id": "1"}, [], id="a key that is made, with a name"
        ),
        pytest.param({"generate": "ML-DSA-87"}, [], id="a key of ML-DSA that is made"),
        pytest.param(
            {**PRIVATE_KEY, "algorithm": "ML-DSA-65", "private_key": {"file": "akp.pem"}},
            [],
            id="a key of ML-DSA",
        ),
        pytest.param(
            {**PRIVATE_KEY, "algorithm": "ML-DSA-44", "private_key": {"file": "akp.pem"}},
            ['.private_key: "ML-DSA-44" can\'t be signed with an AKP key for ML-DSA-65'],
            id="a key of ML-DSA of another size",
        ),
        pytest.param(
            {**PRIVATE_KEY, "algorithm": "ES256K", "private_key": {"file": "k256.pem"}},
            [],
            id="a key on secp256k1",
        ),
        pytest.param(
            {**PRIVATE_KEY, "algorithm": "ES256K"},
            ['.private_key: "ES256K" can\'t be signed with an EC key on P-256 for ES256'],
            id="a key on P-256 for ES256K",
        ),
        pytest.param(
            {**PRIVATE_KEY, "private_key": {"file": "locked.pem", "password": {"env": "PASS"}}},
            [],
            id="an encrypted key",
        ),
        pytest.param(
            {**PRIVATE_KEY, "private_key": {"file": "locked.pem"}},
            [".private_key: the private key is encrypted and needs a password"],
            id="an encrypted key without a password",
        ),
        pytest.param(
            {**PRIVATE_KEY, "private_key": {"file": "locked.pem", "password": {"env": "SHORT"}}},
            [".private_key: the password of the private key is wrong"],
            id="an encrypted key with another password",
        ),
        pytest.param(
            {**PRIVATE_KEY, "private_key": {"file": "ec.pem", "password": {"env": "PASS"}}},
            [".private_key: the private key is not encrypted; remove its password"],
            id="a password for nothing",
        ),
        pytest.param(
            {**PRIVATE_KEY, "private_key": {"file": "locked.pem", "password": "marker"}},
            [
                ".private_key.password: must say where the secret is, and not be the secret: "
                "write {env: NAME}, {file: PATH} or {value: TEXT}"
            ],
            id="a bare password",
        ),
        pytest.param(
            {**PRIVATE_KEY, "private_key": {"file": "ec.pub"}},
            [".private_key: it is not a PEM private key of a known kind"],
            id="a public key",
        ),
        pytest.param(
            {**PRIVATE_KEY, "algorithm": "RS256"},
            ['.private_key: "RS256" can\'t be signed with an EC key on P-256 for ES256'],
            id="a key of another type",
        ),
        pytest.param(
            {**PRIVATE_KEY, "algorithm": "RS256", "private_key": {"file": "weak.pem"}},
            [".private_key: its RSA modulus has 1024 bits; at least 2048 are needed"],
            id="a weak key",
        ),
        pytest.param(
            {**PRIVATE_KEY, "algorithm": "HS256"},
            [".private_key: does not go with HS256, which needs a secret"],
            id="a private key for HMAC",
        ),
        pytest.param(
            {**SECRET_KEY, "algorithm": "ES256"},
            [".secret: does not go with ES256, which needs a private_key"],
            id="a secret for ECDSA",
        ),
        pytest.param(
            {**SECRET_KEY, "secret": {"env": "SHORT"}},
            [".secret: the secret has 6 bytes; HS256 needs at least 32"],
            id="a short secret",
        ),
        pytest.param(
            {"private_key": {"file": "ec.pem"}},
            [
                ": needs key_id beside private_key or secret",
                ": needs algorithm beside private_key or secret",
            ],
            id="a private key without name and algorithm",
        ),
        pytest.param(
            {**PRIVATE_KEY, "secret": {"env": "SECRET"}},
            [": needs exactly one of private_key, secret, generate; it has private_key and secret"],
            id="two keys in one",
        ),
        pytest.param(
            {"key_id": "1"},
            [
                ": needs exactly one of private_key, secret, generate; it has none of them",
            ],
            id="no key",
        ),
        pytest.param(
            {"generate": "ES256", "algorithm": "ES256"},
            [".algorithm: has a meaning only with private_key or secret; remove it"],
            id="an algorithm for a key that is made",
        ),
        pytest.param(
            {"generate": True},
            [".generate: must be a JWS algorithm, such as ES256; it is true"],
            id="made, but with which algorithm",
        ),
        pytest.param(
            {"generate": "HS256"},
            [
                ".generate: HS256 has a secret and no key pair; generate one of ES256, "
                "ES256K, ES384, ES512, Ed25519, Ed448, EdDSA, ML-DSA-44, ML-DSA-65, ML-DSA-87, "
                "PS256, PS384, PS512, RS256, RS384, RS512"
            ],
            id="a secret that is made",
        ),
        pytest.param(
            {"generate": "ES256", "rotate": "30d"},
            [],
            id="a key that is made again",
        ),
        pytest.param({"generate": "ES256", "rotate": "1h"}, [], id="the shortest rotation"),
        pytest.param({"generate": "ES256", "rotate": "3650d"}, [], id="the longest rotation"),
        pytest.param(
            {"generate": "ES256", "rotate": "59m"},
            [".rotate: must be at least 1h and at most 3650d; it is 59m"],
            id="too short a rotation",
        ),
        pytest.param(
            {"generate": "ES256", "rotate": "3651d"},
            [".rotate: must be at least 1h and at most 3650d; it is 3651d"],
            id="too long a rotation",
        ),
        pytest.param(
            {**PRIVATE_KEY, "rotate": "30d"},
            [".rotate: has a meaning only with generate; remove it"],
            id="a rotation of a key from a file",
        ),
        pytest.param(
            {"generate": "ES256", "rotate": "30d", "key_id": "1"},
            [".key_id: can't name the keys that rotate makes: each gets its thumbprint; remove it"],
            id="one name for keys that follow each other",
        ),
    ],
)
def test_keys_of_a_signer(folder: Folder, key: dict[str, Any], messages: list[str]) -> None:
    folder.environment["PASS"] = "open sesame"
    assert folder.problems(configuration(signers=[signer(keys=[key])])) == [
        f"jwt-sidecar.yaml:1: signers[0].keys[0]{message}" for message in messages
    ]


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        pytest.param(
            {"keys": []}, ["keys: must have at least one entry; it is empty"], id="no keys"
        ),
        pytest.param(
            {"lifetime": "2h"},
            ["lifetime: must be at most max_lifetime, which is 1h"],
            id="a lifetime over the longest",
        ),
        pytest.param({"lifetime": "2h", "max_lifetime": "2h"}, [], id="a lifetime of the longest"),
        pytest.param(
            {"claims": {"exp": 1, "env": "prod"}},
            ["claims.exp: is set for each token by the sidecar; remove it"],
            id="a registered claim",
        ),
        pytest.param(
            {"keys": [{"generate": "ES256", "rotate": "1h"}], "max_lifetime": "20h"},
            [],
            id="twenty keys at once",
        ),
        pytest.param(
            {"keys": [{"generate": "ES256", "rotate": "1h"}], "max_lifetime": "30h"},
            [
                "keys[0].rotate: would publish more than 20 keys at once, as each stays until its "
                "last token has expired (max_lifetime); it must be at least 90m"
            ],
            id="thirty keys at once",
        ),
        pytest.param(
            {"keys": [{"generate": "ES256"}, PRIVATE_KEY, {"generate": "EdDSA"}]},
            [],
            id="generated keys of two algorithms",
        ),
        pytest.param(
            {"keys": [{"generate": "ES256"}, {"generate": "ES256", "key_id": "2"}]},
            [
                "keys[1].generate: ES256 is generated by keys[0] already; remove one, and for a "
                "next key set rotate"
            ],
            id="two generated keys of one algorithm",
        ),
        pytest.param({"claims": {"scope": "a"}}, [], id="a scope where all may be granted"),
        pytest.param(
            {"claims": {"scp": ["a"]}, "scopes": ["a"]},
            ["claims.scp: would grant what scopes limits; remove one of the two"],
            id="a scope beside a limit",
        ),
        pytest.param({"scopes": []}, [], id="no scope at all"),
        pytest.param(
            {"scopes": ["a b"]},
            [
                "scopes[0]: must be a scope (RFC 6749, section 3.3): printable ASCII without "
                'spaces, quotes and backslashes; it is the text "a b"'
            ],
            id="two scopes in one",
        ),
        pytest.param(
            {"name": "corp"},
            [],
            id="the name of an issuer, not accepted",
        ),
        pytest.param(
            {"name": "corp", "accept": True},
            ['name: name "corp" is taken by issuers[0].name in line 1; choose another'],
            id="the name of an issuer, accepted",
        ),
        pytest.param(
            {"issuer": "https://login.example.com/", "accept": True},
            [
                'issuer: issuer "https://login.example.com/" is taken by issuers[0].issuer in '
                "line 1; choose another"
            ],
            id="the iss of an issuer, accepted",
        ),
        pytest.param({"refresh": {"lifetime": "30d"}}, [], id="refresh tokens"),
        pytest.param(
            {"refresh": {"lifetime": "30d", "idle_lifetime": "30d", "grace": "0s"}},
            [],
            id="refresh tokens without grace",
        ),
        pytest.param({"refresh": {}}, ["refresh.lifetime: is missing"], id="no lifetime"),
        pytest.param(
            {"refresh": {"lifetime": "59s", "idle_lifetime": "59s", "grace": "5.1m"}},
            [
                "refresh.grace: must be at least 0s and at most 5m; it is 306s",
                "refresh.idle_lifetime: must be at least 1m; it is 59s",
                "refresh.lifetime: must be at least 1m; it is 59s",
            ],
            id="refresh tokens that live too short",
        ),
        pytest.param(
            {"refresh": {"lifetime": "30d", "idle_lifetime": "31d"}},
            ["refresh.idle_lifetime: must be at most lifetime, which is 30d"],
            id="refresh tokens that idle for longer than they live",
        ),
    ],
)
def test_settings_of_a_signer(
    folder: Folder, settings: dict[str, Any], messages: list[str]
) -> None:
    assert folder.problems(configuration(signers=[signer(**settings)])) == [
        f"jwt-sidecar.yaml:1: signers[0].{message}" for message in messages
    ]


def test_a_key_id_serves_once_over_all_signers(folder: Folder) -> None:
    both = [signer(), signer(name="b", issuer="b")]
    assert folder.problems(configuration(signers=both)) == [
        'jwt-sidecar.yaml:1: signers[1].keys[0].key_id: key_id "1" is taken by '
        "signers[0].keys[0].key_id in line 1; choose another"
    ]


def test_two_signers_of_one_name_are_refused_once(folder: Folder) -> None:
    both = [signer(accept=True), signer(accept=True, issuer="b", keys=[{"generate": "ES256"}])]
    assert folder.problems(configuration(signers=both)) == [
        'jwt-sidecar.yaml:1: signers[1].name: name "internal" is taken by signers[0].name in '
        "line 1; choose another"
    ]
