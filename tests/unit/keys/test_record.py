"""A ring of keys as bytes in the store, and back."""

import json
from typing import Any

import pytest

from sidecar.keys.record import FORMAT, UnreadableRing, dump, parse
from sidecar.token.ring import RingKey

KEY = RingKey("k1", "ES256", "", b"\x00MARKER\xff", 1.5, 2.5, 3600.0)
RING = (KEY, RingKey("k2", "EdDSA", "k2", b"", 4.0, 5.0, 60.0, 6.0))
MEMBERS = json.loads(dump((KEY,)))["keys"][0]


def record(**changes: Any) -> bytes:
    return json.dumps({"format": FORMAT, "keys": [{**MEMBERS, **changes}]}).encode()


@pytest.mark.parametrize("ring", [(), RING], ids=["empty", "two keys"])
def test_what_is_written_is_read(ring: tuple[RingKey, ...]) -> None:
    assert parse(dump(ring)) == ring


def test_a_member_that_a_newer_sidecar_added_is_passed_over() -> None:
    assert parse(record(more=1)) == (KEY,)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"[]", id="a list"),
        pytest.param(b"{}", id="no format"),
        pytest.param(b'{"format": null, "keys": []}', id="an empty format"),
        pytest.param(b'{"format": 1}', id="no keys"),
        pytest.param(b'{"format": 1, "keys": [1]}', id="a number in place of a key"),
        pytest.param(b'{"format": 1, "keys": [{}]}', id="a key without members"),
        pytest.param(record(key_id=1), id="a number in place of text"),
        pytest.param(record(private_key="MARKER!"), id="a private key that is not base64"),
        pytest.param(record(signs_from="soon"), id="text in place of a time"),
        pytest.param(record(created="5"), id="a number in text"),
        pytest.param(record(created=True), id="a truth value in place of a time"),
        pytest.param(record(created=float("nan")), id="no number"),
        pytest.param(record(created=10**400), id="a number that no float holds"),
        pytest.param(record(token_lifetime=float("inf")), id="an endless lifetime"),
        pytest.param(record(unused_since=[]), id="a list in place of a time"),
        pytest.param(dump((KEY,))[:-10], id="a part"),
    ],
)
def test_what_is_damaged_is_refused(data: bytes) -> None:
    with pytest.raises(UnreadableRing, match=r"^they are damaged$"):
        parse(data)


def test_a_newer_format_is_refused() -> None:
    data = json.dumps({"format": FORMAT + 1, "keys": "anything"}).encode()
    with pytest.raises(UnreadableRing, match=r"^a newer jwt-sidecar wrote them"):
        parse(data)
