import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.authorization.admission import Admission, admit
from sidecar.authorization.credentials import Removal
from sidecar.authorization.policy import Forward, ForwardedClaim
from sidecar.token import base64url
from tests.unit.parties import consumer, verified

SUBJECT = Forward({"x-subject": ForwardedClaim("sub")})
NOTHING = Removal()

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
CLAIMS = st.dictionaries(st.sampled_from(["sub", "roles", "realm", "x"]), JSON)
PATHS = st.sampled_from(["sub", "roles", "realm.roles", "realm.x", "absent"])
HEADERS = st.sampled_from(["x-a", "x-b", "cookie", "authorization"])
FORWARD = st.builds(
    Forward,
    headers=st.dictionaries(HEADERS, st.builds(ForwardedClaim, PATHS, st.booleans())),
    payload_header=st.sampled_from(["", "x-payload"]),
    consumer_header=st.sampled_from(["", "x-consumer"]),
    label_headers=st.dictionaries(st.just("x-plan"), st.sampled_from(["plan", "absent"])),
    remove_token=st.booleans(),
)
REMOVAL = st.sampled_from(
    [
        NOTHING,
        Removal(("authorization",)),
        Removal(("authorization", "cookie"), ("access_token",)),
        Removal((), (), {"cookie": "x=1"}),
    ]
)


@given(
    CLAIMS,
    st.sampled_from([None, consumer(plan="gold"), consumer(plan="\ud800")]),
    FORWARD,
    REMOVAL,
)
def test_every_forwarded_header_is_either_set_or_removed(
    claims: dict[str, Any], by: Any, forward: Forward, removal: Removal
) -> None:
    admission = admit(verified(claims, by), forward, removal)
    removed = set(admission.remove_headers)
    assert not removed & admission.set_headers.keys()
    assert forward.names <= removed | admission.set_headers.keys()


@given(CLAIMS, FORWARD)
def test_every_value_that_is_set_is_sendable(claims: dict[str, Any], forward: Forward) -> None:
    for value in admit(verified(claims), forward, NOTHING).set_headers.values():
        assert 0 < len(value.encode()) <= 8192
        assert not any(ord(character) < 0x20 or ord(character) == 0x7F for character in value)
        assert value == value.strip()


def test_without_forward_nothing_changes() -> None:
    assert admit(verified(), Forward(), NOTHING) == Admission()


def test_a_claim_replaces_what_the_client_sent() -> None:
    assert admit(verified({"sub": "alice"}), SUBJECT, NOTHING) == Admission({"x-subject": "alice"})


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        pytest.param({"realm": {"roles": ["admin", "ops"]}}, "admin,ops", id="nested"),
        pytest.param({"realm.roles": "admin"}, "admin", id="a name with a dot"),
        pytest.param({"realm.roles": "a", "realm": {"roles": "b"}}, "a", id="the whole name first"),
    ],
)
def test_paths(claims: dict[str, Any], roles: str) -> None:
    admission = admit(
        verified(claims), Forward({"x-roles": ForwardedClaim("realm.roles")}), NOTHING
    )
    assert admission.set_headers == {"x-roles": roles}


def test_the_payload_header_holds_the_claims_exactly_as_signed() -> None:
    signed = b'{ "sub":"alice",\n"n":1.50 }'
    admission = admit(
        verified(json.loads(signed), claims_json=signed), Forward(payload_header="x-p"), NOTHING
    )
    assert base64url.decode(admission.set_headers["x-p"].encode()) == signed


@pytest.mark.parametrize(
    ("size", "outcome"),
    [
        pytest.param(6144, (["x-p"], ()), id="8192 characters"),
        pytest.param(6145, ([], ("x-p",)), id="one byte more"),
    ],
)
def test_a_payload_too_long_for_a_header_is_left_out(
    size: int, outcome: tuple[list[str], tuple[str, ...]]
) -> None:
    signed = b'{"a":"' + b"a" * (size - 8) + b'"}'
    admission = admit(verified({}, claims_json=signed), Forward(payload_header="x-p"), NOTHING)
    assert (list(admission.set_headers), admission.remove_headers) == outcome


CONSUMER = Forward(consumer_header="x-consumer", label_headers={"x-plan": "plan", "x-team": "team"})


def test_consumer_and_label_headers() -> None:
    assert admit(verified(by=consumer("jack", plan="gold")), CONSUMER, NOTHING) == Admission(
        {"x-consumer": "jack", "x-plan": "gold"}, ("x-team",)
    )


def test_consumer_and_label_headers_are_removed_for_an_issuers_token() -> None:
    admission = admit(verified({"consumer": "jack", "plan": "gold"}), CONSUMER, NOTHING)
    assert admission == Admission({}, ("x-consumer", "x-plan", "x-team"))


@pytest.mark.parametrize(
    "label",
    [
        pytest.param("", id="empty"),
        pytest.param("a\r\nx-admin: 1", id="line break"),
        pytest.param("\ud800", id="half a surrogate pair"),
    ],
)
def test_a_label_that_can_not_be_sent_is_left_out(label: str) -> None:
    admission = admit(
        verified(by=consumer(plan=label)), Forward(label_headers={"x-plan": "plan"}), NOTHING
    )
    assert admission == Admission({}, ("x-plan",), left_out=("x-plan",))


TAKEN_OUT = Removal(("authorization",), ("access_token",), {"cookie": "x=1"})


@pytest.mark.parametrize(
    ("forward", "removal", "admission"),
    [
        pytest.param(
            Forward(),
            TAKEN_OUT,
            Admission({"cookie": "x=1"}, ("authorization",), ("access_token",)),
            id="token removed",
        ),
        pytest.param(Forward(remove_token=False), TAKEN_OUT, Admission(), id="token kept"),
        pytest.param(
            Forward({"x-subject": ForwardedClaim("sub")}, remove_token=False),
            TAKEN_OUT,
            Admission({"x-subject": "alice"}),
            id="token kept, claim forwarded",
        ),
        pytest.param(
            Forward({"authorization": ForwardedClaim("sub")}),
            TAKEN_OUT,
            Admission({"cookie": "x=1", "authorization": "alice"}, (), ("access_token",)),
            id="a claim in the token's place",
        ),
        pytest.param(
            Forward({"authorization": ForwardedClaim("absent")}, remove_token=False),
            TAKEN_OUT,
            Admission({}, ("authorization",)),
            id="an absent claim in the token's place, token kept",
        ),
        pytest.param(
            Forward({"cookie": ForwardedClaim("sub")}),
            TAKEN_OUT,
            Admission({"cookie": "alice"}, ("authorization",), ("access_token",)),
            id="a claim as the cookie",
        ),
        pytest.param(
            Forward({"cookie": ForwardedClaim("absent")}),
            TAKEN_OUT,
            Admission({}, ("authorization", "cookie"), ("access_token",)),
            id="an absent claim as the cookie: the client's other cookies can't stand for it",
        ),
    ],
)
def test_removing_the_token(forward: Forward, removal: Removal, admission: Admission) -> None:
    assert admit(verified({"sub": "alice"}), forward, removal) == admission


def test_no_cookie_or_claim_is_in_the_repr() -> None:
    admission = admit(
        verified({"sub": "MARKER"}), SUBJECT, Removal((), (), {"cookie": "other=MARKER"})
    )
    assert "MARKER" not in repr(admission)


def test_without_a_token_every_forwarded_header_is_removed() -> None:
    admission = admit(None, CONSUMER, TAKEN_OUT, ["x_plan"])
    assert admission == Admission(
        {"cookie": "x=1"},
        ("authorization", "x-consumer", "x-plan", "x-team", "x_plan"),
        ("access_token",),
    )


@pytest.mark.parametrize("remove_token", [True, False])
def test_what_is_left_out_is_told_whether_or_not_the_token_stays(remove_token: bool) -> None:
    forward = Forward({"x-a": ForwardedClaim("sub")}, remove_token=remove_token)
    assert admit(verified({"sub": "a\n"}), forward, NOTHING).left_out == ("x-a",)
