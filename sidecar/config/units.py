"""Durations and sizes: how a person writes them, and the numbers that they are."""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import core_schema

from sidecar.config.section import came, fault

_SECONDS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}
_BYTES: Final = {"GiB": 1024**3, "MiB": 1024**2, "KiB": 1024}
_DURATION: Final = r"^[0-9]{1,13}(\.[0-9]{1,6})?(ms|s|m|h|d)$"
_SIZE: Final = r"^[0-9]{1,13}(KiB|MiB|GiB)$"
_LONGEST: Final = 36500 * 86400.0


def parse_duration(text: object) -> float:
    """Seconds, to the microsecond, of a duration such as `250ms`, `30s`, `15m` or `30d`.

    Raises a fault for anything else, and for more than 36500 days.
    """
    if not isinstance(text, str) or not re.fullmatch(_DURATION, text):
        remedy = ": add the unit" if isinstance(text, int | float) else ""
        raise fault(
            'must be a duration with a unit (ms, s, m, h, d), such as "30s"; '
            f"it is {came(text)}{remedy}"
        )
    if text.endswith("ms"):
        seconds = float(text[:-2]) / 1000
    else:
        seconds = float(text[:-1]) * _SECONDS[text[-1]]
    if seconds > _LONGEST:
        raise fault(f"must be at most {format_duration(_LONGEST)}; it is {came(text)}")
    return round(seconds, 6)


def format_duration(seconds: float) -> str:
    """The duration in the largest unit that needs no fraction; `parse_duration` reads it back."""
    for unit, size in _SECONDS.items():
        if seconds and seconds % size == 0:
            return f"{int(seconds) // size}{unit}"
    if round(seconds * 1000) / 1000 == seconds:
        return f"{round(seconds * 1000)}ms" if seconds else "0s"
    return f"{Decimal(repr(seconds)):f}s"


def parse_size(value: object) -> int:
    """Bytes of a size: a whole number of them, or one of `KiB`, `MiB` or `GiB`.

    Raises a fault for anything else.
    """
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    if isinstance(value, str) and re.fullmatch(_SIZE, value):
        return int(value[:-3]) * _BYTES[value[-3:]]
    raise fault(
        "must be a size: a whole number of bytes, or one with a unit (KiB, MiB, GiB), such as "
        f'"16KiB"; it is {came(value)}'
    )


def format_size(size: int) -> str | int:
    """The size in the largest unit that needs no fraction, a bare number where none does."""
    for unit, factor in _BYTES.items():
        if size and size % factor == 0:
            return f"{size // factor}{unit}"
    return size


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    PlainSerializer(format_duration, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": _DURATION}),
]
"""Seconds, written with a unit."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(format_size, when_used="json"),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": _SIZE}]}
    ),
]
"""Bytes, written with a unit or without."""


class _Within:
    """Bounds of a value, both included; None is no bound."""

    def __init__(self, least: float, most: float | None, shown: Callable[[Any], object]) -> None:
        self._least = least
        self._most = most
        self._shown = shown

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Bounds whatever was read."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def _check(self, value: float) -> float:
        if value >= self._least and (self._most is None or value <= self._most):
            return value
        upper = f" and at most {self._shown(self._most)}" if self._most is not None else ""
        raise fault(
            f"must be at least {self._shown(self._least)}{upper}; it is {self._shown(value)}"
        )


def lasting(least: str, most: str | None = None) -> _Within:
    """Bounds of a duration, as they are written: `lasting("1s", "10m")`."""
    return _Within(
        parse_duration(least),
        None if most is None else parse_duration(most),
        format_duration,
    )


def sized(least: int | str, most: int | str) -> _Within:
    """Bounds of a size, as they are written: `sized(1, "1MiB")`."""
    return _Within(parse_size(least), parse_size(most), format_size)
