"""How the log is written: one line an event, as JSON or as text, on standard error."""

import json
import logging
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final, Literal

from sidecar.exhaustion import Exhaustion
from sidecar.token.words import quoted

Format = Literal["json", "text"]
FIELDS: Final = "fields"
"""The attribute of a record that holds what it says beside its message, by name."""


def set_up(level: str, form: Format, worker: int | None = None) -> None:
    """Has everything of this level and above written, in this form; may be called again.

    Every line has the number of the worker process that writes it, where there is one.
    """
    always = {} if worker is None else {"worker": worker}
    handler = logging.StreamHandler()
    handler.addFilter(Exhaustion(time.monotonic))
    handler.setFormatter(JsonLines(always) if form == "json" else TextLines(always))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)


class _Lines(logging.Formatter):
    def __init__(self, always: Mapping[str, object] = MappingProxyType({})) -> None:
        super().__init__()
        self._always = always

    def _fields(self, record: logging.LogRecord) -> Mapping[str, Any]:
        return {**self._always, **getattr(record, FIELDS, {})}


class JsonLines(_Lines):
    """An object a line: time (RFC 3339, UTC), level, logger and message, then the fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record; a traceback is one text in it."""
        line: dict[str, Any] = {
            "time": _time(record.created),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._fields(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(_Lines):
    """For a person: time, level, logger and message, then NAME=VALUE for each field."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, and the lines of a traceback below it."""
        fields = "".join(f" {name}={quoted(value)}" for name, value in self._fields(record).items())
        # What others write into a message must not look like another line.
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        line = f"{_time(record.created)} {record.levelname} {record.name}: {message}{fields}"
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line


def _time(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03}Z"
