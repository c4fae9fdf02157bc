"""How values from outside are put into a sentence: short, escaped, and unambiguous."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

_LONGEST = 100
_MOST = 10
_LAST_SECOND = 253402300799  # 9999-12-31T23:59:59Z


def quoted(value: Any) -> str:
    """The value as JSON in printable ASCII, cut to 100 characters."""
    if isinstance(value, str):
        value = value[: _LONGEST + 1]
    text = json.dumps(value, default=str)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


def listed(values: Iterable[Any]) -> str:
    """The values in brackets, the first ten of them, as `quoted` puts each."""
    items = list(values)
    shown = [quoted(item) for item in items[:_MOST]]
    if len(items) > _MOST:
        shown.append(f"and {len(items) - _MOST} more")
    return f"[{', '.join(shown)}]"


def names(values: Iterable[str]) -> str:
    """Names of ours in a fixed order, separated by commas."""
    return ", ".join(sorted(values))


def kind(value: Any) -> str:
    """The JSON type of a value, with its article."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    return "an array" if isinstance(value, list) else "an object"


def duration(seconds: float) -> str:
    """A length of time in its two largest units, such as `3 h 12 min`."""
    seconds = abs(seconds)
    if seconds < 10:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    for unit, size, smaller, smaller_size in (
        ("d", 86400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if whole >= size:
            rest = whole % size // smaller_size
            return f"{whole // size} {unit}" + (f" {rest} {smaller}" if rest else "")
    return f"{whole} s"


def moment(seconds: float) -> str:
    """Seconds since the epoch as RFC 3339, in UTC and whole seconds."""
    if not 0 <= seconds <= _LAST_SECOND:
        return f"{seconds:g} s after the epoch"
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
