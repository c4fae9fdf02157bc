"""How a line of the log looks."""

import json
import logging
from typing import Any

from sidecar.logs import FIELDS, JsonLines, TextLines

NOON = 1764072000.25


def record(message: str, fields: dict[str, Any] | None = None, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("sidecar.keys", logging.WARNING, "x.py", 1, message, None, None)
    made.created = NOON
    vars(made).update({FIELDS: fields or {}, **more})
    return made


def failed() -> Any:
    try:
        raise ValueError("it broke")
    except ValueError as error:
        return type(error), error, error.__traceback__


def test_a_line_of_json() -> None:
    line = JsonLines().format(record("keys\nfetched", {"issuer": "corp", "duration_ms": 1.5}))
    assert json.loads(line) == {
        "time": "2025-11-25T12:00:00.250Z",
        "level": "warning",
        "logger": "sidecar.keys",
        "message": "keys\nfetched",
        "issuer": "corp",
        "duration_ms": 1.5,
    }
    assert "\n" not in line


def test_a_line_of_text() -> None:
    line = TextLines().format(record("keys fetched", {"issuer": "corp", "sub": 'a "b"\nc'}))
    assert line == (
        "2025-11-25T12:00:00.250Z WARNING sidecar.keys: keys fetched "
        'issuer="corp" sub="a \\"b\\"\\nc"'
    )


def test_what_others_write_begins_no_line_of_its_own() -> None:
    line = TextLines().format(record("peer said: x\n2025-11-25 INFO all is well\r"))
    assert "\n" not in line
    assert "\r" not in line


def test_text_holds_a_traceback_below_its_line() -> None:
    first, second, *_, last = TextLines().format(record("it failed", exc_info=failed())).split("\n")
    assert first.endswith("sidecar.keys: it failed")
    assert (second, last) == ("Traceback (most recent call last):", "ValueError: it broke")


def test_json_holds_a_traceback_in_one_line() -> None:
    said = json.loads(JsonLines().format(record("it failed", exc_info=failed())))
    assert said["exception"].startswith("Traceback")
