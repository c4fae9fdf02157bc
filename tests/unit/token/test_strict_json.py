"""JSON of which two parsers could think differently is refused."""

import json
import math
import sys
from time import process_time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.token.strict_json import parse_object

DEPTH = 4
SCALARS = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


def nested(opening: str, closing: str, levels: int) -> bytes:
    return (f'{{"a":{opening * levels}0{closing * levels}}}').encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param(b"{}", {}, id="nothing"),
        pytest.param(b' \t\r\n{"a" : 1 }\n', {"a": 1}, id="white space around"),
        pytest.param(b'{"a":1,"b":{"a":1}}', {"a": 1, "b": {"a": 1}}, id="a name at two depths"),
        pytest.param(b'{"a":1,"A":2}', {"a": 1, "A": 2}, id="names that differ in case"),
        pytest.param(rb'{"a":"\ud83d\ude00"}', {"a": "\U0001f600"}, id="a whole surrogate pair"),
        pytest.param(rb'{"a":"\\ud800"}', {"a": r"\ud800"}, id="an escaped backslash"),
        pytest.param('{"ä":"\u20ac"}'.encode(), {"ä": "\u20ac"}, id="UTF-8"),
        pytest.param(rb'{"a":"\u0000"}', {"a": "\0"}, id="an escaped control character"),
        pytest.param(nested("[", "]", DEPTH - 1), {"a": [[[0]]]}, id="arrays at the limit"),
        pytest.param(
            nested('{"a":', "}", DEPTH - 1), {"a": {"a": {"a": {"a": 0}}}}, id="objects at it"
        ),
        pytest.param(
            b'{"a":[[[0]],[[1]]]}', {"a": [[[0]], [[1]]]}, id="at the limit more than once"
        ),
        pytest.param(b'{"a":"[[[[[[{{{{{{"}', {"a": "[[[[[[{{{{{{"}, id="brackets in a string"),
        pytest.param(
            rb'{"a":"\"[[[[[[\\","b":"[["}', {"a": '"[[[[[[\\', "b": "[["}, id="and behind escapes"
        ),
        pytest.param(b'{"a":[[],[],[],[],[]]}', {"a": [[], [], [], [], []]}, id="wide, not deep"),
        pytest.param(b'{"a":' + b"9" * 40 + b"}", {"a": 10**40 - 1}, id="40 digits"),
        pytest.param(b'{"a":0.' + b"0" * 38 + b"}", {"a": 0.0}, id="a fraction of 40 characters"),
        pytest.param(b'{"a":1e308}', {"a": 1e308}, id="a large double"),
        pytest.param(
            b'{"a":"' + b"9" * 41 + b'","b":"1e999"}',
            {"a": "9" * 41, "b": "1e999"},
            id="what would be no number, in strings",
        ),
        pytest.param(b'{"a":-0.0}', {"a": -0.0}, id="minus zero"),
    ],
)
def test_an_object_is_read(text: bytes, value: dict[str, Any]) -> None:
    assert parse_object(text, DEPTH) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param(b'{"a":1,"a":1}', "same name twice", id="a name twice"),
        pytest.param(b'{"a":1,"a":2}', "same name twice", id="a name with two values"),
        pytest.param(rb'{"a":1,"\u0061":1}', "same name twice", id="a name twice, once escaped"),
        pytest.param(b'{"b":{"a":1,"a":1}}', "same name twice", id="a name twice, one level down"),
        pytest.param(b'{"b":[{"a":1,"a":1}]}', "same name twice", id="a name twice in an array"),
        pytest.param(b'{"":1,"":1}', "same name twice", id="the empty name twice"),
        pytest.param(b'{"a":NaN}', "NaN", id="NaN"),
        pytest.param(b'{"a":Infinity}', "Infinity", id="Infinity"),
        pytest.param(b'{"a":-Infinity}', "-Infinity", id="minus Infinity"),
        pytest.param(b'{"a":1e999}', "range of a double", id="1e999"),
        pytest.param(b'{"a":1E+999}', "range of a double", id="1E+999"),
        pytest.param(b'{"a":[1e308,0.1e310]}', "range of a double", id="behind a large double"),
        pytest.param(b'{"a":-1e999}', "range of a double", id="-1e999"),
        pytest.param(b'{"a":' + b"9" * 41 + b"}", "40 characters", id="41 digits"),
        pytest.param(b'{"a":0.' + b"9" * 39 + b"}", "40 characters", id="41 of a fraction"),
        pytest.param(
            b'{"a":' + b"9" * 13 + b"." + b"9" * 13 + b"e-" + b"0" * 13 + b"}",
            "40 characters",
            id="41 in three parts",
        ),
        pytest.param(b'{"a":' + b"9" * 10_000 + b"}", "40 characters", id="10,000 digits"),
        pytest.param(b"\xef\xbb\xbf{}", "byte order mark", id="byte order mark"),
        pytest.param("{}".encode("utf-16"), "not UTF-8", id="UTF-16"),
        pytest.param(b'{"a":"\xff"}', "not UTF-8", id="a byte outside UTF-8"),
        pytest.param(b'{"a":"\xc0\xaf"}', "not UTF-8", id="overlong UTF-8"),
        pytest.param(b'{"a":"\xed\xa0\x80"}', "not UTF-8", id="a surrogate in UTF-8"),
        pytest.param(rb'{"a":"\ud800"}', "surrogate", id="a high surrogate alone"),
        pytest.param(rb'{"a":"\udc00x"}', "surrogate", id="a low surrogate alone"),
        pytest.param(rb'{"\ud800":1}', "surrogate", id="a surrogate alone in a name"),
        pytest.param(rb'{"a":["\ude00\ud83d"]}', "surrogate", id="a pair in the wrong order"),
        pytest.param(nested("[", "]", DEPTH), "deeper than 4", id="arrays over the limit"),
        pytest.param(nested('{"a":', "}", DEPTH), "deeper than 4", id="objects over the limit"),
        pytest.param(b'{"a":[[],[[[0]]]]}', "deeper than 4", id="over it, behind what is closed"),
        pytest.param(b"[" * 100_000, "deeper than 4", id="100,000 brackets"),
        pytest.param(b'{"a":' * 50_000, "deeper than 4", id="50,000 objects"),
        pytest.param(rb'{"a":"\\"' + b"[" * 9, "deeper than 4", id="after an escaped backslash"),
        pytest.param(b'{"a":1} x', "not JSON: Extra data", id="trailing garbage"),
        pytest.param(b"{}{}", "not JSON: Extra data", id="two objects"),
        pytest.param(b"{}\0", "not JSON: Extra data", id="trailing null byte"),
        pytest.param(b"\xc2\xa0{}", "not JSON", id="white space that is not JSON's"),
        pytest.param(b'{"a":1,}', "not JSON", id="trailing comma"),
        pytest.param(b"{'a':1}", "not JSON", id="single quotes"),
        pytest.param(b"{a:1}", "not JSON", id="a name without quotes"),
        pytest.param(b'{"a":01}', "not JSON", id="leading zero"),
        pytest.param(b'{"a":+1}', "not JSON", id="leading plus"),
        pytest.param(b'{"a":1.}', "not JSON", id="no digit after the point"),
        pytest.param(b'{"a":0x10}', "not JSON", id="hexadecimal"),
        pytest.param(b'{"a":True}', "not JSON", id="a literal of another language"),
        pytest.param(b'{"a":1/**/}', "not JSON", id="comment"),
        pytest.param(b'{"a":"\n"}', "not JSON", id="a bare control character"),
        pytest.param(rb'{"a":"\x41"}', "not JSON", id="an unknown escape"),
        pytest.param(b'{"a":"b', "not JSON", id="cut in a string"),
        pytest.param(b'"[[[[[', "not JSON", id="brackets in a string alone"),
        pytest.param(b"", "not JSON", id="empty"),
        pytest.param(b"[]", "it is an array", id="an array"),
        pytest.param(b'"a"', "it is a string", id="a string"),
        pytest.param(b"1", "it is a number", id="a number"),
        pytest.param(b"true", "it is a boolean", id="a boolean"),
        pytest.param(b"null", "it is null", id="null"),
    ],
)
def test_anything_else_is_refused(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_object(text, DEPTH)


@pytest.mark.parametrize(
    "unit",
    [
        pytest.param(rb"\"", id="escaped quotes"),
        pytest.param(rb'\""', id="escaped and bare quotes"),
        pytest.param(b'"', id="quotes"),
        pytest.param(b"\\", id="backslashes"),
        pytest.param(b"[", id="brackets"),
        pytest.param(b'[""', id="brackets and strings"),
    ],
)
def test_the_time_does_not_grow_with_the_square_of_the_length(unit: bytes) -> None:
    """10 ms or so for 40,000 bytes; a key set may have 1 MiB, and a token is not yet verified."""
    text = b'{"a":' + b"[" * 5 + b'"' + unit * (40_000 // len(unit))
    started = process_time()
    with pytest.raises(ValueError, match=r"not JSON|deeper"):
        parse_object(text, DEPTH)
    assert process_time() - started < 1


@pytest.mark.parametrize(
    "element",
    [
        pytest.param("1", id="integers"),
        pytest.param("1.5", id="fractions"),
        pytest.param("1e999,", id="numbers that are refused"),
        pytest.param("[]", id="arrays"),
        pytest.param('"1"', id="strings"),
    ],
)
def test_no_function_is_called_for_each_element(element: str) -> None:
    """A call takes 0.1 µs or more, and a token that anyone made up may have 6,000 elements."""
    calls: list[str] = []
    sys.setprofile(lambda frame, event, _: calls.append(frame.f_code.co_name))
    try:
        parse_object(f'{{"a":[{",".join([element] * 1000)}]}}'.encode(), 2)
    except ValueError:
        pass
    finally:
        sys.setprofile(None)
    assert len(calls) < 100


@given(st.dictionaries(st.text(max_size=4), VALUES), st.booleans())
def test_what_json_writes_is_read_as_json_reads_it(value: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert parse_object(text.encode(), 32) == json.loads(text)


@given(st.text(alphabet='{}[]":,\\u01aNe.-+ d8"', max_size=24).map(str.encode) | st.binary())
@example(b'{"":1e1}')
@example(b'{"a":{"":""}}')
def test_what_is_read_is_what_the_standard_library_reads(text: bytes) -> None:
    try:
        ours = parse_object(text, 32)
    except ValueError:
        return
    assert ours == json.loads(text)
    assert all(math.isfinite(one) for one in ours.values() if isinstance(one, float))
