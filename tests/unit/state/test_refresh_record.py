"""Families of refresh tokens come back from their records as they were, or not at all."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.state.refresh_record import dump, dump_answer, parse, parse_answer
from sidecar.state.store import StoreFailed
from sidecar.token.mint import Minted, Order
from sidecar.token.refresh_family import Family, Used

GRANT = Order("internal", subject="alice", audiences=("a",), scopes=("read",), lifetime=60.0)
FAMILY = Family(GRANT, "https://iss.example", 1.5, 9.5, b"digest", 2.5, "id-1", 900)
MINTED = Minted("e30.e30.", "internal", "id-1", "k1", "ES256", 1, 2, "jsr_x", 3)

TEXTS = st.lists(st.text(), max_size=3).map(tuple)
SECONDS = st.floats(-1e12, 1e12)
ORDERS = st.builds(
    Order,
    signer=st.text(),
    subject=st.text(),
    audiences=TEXTS,
    scopes=TEXTS,
    lifetime=st.none() | SECONDS,
    not_before_time=st.none() | SECONDS,
    claims_json=st.text(),
    headers_json=st.text(),
    critical_headers=TEXTS,
    algorithm=st.text(),
)
FAMILIES = st.builds(
    Family,
    ORDERS,
    st.text(),
    SECONDS,
    SECONDS,
    st.binary(),
    SECONDS,
    st.text(),
    st.integers(0, 253402300799),
    st.none() | st.builds(Used, st.binary(), SECONDS, st.binary()),
    st.none() | SECONDS,
)


@given(FAMILIES)
def test_every_family_comes_back(family: Family) -> None:
    assert parse("f1", dump(family)) == family


def test_an_answer_comes_back() -> None:
    assert parse_answer(dump_answer(MINTED)) == MINTED


@pytest.mark.parametrize("data", [b"", b"[]", b'{"token": 1, "other": 2}', b"\xff"])
def test_what_is_no_answer_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        parse_answer(data)


def changed(**members: Any) -> bytes:
    return json.dumps({**json.loads(dump(FAMILY)), **members}).encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"[]", id="no object"),
        pytest.param(dump(FAMILY)[:-1], id="cut off"),
        pytest.param(changed(grant=None), id="no grant"),
        pytest.param(changed(grant={}), id="an empty grant"),
        pytest.param(changed(issuer=7), id="a number for text"),
        pytest.param(changed(end_time="9"), id="text for a number"),
        pytest.param(changed(digest="*"), id="no base64"),
        pytest.param(changed(before={}), id="a use without a time"),
        pytest.param(changed(revoke_time=False), id="a truth value for a time"),
        pytest.param(
            changed(grant={**json.loads(dump(FAMILY))["grant"], "scopes": "read"}),
            id="text for a list",
        ),
    ],
)
def test_what_is_damaged_is_told(data: bytes) -> None:
    with pytest.raises(StoreFailed, match="family f1: its record is damaged"):
        parse("f1", data)


def test_what_a_newer_sidecar_wrote_is_told() -> None:
    with pytest.raises(StoreFailed, match=r"newer jwt-sidecar .* \(format 2; this one knows 1\)"):
        parse("f1", changed(format=2, grant=None))


def test_a_family_that_was_revoked_is_so_after_a_restart() -> None:
    assert parse("f1", dump(replace(FAMILY, revoke_time=7.0))).revoke_time == 7.0
