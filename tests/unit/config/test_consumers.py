import json
from typing import Any

import pytest

from tests.unit.config.folder import SECRET, Folder, configuration, consumer

OPS = {
    "name": "ops",
    "key": "admin",
    "algorithm": "ES256",
    "secret": None,
    "public_key": {"file": "ec.pub"},
}


def with_consumers(*consumers: dict[str, Any], **settings: Any) -> dict[str, Any]:
    return configuration(issuers=None, consumers={"list": list(consumers), **settings})


@pytest.mark.parametrize(
    ("settings", "messages"),
    [
        pytest.param({}, [], id="a secret"),
        pytest.param(OPS, [], id="a public key"),
        pytest.param({"labels": {"plan": "gold"}}, [], id="labels"),
        pytest.param(
            {"labels": {"plan": 5}},
            ["labels.plan: must be text; it is the number 5: put it in quotes"],
            id="a label that is a number",
        ),
        pytest.param(
            {"algorithm": "HS512", "secret": {"value": "x" * 63}},
            ["secret: the secret has 63 bytes; HS512 needs at least 64"],
            id="a secret of a byte too few",
        ),
        pytest.param(
            {"algorithm": "HS512", "secret": {"value": "x" * 64}},
            [],
            id="a secret just long enough",
        ),
        pytest.param({"secret": None}, ["needs a secret for HS256"], id="no secret"),
        pytest.param(
            {"algorithm": "RS256", "secret": None},
            ["needs a public_key for RS256"],
            id="no public key",
        ),
        pytest.param(
            {"algorithm": "RS256"},
            ["secret: does not go with RS256, which needs a public_key"],
            id="a secret for RSA",
        ),
        pytest.param(
            {"public_key": {"file": "ec.pub"}},
            ["public_key: does not go with HS256, which needs a secret"],
            id="a public key for HMAC",
        ),
        pytest.param(
            {**OPS, "algorithm": "RS256"},
            ["public_key: it is an EC key on P-256 for ES256; RS256 needs a key of type RSA"],
            id="a public key of another type",
        ),
        pytest.param(
            {**OPS, "algorithm": "EdDSA"},
            [
                "public_key: it is an EC key on P-256 for ES256; EdDSA needs a key of type OKP "
                "on Ed25519, Ed448"
            ],
            id="a public key on another curve",
        ),
        pytest.param(
            {**OPS, "public_key": {"file": "akp.pub"}, "algorithm": "ML-DSA-65"},
            [],
            id="a public key of ML-DSA",
        ),
        pytest.param(
            {**OPS, "public_key": {"file": "akp.pub"}, "algorithm": "ML-DSA-87"},
            [
                "public_key: it is an AKP key for ML-DSA-65; ML-DSA-87 needs a key of type AKP "
                "for ML-DSA-87"
            ],
            id="a public key of ML-DSA of another size",
        ),
        pytest.param(
            {**OPS, "public_key": {"file": "k256.pub"}, "algorithm": "ES256K"},
            [],
            id="a public key on secp256k1",
        ),
        pytest.param(
            {**OPS, "public_key": {"file": "weak.pub"}, "algorithm": "RS256"},
            ["public_key: its RSA modulus has 1024 bits; at least 2048 are needed"],
            id="a weak public key",
        ),
        pytest.param(
            {**OPS, "public_key": {"file": "ec.pem"}},
            ["public_key: it has a private key; a public key or a certificate is needed"],
            id="a private key",
        ),
        pytest.param({"key": None}, ["key: is missing"], id="no key"),
        pytest.param(
            {
                "scopes": ["read"],
                "claims": {"sub": "billing", "realm_access": {"roles": ["reader"]}},
                "claims_from_token": ["team", "app.name"],
            },
            [],
            id="grants",
        ),
        pytest.param(
            {"claims": {"scope": "admin"}},
            ["claims.scope: would grant scopes; list them in scopes"],
            id="a scope among the claims",
        ),
        pytest.param(
            {"claims": {"sub": "billing"}, "claims_from_token": ["sub"]},
            [
                'claims_from_token: names "sub", which would be ignored, as claims has "sub"; '
                "remove one of the two"
            ],
            id="a claim of the record that the token may state",
        ),
        pytest.param(
            {"disabled": True, "audiences": ["a"], "required": [], "clock_skew": "0s"},
            [],
            id="rules of its own",
        ),
        pytest.param(
            {"audiences": []},
            ['audiences: must have at least one entry; write "*" for any'],
            id="no audience",
        ),
        pytest.param(
            {"clock_skew": "11m"},
            ["clock_skew: must be at least 0s and at most 10m; it is 11m"],
            id="a skew of its own that is too long",
        ),
        pytest.param({"key": "k" * 1024}, [], id="a key of 1024 characters"),
        pytest.param(
            {"name": "Jack"},
            [
                "name: must be a name of 1 to 100 of the characters a-z, 0-9, ., _ and -; "
                'it is the text "Jack"'
            ],
            id="a name in capitals",
        ),
    ],
)
def test_settings_of_a_consumer(
    folder: Folder, settings: dict[str, Any], messages: list[str]
) -> None:
    assert folder.problems(with_consumers(consumer(**settings))) == [
        "jwt-sidecar.yaml:1: consumers.list[0]"
        + (f": {message}" if message.startswith("needs") else f".{message}")
        for message in messages
    ]


def test_consumers_come_from_the_list_and_from_the_file(folder: Folder) -> None:
    folder.write(
        "more.yaml", "- {name: ops, key: admin, algorithm: ES256, public_key: {file: ec.pub}}\n"
    )
    consumers = folder.load(with_consumers(consumer(), file="more.yaml")).settings.consumers
    assert consumers is not None
    assert [one.name for one in consumers.all] == ["jack", "ops"]
    assert consumers.all[0].credential.material == SECRET.encode()
    assert consumers.all[1].credential.type == "EC"


def test_what_is_wrong_in_the_file_is_told_with_its_lines(folder: Folder) -> None:
    folder.write(
        "more.yaml",
        "- name: jack\n"
        "  key: other\n"
        "  algorithm: HS256\n"
        "  secret: {env: ABSENT}\n"
        "- name: jill\n"
        "  key: k\n"
        "  algorithm: HS256\n"
        "  secrte: {env: SECRET}\n"
        "- {name: jill, key: k3, key: k4, algorithm: HS256, secret: {env: SECRET}}\n",
    )
    written = (
        "listeners: [{address: 'unix:a.sock', services: [validate], relfection: true}]\n"
        "consumers:\n"
        "  list:\n"
        "    - {name: jack, key: k, algorithm: HS256, secret: {env: SECRET}}\n"
        "  file: more.yaml\n"
    )
    assert folder.problems(written) == [
        'jwt-sidecar.yaml:1: listeners[0].relfection: unknown key; did you mean "reflection"?',
        'more.yaml:1: [0].name: name "jack" is taken by consumers.list[0].name in line 4 of '
        "jwt-sidecar.yaml; choose another",
        "more.yaml:4: [0].secret.env: environment variable ABSENT is not set",
        'more.yaml:6: [1].key: key "k" is taken by consumers.list[0].key in line 4 of '
        "jwt-sidecar.yaml; choose another",
        'more.yaml:8: [1].secrte: unknown key; did you mean "secret"?',
        "more.yaml:9: [2].key: is already set in line 9; remove one of the two",
        'more.yaml:9: [2].name: name "jill" is taken by [1].name in line 5; choose another',
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(
            None,
            "jwt-sidecar.yaml:1: consumers.file: more.yaml can't be read: "
            "No such file or directory",
            id="that is not there",
        ),
        pytest.param(
            "list: []",
            "more.yaml:1: the file must hold a list at the top level",
            id="that holds a mapping",
        ),
        pytest.param(
            "- [",
            "more.yaml:2: not YAML: while parsing a flow node did not find expected node content",
            id="that is no YAML",
        ),
    ],
)
def test_a_file_of_consumers(folder: Folder, content: str | None, problem: str) -> None:
    if content is not None:
        folder.write("more.yaml", f"{content}\n")
    assert folder.problems(with_consumers(consumer(), file="more.yaml")) == [problem]


def test_rules_for_no_consumer_are_refused(folder: Folder) -> None:
    assert folder.problems(configuration(consumers={"key_claim": "sub"})) == [
        "jwt-sidecar.yaml:1: consumers: has no consumers: add them to list, name a file of them, "
        "or set store: true"
    ]


def test_ten_thousand_consumers_all_get_their_problems_told(folder: Folder) -> None:
    folder.write("more.yaml", "- {name: a, key: b, algorithm: HS256, secrte: {env: C}}\n" * 10_000)
    assert len(folder.problems(with_consumers(consumer(), file="more.yaml"))) == 29_998


@pytest.mark.parametrize("where", ["list", "file"])
def test_a_consumer_that_an_issuer_would_hide_is_told(folder: Folder, where: str) -> None:
    hidden = consumer(key="https://login.example.com/")
    folder.write("more.yaml", json.dumps([hidden]))
    listed = {"list": [hidden]} if where == "list" else {"file": "more.yaml"}
    place = (
        "jwt-sidecar.yaml:1: consumers.list[0].key" if where == "list" else "more.yaml:1: [0].key"
    )
    assert folder.problems(configuration(consumers={"key_claim": "iss", **listed})) == [
        f'{place}: with key_claim: iss, tokens with the iss "https://login.example.com/" are '
        "those of issuers[0].issuer in line 1; choose another key"
    ]
    assert not folder.problems(configuration(consumers={"key_claim": "sub", **listed}))


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        *(
            (name, f"must be a claim that names a party; {name} has another meaning")
            for name in ("aud", "exp", "nbf", "iat", "jti", "scope", "scp")
        ),
        *(
            (path, f'must be the path of a claim, such as key or app.key; it is the text "{path}"')
            for path in (".", "a.", ".a", "a..b")
        ),
    ],
)
def test_a_claim_that_holds_no_key_is_no_key_claim(folder: Folder, path: str, problem: str) -> None:
    settings = configuration(consumers={"key_claim": path, "list": [consumer()]})
    assert folder.problems(settings) == [f"jwt-sidecar.yaml:1: consumers.key_claim: {problem}"]


@pytest.mark.parametrize(
    ("key_claim", "path", "is_fine"),
    [
        ("key", "key", False),
        ("app.key", "app", False),
        ("app", "app.name", False),
        ("app.key", "app.name", True),
        ("key", "keys", True),
    ],
)
def test_no_token_may_state_the_key_claim_freely(
    folder: Folder, key_claim: str, path: str, is_fine: bool
) -> None:
    jack = consumer() | {"claims_from_token": [path]}
    settings = configuration(consumers={"key_claim": key_claim, "list": [jack]})
    problem = (
        f'jwt-sidecar.yaml:1: consumers.key_claim: is "{key_claim}", so "{path}" in '
        "claims_from_token of consumer jack would be ignored; remove it there"
    )
    assert folder.problems(settings) == ([] if is_fine else [problem])
