"""The search that tests/integration/test_secrecy.py relies on finds what it is to find."""

import base64
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import pytest

from tests.secrecy.markers import STRIDE, WINDOW, Markers

AROUND = b"level=info " * 9


@pytest.mark.parametrize("offset", range(STRIDE))
@pytest.mark.parametrize(
    "write",
    [
        pytest.param(str.encode, id="as it is"),
        pytest.param(lambda text: text[: WINDOW + STRIDE - 1].encode(), id="its beginning"),
        pytest.param(lambda text: text[1 - WINDOW - STRIDE :].encode(), id="its end"),
        pytest.param(lambda text: repr(text).encode(), id="in Python"),
        pytest.param(lambda text: json.dumps(text).encode(), id="in JSON"),
        pytest.param(lambda text: text.encode().hex().encode(), id="in hexadecimal"),
        pytest.param(lambda text: text.encode().hex().upper().encode(), id="in upper case"),
        pytest.param(lambda text: quote(text, safe="").encode(), id="in a URL"),
        pytest.param(lambda text: quote_plus(text).encode(), id="in a form"),
        pytest.param(lambda text: base64.b64encode(text.encode()), id="in base64"),
        pytest.param(lambda text: base64.b64encode(f"a:{text}".encode()), id="behind a name"),
        pytest.param(lambda text: base64.b64encode(f"{text}!".encode()), id="before more"),
        pytest.param(lambda text: base64.urlsafe_b64encode(text.encode()), id="in base64url"),
    ],
)
def test_a_secret_is_found_however_it_is_written(
    write: Callable[[str], bytes], offset: int
) -> None:
    markers = Markers()
    secret = markers.make("the secret", odd=True)
    markers.make("another")
    data = b"x" * offset + AROUND + write(secret) + AROUND
    (leak, *_) = markers.leaks({"here": data, "there": AROUND})
    told = str(leak)
    assert told.startswith("the secret (")
    assert " in here, behind " in told
    assert secret[8:] not in told


def test_where_nothing_is_nothing_is_found() -> None:
    markers = Markers()
    secret = markers.make("the secret")
    assert markers.leaks({"here": AROUND + secret[: WINDOW - 1].encode() + AROUND}) == []


def test_a_token_is_its_signature_and_its_claims() -> None:
    markers = Markers()
    payload = base64.urlsafe_b64encode(json.dumps({"sub": "alice", "n": "0" * 40}).encode())
    signature = base64.urlsafe_b64encode(bytes(range(64))).rstrip(b"=")
    markers.know_token("it", f"e30.{payload.rstrip(b'=').decode()}.{signature.decode()}")
    for part in (payload, signature, bytes(range(64))):
        assert len(markers.leaks({"here": AROUND + part})) >= 1
    assert markers.leaks({"here": b'e30 {"sub": "alice"}'}) == []


def test_what_is_too_short_to_be_told_from_chance_is_no_marker() -> None:
    with pytest.raises(AssertionError, match="too short"):
        Markers().know("a word", "password")
