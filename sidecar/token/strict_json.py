"""JSON objects (RFC 8259), read so that no two parsers can disagree about them."""

import json
import math
import re
from array import array
from itertools import accumulate
from typing import Any, Final

from sidecar.token.words import kind

_MAX_NUMBER_CHARACTERS = 40
# An open string runs to the end, and nothing is given back: else its quotes cost quadratic time.
_STRINGS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_LONG_NUMBER: Final = re.compile(rf"[-+.0-9eE]{{{_MAX_NUMBER_CHARACTERS + 1}}}")
_LARGE_NUMBER: Final = re.compile(r"[-.0-9]+[eE]\+?[0-9]{3,}")
_DIGITS: Final = bytes.maketrans(b"012345678E", b"999999999e")
_MANY_DIGITS, _LARGE_EXPONENT = b"9" * 12, b"9e999"
"""What numbers that are too long or too large have in them: a long one of three runs of digits has
one of 12; one that is short enough needs three digits in its exponent to be beyond a double."""
_BRACKETS: Final = bytes.maketrans(b"{[}]", b"\x01\x01\xff\xff")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"{[}]"))
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
    _check_numbers(text, data)
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


def _check_numbers(text: str, data: bytes) -> None:
    """Refuse numbers that are too long or too large.

    Before parsing, as a call for each number would cost a millisecond for the longest token.
    """
    digits = data.translate(_DIGITS, b"+")
    if _MANY_DIGITS not in digits and _LARGE_EXPONENT not in digits:
        return
    outside = _STRINGS.sub("", text)
    if _LONG_NUMBER.search(outside):
        raise ValueError(f"it has a number of more than {_MAX_NUMBER_CHARACTERS} characters")
    for number in _LARGE_NUMBER.findall(outside):
        try:
            is_finite = math.isfinite(float(number))
        except ValueError:
            continue  # It is no number, and the text no JSON.
        if not is_finite:
            raise ValueError("it has a number beyond the range of a double")


def _check_depth(text: str, max_depth: int) -> None:
    """Refuse what is nested too deep; in C alone, as tokens are not verified yet."""
    outside = _STRINGS.sub("", text).encode()
    steps = array("b", outside.translate(_BRACKETS, _NO_BRACKETS))
    if max(accumulate(steps), default=0) > max_depth:
        raise ValueError(f"it is nested deeper than {max_depth} levels")


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


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)
