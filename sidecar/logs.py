"""How the log is written: one line an event, as JSON or as text, on standard error."""

import json
import logging
import time
from collections.abc import Mapping
from typing import Any, Final, Literal

from sidecar.exhaustion import Exhaustion
from sidecar.token.words import quoted

Format = Literal["json", "text"]
FIELDS: Final = "fields"
"""The attribute of a record that holds what it says beside its message, by name."""


def set_up(level: str, form: Format) -> None:
    """Has everything of this level and above written, in this form; may be called again."""
    handler = logging.StreamHandler()
    handler.addFilter(Exhaustion(time.monotonic))
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


class JsonLines(logging.Formatter):
    """An object a line: time (RFC 3339, UTC), level, logger and message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; a traceback is one text in it."""
        line: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    """For a person: time, level, logger and message, then NAME=VALUE for each field."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, and the lines of a traceback below it."""
        fields = "".join(f" {name}={quoted(value)}" for name, value in _fields(record).items())
        # What others write into a message must not look like another line.
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"{_time(record.created)} {record.levelname} {record.name}: {message}{fields}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = getattr(record, FIELDS, {})
    return fields


def _time(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03}Z"
