"""JSON objects (RFC 8259), read so that no two parsers can disagree about them."""

import json
import math
import re
from typing import Any

from sidecar.token.words import kind

_MAX_NUMBER_CHARACTERS = 40
# An open string runs to the end, and nothing is given back: else its quotes cost quadratic time.
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_object(data: bytes, max_depth: int) -> dict[str, Any]:
    """The JSON object that these bytes hold.

    Raises ValueError, whose message never quotes a value, for anything but one object in
    UTF-8 without a byte order mark, with no name twice at any depth, no NaN or infinity, no
    number of more than 40 characters or beyond a double's range, no lone surrogate, and no
    nesting deeper than `max_depth`.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("it is not UTF-8") from error
    if text.startswith("\ufeff"):
        raise ValueError("it starts with a byte order mark")
    if text.count("{") + text.count("[") > max_depth:
        _check_depth(text, max_depth)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"it is not JSON: {error.msg} at character {error.pos}") from error
    if _SURROGATE_ESCAPE.search(text):
        _check_surrogates(value)
    if not isinstance(value, dict):
        raise ValueError(f"it is {kind(value)}, not a JSON object")
    return value


def _check_depth(text: str, max_depth: int) -> None:
    depth = 0
    for character in _STRINGS.sub("", text):
        if character in "{[":
            depth += 1
            if depth > max_depth:
                raise ValueError(f"it is nested deeper than {max_depth} levels")
        elif character in "}]":
            depth -= 1


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError("it has half of a surrogate pair, which is no character") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("it has the same name twice")
    return members


def _constant(name: str) -> Any:
    raise ValueError(f"it has {name}, which is not JSON")


def _integer(text: str) -> int:
    if len(text) > _MAX_NUMBER_CHARACTERS:
        raise ValueError(f"it has a number of more than {_MAX_NUMBER_CHARACTERS} characters")
    return int(text)


def _float(text: str) -> float:
    if len(text) > _MAX_NUMBER_CHARACTERS:
        raise ValueError(f"it has a number of more than {_MAX_NUMBER_CHARACTERS} characters")
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("it has a number beyond the range of a double")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_constant=_constant,
    parse_int=_integer,
    parse_float=_float,
)
