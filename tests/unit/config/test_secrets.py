import base64
import os
from typing import Any

import pytest

from tests.unit.config.folder import Folder, configuration, consumer, issuer, signer

BYTES = bytes(range(224, 256)) + b"=\xfb\xff"
LONG = "marker-" + "x" * 40


def with_secret(reference: object) -> dict[str, Any]:
    return configuration(consumers={"list": [consumer(secret=reference)]})


def secret_of(folder: Folder, reference: object) -> bytes:
    consumers = folder.load(with_secret(reference)).settings.consumers
    assert consumers is not None
    assert consumers.list[0].secret is not None
    return consumers.list[0].secret.material


@pytest.mark.parametrize(
    ("content", "encoding", "expected"),
    [
        pytest.param(LONG, None, LONG.encode(), id="as it is"),
        pytest.param(f"{LONG}\n", None, LONG.encode(), id="without the line end after it"),
        pytest.param(f"{LONG}\r\n", None, LONG.encode(), id="without a line end of two characters"),
        pytest.param(f"{LONG}\n\n", None, f"{LONG}\n".encode(), id="with all but one line end"),
        pytest.param(f" {LONG} ", None, f" {LONG} ".encode(), id="with its spaces"),
        pytest.param(BYTES, None, BYTES, id="bytes that are no text"),
        pytest.param(base64.encodebytes(BYTES), "base64", BYTES, id="base64 in lines"),
        pytest.param(base64.urlsafe_b64encode(BYTES), "base64url", BYTES, id="base64url, padded"),
        pytest.param(
            base64.urlsafe_b64encode(BYTES).rstrip(b"="), "base64url", BYTES, id="base64url"
        ),
        pytest.param(f"{BYTES.hex()}\n", "hex", BYTES, id="hex"),
        pytest.param(BYTES.hex().upper(), "hex", BYTES, id="hex in upper case"),
    ],
)
def test_a_file_holds_a_secret(
    folder: Folder, content: str | bytes, encoding: str | None, expected: bytes
) -> None:
    folder.write("secret", content)
    reference = {"file": "secret"} | ({"encoding": encoding} if encoding else {})
    assert secret_of(folder, reference) == expected


@pytest.mark.parametrize(
    ("value", "encoding", "expected"),
    [
        pytest.param(f"{LONG}\n", None, f"{LONG}\n".encode(), id="with its line end"),
        pytest.param(BYTES.hex(), "hex", BYTES, id="in hex"),
        pytest.param("ü" * 20, None, "ü".encode() * 20, id="in UTF-8"),
    ],
)
def test_a_variable_or_a_value_is_the_secret(
    folder: Folder, value: str, encoding: str | None, expected: bytes
) -> None:
    folder.environment["HERE"] = value
    coded = {"encoding": encoding} if encoding else {}
    assert secret_of(folder, {"env": "HERE", **coded}) == expected
    assert secret_of(folder, {"value": value, **coded}) == expected


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        pytest.param(
            "marker",
            "must say where the secret is, and not be the secret: write {env: NAME}, {file: PATH} "
            "or {value: TEXT}",
            id="the secret itself",
        ),
        pytest.param(
            5,
            "must say where the secret is, and not be the secret: write {env: NAME}, {file: PATH} "
            "or {value: TEXT}",
            id="a number",
        ),
        pytest.param(
            {}, "needs exactly one of env, file, value; it has none of them", id="nothing"
        ),
        pytest.param(
            {"env": "SECRET", "value": "marker"},
            "needs exactly one of env, file, value; it has env and value",
            id="two places",
        ),
        pytest.param(
            {"env": "ABSENT"}, ".env: environment variable ABSENT is not set", id="no variable"
        ),
        pytest.param(
            {"env": "EMPTY"},
            "environment variable EMPTY is empty; a secret is needed there",
            id="an empty variable",
        ),
        pytest.param(
            {"env": "marker is here"},
            ".env: must be the name of an environment variable, such as JWT_SECRET",
            id="a secret in place of a variable",
        ),
        pytest.param(
            {"file": "absent"},
            ".file: absent can't be read: No such file or directory",
            id="no file",
        ),
        pytest.param(
            {"file": "empty"}, "empty is empty; a secret is needed there", id="an empty file"
        ),
        pytest.param(
            {"file": "a line end"},
            "a line end is empty; a secret is needed there",
            id="a file with a line end alone",
        ),
        pytest.param(
            {"file": "pipe"},
            ".file: pipe can't be read: it is no regular file",
            id="a pipe that nobody writes to",
        ),
        pytest.param(
            {"file": "/dev/zero"},
            ".file: /dev/zero can't be read: it is no regular file",
            id="a file without an end",
        ),
        pytest.param(
            {"file": "large"}, ".file: large is larger than 1048576 bytes", id="a large file"
        ),
        pytest.param(
            {"file": "a\0b"},
            ".file: must be text that is not empty, without control characters; it is "
            'the text "a\\u0000b"',
            id="no path",
        ),
        pytest.param({"value": ""}, "the value is empty; a secret is needed there", id="no value"),
        pytest.param(
            {"value": 5},
            ".value: must be text; it is something else: put it in quotes",
            id="a value that is a number",
        ),
        pytest.param(
            {"value": "marker!", "encoding": "hex"},
            "the value is not hex; mend it or change the encoding",
            id="not hex",
        ),
        pytest.param(
            {"value": "marker!", "encoding": "base64"},
            "the value is not base64; mend it or change the encoding",
            id="not base64",
        ),
        pytest.param(
            {"value": "marker+", "encoding": "base64url"},
            "the value is not base64url; mend it or change the encoding",
            id="not base64url",
        ),
        pytest.param(
            {"value": "marker", "encoding": "base32"},
            ".encoding: must be base64, base64url or hex; it is something else: did you mean "
            '"base64"?',
            id="an encoding that there is not",
        ),
        pytest.param(
            {"valeu": "marker"}, '.valeu: unknown key; did you mean "value"?', id="a typo"
        ),
        pytest.param(
            {"marker": None},
            "has an unknown key; known are encoding, env, file, value",
            id="the secret as a key",
        ),
    ],
)
def test_what_is_wrong_with_a_reference(folder: Folder, reference: object, message: str) -> None:
    folder.write("empty", "")
    folder.write("a line end", "\n")
    folder.write("large", "x" * (1024 * 1024 + 1))
    os.mkfifo(folder.path / "pipe")
    place = "jwt-sidecar.yaml:1: consumers.list[0].secret"
    found = folder.problems(with_secret(reference))
    assert found == [f"{place}{message}" if message[0] == "." else f"{place}: {message}"]
    assert "marker" not in "".join(found)


URL = "https://reader:marker@corp.example"
PEM = "-----BEGIN PRIVATE KEY-----\nmarker\n-----END PRIVATE KEY-----\n"


def with_keys(**keys: object) -> dict[str, object]:
    return configuration(issuers=[issuer(keys=keys)])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(
            configuration(issuers=[issuer(keys=URL)]),
            "issuers[0].keys: must be a mapping of settings; it is text",
            id="a URL for a section",
        ),
        pytest.param(
            configuration(store="marker"),
            "store: must be a mapping of settings; it is text",
            id="text for a section",
        ),
        pytest.param(
            configuration(signers=[signer(keys="marker")]),
            "signers[0].keys: must be a list; it is text",
            id="text for a list",
        ),
        pytest.param(
            with_keys(inline="marker"),
            "issuers[0].keys.inline: must be a mapping; it is text",
            id="text for a mapping",
        ),
        pytest.param(
            with_keys(discovery=URL),
            "issuers[0].keys.discovery: must be true; it is text that may hold a secret",
            id="a URL for true",
        ),
        pytest.param(
            with_keys(url=f"{URL}/\n"),
            "issuers[0].keys.url: must be text that is not empty, without control characters; it "
            "is text that may hold a secret",
            id="a URL with a line end",
        ),
        pytest.param(
            with_keys(url="https://a.example", refresh="https://a.example?marker"),
            "issuers[0].keys.refresh: must be a duration with a unit (ms, s, m, h, d), such as "
            '"30s"; it is text that may hold a secret',
            id="a URL for a duration",
        ),
        pytest.param(
            with_keys(file=PEM),
            "issuers[0].keys.file: must be the path of a file, and not the key or certificate in "
            "it",
            id="PEM for a path",
        ),
        pytest.param(
            with_secret({"file": PEM.replace("\n", " ")}),
            "consumers.list[0].secret.file: must be the path of a file, and not the key or "
            "certificate in it",
            id="PEM for the path of a secret",
        ),
        pytest.param(
            configuration(issuers=[issuer(name="eyJhbGciOiJub25lIn0.marker.")]),
            "issuers[0].name: must be a name of 1 to 100 of the characters a-z, 0-9, ., _ and -; "
            "it is text that may hold a secret",
            id="a token for a name",
        ),
    ],
)
def test_a_secret_in_the_wrong_place_is_not_quoted(
    folder: Folder, settings: dict[str, object], message: str
) -> None:
    found = folder.problems(settings)
    assert f"jwt-sidecar.yaml:1: {message}" in found
    assert "marker" not in "".join(found)
