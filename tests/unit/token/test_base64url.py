"""base64url has one spelling for each sequence of bytes, and only that one is read."""

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.token import base64url

SPELLINGS = st.text(alphabet="AQZgw09-_+/= \n.", max_size=12)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"AA", b"\0", id="one byte"),
        pytest.param(b"AAA", b"\0\0", id="two bytes"),
        pytest.param(b"AAAA", b"\0\0\0", id="three bytes"),
        pytest.param(b"_-8", b"\xff\xef", id="the two characters that base64 lacks"),
    ],
)
def test_one_spelling_is_read(text: bytes, data: bytes) -> None:
    assert base64url.decode(text) == data
    assert base64url.encode(data) == text


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(b"AA==", id="padding"),
        pytest.param(b"AAA=", id="one character of padding"),
        pytest.param(b"AAAA=", id="padding where none would be"),
        pytest.param(b"AAAA====", id="four characters of padding"),
        pytest.param(b"=", id="padding alone"),
        pytest.param(b"AA=A", id="padding inside"),
        pytest.param(b"/+8", id="plus and slash of base64"),
        pytest.param(b"AA+A", id="plus"),
        pytest.param(b"AA/A", id="slash"),
        pytest.param(b"AB", id="stray bits after one byte"),
        pytest.param(b"AAB", id="stray bits after two bytes"),
        pytest.param(b"A", id="a length that is impossible"),
        pytest.param(b"AAAAA", id="a longer length that is impossible"),
        pytest.param(b" AAA", id="leading space"),
        pytest.param(b"AAA ", id="trailing space"),
        pytest.param(b"AA AA", id="space inside"),
        pytest.param(b"AAAA\n", id="trailing newline"),
        pytest.param(b"AA\r\nAA", id="line break inside"),
        pytest.param(b"AAA\0", id="null byte"),
        pytest.param(b"AA.A", id="dot"),
        pytest.param(b"AA!A", id="character outside the alphabet"),
        pytest.param(b"AAA%3D", id="percent encoding"),
        pytest.param(b"AA\xc3\xa4", id="not ASCII"),
    ],
)
def test_any_other_spelling_is_refused(text: bytes) -> None:
    with pytest.raises(ValueError, match="not base64url"):
        base64url.decode(text)


@given(st.binary(max_size=64))
def test_bytes_come_back(data: bytes) -> None:
    assert base64url.decode(base64url.encode(data)) == data
    assert base64url.encode(data) == base64.urlsafe_b64encode(data).rstrip(b"=")


@given(SPELLINGS.map(str.encode) | st.binary(max_size=12))
@example(b"AAAA")
@example(b"-_8")
def test_what_is_read_is_what_the_standard_library_reads_and_writes(text: bytes) -> None:
    try:
        theirs = base64.urlsafe_b64decode(text + b"=" * (-len(text) % 4))
        only_spelling = base64.urlsafe_b64encode(theirs).rstrip(b"=") == text
    except ValueError:
        only_spelling = False
    try:
        ours = base64url.decode(text)
    except ValueError:
        assert not only_spelling
    else:
        assert only_spelling
        assert ours == theirs
