import json
from typing import Any

import pytest
import yaml

from sidecar.config.load import show
from sidecar.config.schema import schema
from sidecar.config.snapshot import build
from tests.unit.config.folder import Folder, configuration, consumer, issuer, signer

EVERYTHING = configuration(
    listeners=[
        {"address": "unix:a.sock", "services": ["validate", "ext_authz"], "mode": "0600"},
        {"address": "[::1]:9191", "services": ["issue"], "unauthenticated": True},
    ],
    http={"address": "localhost:9192"},
    issuers=[
        issuer(claims={"realm_access.roles": ["admin", 1e3, None, "1e3", "0o7", "yes", "~"]}),
        issuer(name="any", issuer="*", audiences="*", types="*", max_age="12h"),
        issuer(
            name="remote",
            issuer="https://a.example",
            keys={
                "discovery": True,
                "refresh": "1500ms",
                "required": False,
                "proxy_url": "http://proxy:3128",
                "headers": {"X-Api-Key": {"env": "SECRET"}},
            },
            algorithms=["RS256", "ES256"],
            critical_headers=["exp"],
        ),
        issuer(
            name="hmac",
            issuer="0x10",
            keys={"secret": {"env": "SECRET"}, "key_id": "2026-11"},
            algorithms=["HS256"],
        ),
    ],
    consumers={
        "list": [consumer(labels={"plan": "1e3"})],
        "file": "more.yaml",
        "clock_skew": "0s",
    },
    signers=[
        signer(accept=True, scopes=[], claims={"env": None, "n": [1, 2.5, {"a": True}]}),
        signer(name="made", issuer="b", keys=[{"generate": "RS256"}], lifetime="90s"),
    ],
    authorization={
        "token_from": [{"header": "X-Token"}, {"query": "t"}],
        "forward": {"headers": {"X-Sub": "sub"}, "consumer_header": "x-consumer"},
    },
    limits={"token_bytes": 5000, "keys_bytes": "2MiB"},
)


@pytest.fixture
def shown(folder: Folder) -> str:
    folder.write("b.secret", "b" * 32)
    folder.write("more.yaml", "- {name: b, key: b, algorithm: HS256, secret: {file: b.secret}}\n")
    return show(folder.load(EVERYTHING))


def test_what_is_shown_loads_as_the_same(folder: Folder, shown: str) -> None:
    assert show(folder.load(shown)) == shown


def test_what_is_shown_decides_the_same(folder: Folder, shown: str) -> None:
    before, after = (build(folder.load(one).settings, {}) for one in (EVERYTHING, shown))
    assert {
        one.name: (one.issuer, one.rules, one.algorithms) for one in before.issuers.values()
    } == {one.name: (one.issuer, one.rules, one.algorithms) for one in after.issuers.values()}
    assert before.consumers is not None
    assert after.consumers is not None
    assert list(before.consumers.by_key) == list(after.consumers.by_key)
    assert list(before.signers) == list(after.signers)


def test_what_is_shown_has_defaults_and_units(folder: Folder) -> None:
    folder.write("more.yaml", "[]")
    found = folder.load(
        configuration(issuers=[issuer(keys={"url": "https://a.example/jwks"}, issuer="a")])
    )
    text = show(found)
    assert text.startswith(f"listeners:\n- address: unix:{folder.path}/a.sock\n  mode: '0660'\n")
    assert "refresh: 10m\n" in text
    assert "clock_skew: 30s\n" in text
    assert "token_bytes: 16KiB\n" in text
    assert "null" not in text


@pytest.mark.parametrize(
    ("reference", "lines"),
    [
        pytest.param({"env": "SECRET"}, ["env: SECRET"], id="a variable"),
        pytest.param({"file": "secret"}, ["file: {}/secret"], id="a file, by its absolute path"),
        pytest.param({"value": "marker" * 9}, ["value: '***'"], id="a value, masked"),
        pytest.param(
            {"value": "ab" * 32, "encoding": "hex"},
            ["value: '***'", "encoding: hex"],
            id="a value with its encoding",
        ),
    ],
)
def test_a_secret_is_shown_by_where_it_is(
    folder: Folder, reference: dict[str, Any], lines: list[str]
) -> None:
    folder.write("secret", "s" * 32)
    text = show(folder.load(configuration(consumers={"list": [consumer(secret=reference)]})))
    block = text.split("secret:\n")[1].split("labels:")[0]
    assert [line.strip() for line in block.strip().splitlines()] == [
        line.format(folder.path) for line in lines
    ]


def test_the_headers_of_keys_are_shown_without_their_values(folder: Folder) -> None:
    keys = {"url": "https://a.example/jwks", "headers": {"x-api-key": {"value": "marker"}}}
    text = show(folder.load(configuration(issuers=[issuer(keys=keys)])))
    assert "x-api-key:\n        value: '***'\n" in text
    assert "marker" not in text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        pytest.param("", "", id="no query"),
        pytest.param("?key=marker", "?key=***", id="a value"),
        pytest.param("?a=marker&b=marker==&c=", "?a=***&b=***&c=", id="several"),
        pytest.param("?marker", "?***", id="no names"),
        pytest.param("?a=marker?marker", "?a=***", id="a question mark in it"),
    ],
)
def test_the_query_of_a_url_is_shown_without_its_values(
    folder: Folder, written: str, shown: str
) -> None:
    keys = {"url": f"https://a.example/jwks{written}"}
    text = show(folder.load(configuration(issuers=[issuer(keys=keys)])))
    assert f"    url: https://a.example/jwks{shown}\n" in text
    assert show(folder.load(text)) == text


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        pytest.param("/{sub}?key=marker", "/{sub}?key=***", id="in the path"),
        pytest.param("/?key=marker&id={sub}", "/?key=***&id={sub}", id="in the query"),
        pytest.param("/?id=marker{sub}", "/?id=***{sub}", id="behind more"),
        pytest.param("/?{sub}", "/?{sub}", id="alone"),
    ],
)
def test_the_place_of_the_subject_stays(folder: Folder, written: str, shown: str) -> None:
    subjects = [{"name": "users", "http": {"url": f"https://a.example{written}"}}]
    settings = configuration(issuers=[issuer(subjects="users")], subjects=subjects)
    text = show(folder.load(settings))
    assert f"    url: https://a.example{shown}\n" in text
    assert show(folder.load(text)) == text


def settings_in(described: dict[str, Any]) -> dict[str, dict[str, Any]]:
    sections = {"": described, **described["$defs"]}
    return {
        f"{name}.{setting}".lstrip("."): members
        for name, section in sections.items()
        for setting, members in section["properties"].items()
    }


def test_the_schema_forbids_what_is_not_known() -> None:
    described = schema()
    assert described["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert described["additionalProperties"] is False
    assert all(one["additionalProperties"] is False for one in described["$defs"].values())
    assert described["required"] == ["listeners"]
    json.dumps(described)


def test_the_schema_describes_every_setting() -> None:
    described = schema()
    undescribed = {
        name
        for name, members in settings_in(described).items()
        if "description" not in members
        and "description" not in described["$defs"].get(members.get("$ref", "").split("/")[-1], {})
    }
    assert undescribed == set()


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        pytest.param(
            "IssuerKeys.refresh",
            {
                "type": "string",
                "default": "10m",
                "pattern": "^[0-9]{1,13}(\\.[0-9]{1,6})?(ms|s|m|h|d)$",
            },
            id="a duration is text with a unit",
        ),
        pytest.param(
            "Limits.token_bytes",
            {
                "anyOf": [
                    {"type": "integer", "minimum": 0},
                    {"type": "string", "pattern": "^[0-9]{1,13}(KiB|MiB|GiB)$"},
                ],
                "default": "16KiB",
            },
            id="a size is a number or text with a unit",
        ),
        pytest.param(
            "Issuer.audiences",
            {
                "anyOf": [
                    {
                        "type": "array",
                        "items": {"type": "string", "minLength": 1},
                        "minItems": 1,
                    },
                    {"const": "*"},
                ]
            },
            id="audiences are a list or any",
        ),
        pytest.param(
            "Listener.services",
            {
                "type": "array",
                "items": {"type": "string", "enum": ["validate", "ext_authz", "issue", "admin"]},
            },
            id="services are some of four",
        ),
        pytest.param(
            "Consumers.audiences",
            {
                "anyOf": [
                    {
                        "type": "array",
                        "items": {"type": "string", "minLength": 1},
                        "minItems": 1,
                    },
                    {"const": "*"},
                ],
                "default": "*",
            },
            id="a default is as it is written",
        ),
        pytest.param(
            "Issuer.max_age",
            {"type": "string", "pattern": "^[0-9]{1,13}(\\.[0-9]{1,6})?(ms|s|m|h|d)$"},
            id="null is never offered",
        ),
    ],
)
def test_the_schema_of_a_setting(setting: str, expected: dict[str, Any]) -> None:
    members = settings_in(schema())[setting]
    del members["description"]
    assert members == expected


def test_what_is_shown_is_what_other_yaml_readers_read(shown: str) -> None:
    """Text that looks like a number is in quotes, whatever the reader's rules."""
    read = yaml.safe_load(shown)
    assert read["issuers"][0]["claims"]["realm_access.roles"] == [
        "admin",
        1e3,
        None,
        "1e3",
        "0o7",
        "yes",
        "~",
    ]
