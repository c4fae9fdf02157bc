import contextlib
import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sidecar.config.load import load, public_hash, show
from sidecar.config.problems import InvalidConfiguration
from tests.unit.config.folder import (
    KEYS,
    NAME,
    SECRET,
    Folder,
    configuration,
    consumer,
    issuer,
    public_pem,
)

MISTAKES = """\
listeners:
  - address: unix:sidecar.sock
    services: [validate]

issuers:
  - name: corp
    issuer: https://login.example.com/
    keys:
      discovery: true
      refesh: 10m
    audiences: [orders]
  - name: corp
    issuer: https://accounts.example.com/
    keys: {file: absent.pem}
    audiences: [orders]
    clock_skew: 30
"""


def test_all_mistakes_are_told_at_once_each_with_its_line(folder: Folder) -> None:
    """A typo, a missing file, a duration without a unit and two issuers of one name."""
    assert folder.problems(MISTAKES) == [
        'jwt-sidecar.yaml:10: issuers[0].keys.refesh: unknown key; did you mean "refresh"?',
        'jwt-sidecar.yaml:12: issuers[1].name: name "corp" is taken by issuers[0].name in line 6; '
        "choose another",
        "jwt-sidecar.yaml:14: issuers[1].keys.file: absent.pem can't be read: No such file or "
        "directory",
        "jwt-sidecar.yaml:16: issuers[1].clock_skew: must be a duration with a unit (ms, s, m, h, "
        'd), such as "30s"; it is the number 30: add the unit',
    ]


def test_mistakes_of_form_and_of_content_are_told_together(folder: Folder) -> None:
    text = MISTAKES + "    audiences: []\nlog: {level: loud}\n5: x\n"
    lines = [problem.split(": ", 1)[0] for problem in folder.problems(text)]
    assert lines == [f"jwt-sidecar.yaml:{line}" for line in (10, 12, 14, 16, 17, 18, 19)]


NOT_SHARED = (
    "needs a store that all workers share, for generated keys and for what is revoked or used up: "
    "set store.url to sqlite:PATH or to the URL of a Redis, or remove workers"
)


@pytest.mark.parametrize(
    ("sections", "messages"),
    [
        pytest.param(
            {"isuers": [issuer()]}, ['isuers: unknown key; did you mean "issuers"?'], id="a typo"
        ),
        *(
            pytest.param(
                {section: {}},
                [
                    f"{section}: unknown key; known are authorization, cache, consumers, http, "
                    "issuers, limits, listeners, log, shutdown, signers, store, subjects, workers"
                ],
                id=f"{section}, which is not there yet",
            )
            for section in ("tracing",)
        ),
        pytest.param({"limits": {"json_depth": 1}}, [], id="the least depth"),
        pytest.param({"limits": {"json_depth": 32}}, [], id="the most depth"),
        pytest.param(
            {"limits": {"json_depth": 33}},
            ["limits.json_depth: must be at most 32; it is the number 33"],
            id="a depth too many",
        ),
        pytest.param(
            {"limits": {"json_depth": 0}},
            ["limits.json_depth: must be at least 1; it is the number 0"],
            id="no depth",
        ),
        pytest.param(
            {"limits": {"json_depth": 3.0}},
            ["limits.json_depth: must be a whole number; it is the number 3.0"],
            id="a depth with a fraction",
        ),
        pytest.param(
            {"limits": {"json_depth": True}},
            ["limits.json_depth: must be a whole number; it is true"],
            id="a depth that is true",
        ),
        pytest.param(
            {"limits": {"token_bytes": "2MiB"}},
            ["limits.token_bytes: must be at least 1 and at most 1MiB; it is 2MiB"],
            id="a size too large",
        ),
        pytest.param(
            {"limits": {"token_bytes": "16KB"}},
            [
                "limits.token_bytes: must be a size: a whole number of bytes, or one with a unit "
                '(KiB, MiB, GiB), such as "16KiB"; it is the text "16KB"'
            ],
            id="a size with another unit",
        ),
        pytest.param(
            {"log": {"level": "INFO"}},
            [
                "log.level: must be debug, info, warning or error; it is the text "
                '"INFO": did you mean "info"?'
            ],
            id="a level in upper case",
        ),
        pytest.param(
            {"log": {"form": "json"}},
            ['log.form: unknown key; did you mean "format"?'],
            id="a key of the log that is not there",
        ),
        pytest.param(
            {"log": "info"},
            ["log: must be a mapping of settings; it is text"],
            id="a level in place of the section",
        ),
        pytest.param(
            {"issuers": issuer()},
            ["issuers: must be a list; it is a mapping"],
            id="an issuer in place of a list",
        ),
        pytest.param({"shutdown": {"drain": "0s", "grace": "0s"}}, [], id="stopping at once"),
        pytest.param({"workers": 1}, [], id="one worker without a store"),
        pytest.param(
            {"workers": 64, "store": {"url": "sqlite:state.db"}}, [], id="workers with a file"
        ),
        pytest.param(
            {"workers": 2, "store": {"url": "redis://127.0.0.1"}}, [], id="workers with a Redis"
        ),
        pytest.param(
            {"workers": 2},
            [f"workers: {NOT_SHARED}"],
            id="workers without a store",
        ),
        pytest.param(
            {"workers": 2, "store": {"url": "memory:"}},
            [f"workers: {NOT_SHARED}"],
            id="workers with a store of their own each",
        ),
        pytest.param(
            {
                "workers": 2,
                "store": {"url": "sqlite:state.db"},
                "listeners": [
                    {"address": "127.0.0.1:0", "services": ["validate"]},
                    {"address": "127.0.0.1:9191", "services": ["validate"]},
                ],
                "http": {"address": "127.0.0.1:0"},
            },
            [
                "http.address: has port 0, which would be another one in each worker; choose one",
                "listeners[0].address: has port 0, which would be another one in each worker; "
                "choose one",
            ],
            id="workers on a port that the system chooses",
        ),
        *(
            pytest.param(
                {"workers": number, "store": {"url": "sqlite:state.db"}},
                [f"workers: must be {words}; it is the number {number}"],
                id=f"{number} workers",
            )
            for number, words in ((0, "at least 1"), (65, "at most 64"))
        ),
    ],
)
def test_settings_at_the_top(folder: Folder, sections: dict[str, Any], messages: list[str]) -> None:
    assert folder.problems(configuration(**sections)) == [
        f"jwt-sidecar.yaml:1: {message}" for message in messages
    ]


@pytest.mark.parametrize(
    "section",
    [pytest.param(one, id=one) for one in ("http", "consumers", "authorization", "limits", "log")],
)
def test_a_section_with_nothing_behind_it_is_a_mistake(folder: Folder, section: str) -> None:
    """It would otherwise be off, or of defaults, without a word."""
    text = (
        "listeners: [{address: 'unix:a', services: [validate, ext_authz]}]\n"
        "signers: [{name: a, issuer: a, keys: [{generate: ES256}], accept: true}]\n"
        f"{section}:\n"
    )
    (problem,) = folder.problems(text)
    assert problem.startswith(f"jwt-sidecar.yaml:3: {section}: ")
    assert "empty" in problem


def test_a_file_that_is_not_there_is_one_problem(tmp_path: Path) -> None:
    path = tmp_path / NAME
    with pytest.raises(InvalidConfiguration) as raised:
        load(path, {})
    assert str(raised.value) == f"{path}: {path} can't be read: No such file or directory"
    assert set(raised.value.files) == {str(path)}


def test_every_file_that_is_named_is_known_also_where_it_is_absent(folder: Folder) -> None:
    written = configuration(
        issuers=[issuer(), issuer(name="b", issuer="b", keys={"file": "absent.pem"})]
    )
    with pytest.raises(InvalidConfiguration) as raised:
        folder.load(written)
    paths = {str(folder.path / name) for name in (NAME, "ec.pub", "absent.pem")}
    assert set(raised.value.files) == paths
    folder.write("absent.pem", (folder.path / "ec.pub").read_bytes())
    assert set(folder.load(written).files) == paths


def test_relative_paths_are_relative_to_the_file(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.load(configuration())
    elsewhere = folder.path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    found = load(os.path.join("..", NAME), {})
    assert found.path == f"../{NAME}"
    assert found.settings.listeners[0].address.path == str(folder.path / "a.sock")
    assert set(found.files) == {str(folder.path / NAME), str(folder.path / "ec.pub")}


KEYS_OF_THE_FILE = st.sampled_from(
    [
        "listeners",
        "issuers",
        "consumers",
        "signers",
        "authorization",
        "limits",
        "name",
        "issuer",
        "keys",
        "address",
        "services",
        "secret",
        "env",
        "file",
        "value",
        "list",
        "key",
        "algorithm",
        "generate",
        "key_id",
        "private_key",
        "audiences",
        "claims",
        "token_from",
        "header",
        "headers",
        "forward",
        "mode",
        "refresh",
        "url",
        "discovery",
        "inline",
        "types",
        "labels",
        "x",
    ]
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=8)
    | st.sampled_from(
        ["*", "10s", "RS256", "HS256", "unix:a", "localhost:1", "validate", "/dev/null"]
    )
)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS_OF_THE_FILE, inner, max_size=5)
    ),
    max_leaves=25,
)
FILES = st.dictionaries(KEYS_OF_THE_FILE, TREES, max_size=6)
PUNCTUATION = st.text(alphabet="ab:-[]{}&*!|>'\"#%@,? \n\t\\.0xé\u2028", max_size=60)


def load_or_refuse(folder: Folder, text: Any) -> None:
    """Fails where anything else is raised."""
    with contextlib.suppress(InvalidConfiguration):
        repr(folder.load(text))


EXAMPLES = settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@EXAMPLES
@given(text=PUNCTUATION)
def test_any_text_is_loaded_or_refused(folder: Folder, text: str) -> None:
    load_or_refuse(folder, text)


@EXAMPLES
@given(tree=FILES)
def test_any_values_are_loaded_or_refused(folder: Folder, tree: dict[str, Any]) -> None:
    load_or_refuse(folder, tree)


@EXAMPLES
@given(tree=FILES)
def test_anything_in_a_place_where_something_else_belongs(
    folder: Folder, tree: dict[str, Any]
) -> None:
    """Each setting in its place, with any value."""
    load_or_refuse(folder, {**configuration(), **tree})
    load_or_refuse(folder, configuration(issuers=[{**issuer(), **tree}]))
    load_or_refuse(folder, configuration(issuers=[issuer(keys=tree)]))
    load_or_refuse(folder, configuration(consumers={"list": [tree], **tree}))
    load_or_refuse(folder, configuration(signers=[tree, {"keys": [tree]}]))
    load_or_refuse(folder, configuration(authorization=tree))


EVERY_SECRET = f"""\
listeners: [{{address: "unix:a.sock", services: [validate, issue]}}]
issuers:
  - name: corp
    issuer: corp
    keys: {{secret: {{env: SECRET}}}}
    algorithms: [HS256]
    audiences: "*"
  - name: inline
    issuer: inline
    keys:
      inline:
        keys:
          - {{kty: RSA, n: AQAB, e: AQAB, d: {SECRET}}}
          - {{kty: OKP, crv: Ed25519, x: 11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo}}
    audiences: "*"
consumers:
  list:
    - {{name: a, key: a, algorithm: HS256, secret: {{value: {SECRET}}}}}
    - {{name: b, key: b, algorithm: HS256, secret: {{file: secret}}}}
signers:
  - name: signer
    issuer: signer
    keys:
      - {{key_id: a, algorithm: HS256, secret: {{value: {SECRET}, encoding: base64url}}}}
      - key_id: b
        algorithm: ES256
        private_key: {{file: locked.pem, password: {{value: open sesame}}}}
"""


def test_no_secret_is_in_what_a_configuration_shows_of_itself(folder: Folder) -> None:
    folder.write("secret", SECRET)
    found = folder.load(EVERY_SECRET)
    parts = [found, found.settings, found.settings.model_dump(), found.settings.model_dump_json()]
    shown = "".join(f"{one!r}{one}" for one in parts) + show(found)
    assert "marker" not in shown
    assert "sesame" not in shown
    assert "env: SECRET" in show(found)


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        pytest.param("{value: ", "[", id="a list for a reference"),
        pytest.param("{value: ", "", id="a bare secret"),
        pytest.param("{value: ", "{", id="a secret as a key"),
        pytest.param("{value: ", "{vallue: ", id="a typo in the reference"),
        pytest.param("{value: ", "{value: [", id="a list for a secret"),
        pytest.param("{value: ", "{value: *", id="a secret that is an alias"),
        pytest.param("{value: ", "{value: &", id="a secret that is an anchor"),
        pytest.param("{value: ", "{value: !", id="a secret that is a tag"),
        pytest.param("{value: ", "{value: !a!", id="a secret that is a tag with a handle"),
        pytest.param("{value: ", "{value: '", id="a secret with an open quote"),
        pytest.param("{value: ", "{value: %", id="a secret that starts with a percent sign"),
        pytest.param("{value: ", "{encoding: ", id="a secret for an encoding"),
        pytest.param("encoding: base64url", "encoding: hex", id="another encoding"),
        pytest.param("HS256", "HS512", id="a secret that is too short"),
        pytest.param("HS256", "ES256", id="an algorithm without a secret"),
        pytest.param("secret: {", "private_key: {", id="a secret for a private key"),
        pytest.param("secret: {", "secrets: {", id="a typo in the setting"),
        pytest.param("ES256", "RS256", id="a key of another type"),
        pytest.param("open", "closed", id="another password"),
    ],
)
def test_no_secret_is_in_a_problem(folder: Folder, good: str, bad: str) -> None:
    folder.write("secret", SECRET)
    with pytest.raises(InvalidConfiguration) as raised:
        folder.load(EVERY_SECRET.replace(good, bad))
    told = f"{raised.value}{raised.value!r}{raised.value.problems!r}"
    assert "marker" not in told
    assert "sesame" not in told


def test_the_digest_tells_configurations_apart_by_all_that_was_read(folder: Folder) -> None:
    written = configuration(consumers={"list": [consumer()]})
    before = folder.load(written)
    assert folder.load(written).digest == before.digest
    folder.environment["SECRET"] = "t" * 64
    other_secret = folder.load(written)
    folder.write("ec.pub", public_pem(KEYS["ed"]))
    other_keys = folder.load(written)
    digests = {before.digest, other_secret.digest, other_keys.digest}
    assert len(digests) == 3
    assert public_hash(before) == public_hash(other_secret) != public_hash(other_keys)


def test_the_public_hash_is_that_of_the_settings(folder: Folder) -> None:
    folder.write("more.yaml", json.dumps([consumer()]))
    hashes = {
        public_hash(folder.load(configuration(**sections)))
        for sections in (
            {},
            {"limits": {"json_depth": 8}},
            {"consumers": {"list": [consumer()]}},
            {"consumers": {"file": "more.yaml"}},
        )
    }
    assert len(hashes) == 4
    assert public_hash(folder.load(configuration())) in hashes
