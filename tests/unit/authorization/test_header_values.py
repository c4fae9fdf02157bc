from typing import Any

import pytest

from sidecar.authorization.admission import Admission, admit
from sidecar.authorization.credentials import Removal
from sidecar.authorization.policy import Forward, ForwardedClaim
from tests.unit.parties import verified


def forwarded(claim: Any) -> Admission:
    """What the upstream is told of one claim."""
    return admit(
        verified({"claim": claim}), Forward({"x-claim": ForwardedClaim("claim")}), Removal()
    )


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        pytest.param("alice", "alice", id="string"),
        pytest.param("Zoë 文", "Zoë 文", id="letters beyond ASCII"),
        pytest.param("a b", "a b", id="space inside"),
        pytest.param("a,b", "a,b", id="comma in a string"),
        pytest.param(0, "0", id="zero"),
        pytest.param(-1, "-1", id="integer"),
        pytest.param(1.5, "1.5", id="fraction"),
        pytest.param(10**30, "1" + "0" * 30, id="long integer"),
        pytest.param(True, "true", id="true"),
        pytest.param(False, "false", id="false"),
        pytest.param({"a": [1, "ë"]}, '{"a":[1,"ë"]}', id="object"),
        pytest.param({}, "{}", id="empty object"),
        pytest.param(["admin"], "admin", id="array of one"),
        pytest.param(["admin", "ops"], "admin,ops", id="array of strings"),
        pytest.param([1, True, 2.5], "1,true,2.5", id="array of others"),
        pytest.param([{"a": 1}], '{"a":1}', id="array of an object"),
        pytest.param([["a"], "b"], "a,b", id="array in an array"),
        pytest.param("a" * 8192, "a" * 8192, id="8192 bytes"),
        pytest.param("ë" * 4096, "ë" * 4096, id="8192 bytes of 4096 characters"),
    ],
)
def test_set(claim: Any, text: str) -> None:
    assert forwarded(claim) == Admission({"x-claim": text})


@pytest.mark.parametrize(
    "claim",
    [
        pytest.param(None, id="null"),
        pytest.param("", id="empty string"),
        pytest.param([], id="empty array"),
        pytest.param(["admin,ops"], id="comma in an element"),
        pytest.param(["a", "b,c"], id="comma in one of two elements"),
        pytest.param(["a", {"b": 1, "c": 2}], id="comma in an element's JSON"),
        pytest.param(["a", ["b", "c"]], id="comma in an inner array"),
        pytest.param(["a", ["b,c"]], id="an inner array that has no text"),
        pytest.param(["a", None], id="null in an array"),
        pytest.param(["a", ""], id="empty element"),
        pytest.param([[]], id="empty array in an array"),
        pytest.param("a" * 8193, id="8193 bytes"),
        pytest.param("ë" * 4096 + "a", id="8193 bytes of 4097 characters"),
        pytest.param(["a" * 4096, "b" * 4096], id="8193 bytes in two elements"),
        pytest.param(" a", id="space before"),
        pytest.param("a ", id="space after"),
        pytest.param(" ", id="only a space"),
        pytest.param("a\r\nx-admin: true", id="line break"),
        pytest.param("a\nb", id="line feed"),
        pytest.param("a\rb", id="carriage return"),
        pytest.param("a\x00b", id="NUL"),
        pytest.param("a\tb", id="tab"),
        pytest.param("a\x7fb", id="DEL"),
        pytest.param("a\x85b", id="next line"),
        pytest.param("a\u2028b", id="line separator"),
        pytest.param("a\u202eb", id="right-to-left override"),
        pytest.param("a\u200bb", id="zero-width space"),
        pytest.param("\ud800", id="half a surrogate pair"),
        pytest.param(["a", "b\n"], id="line break in an element"),
    ],
)
def test_left_out_and_removed(claim: Any) -> None:
    nothing = claim in ("", [], None)
    assert forwarded(claim) == Admission({}, ("x-claim",), left_out=() if nothing else ("x-claim",))


@pytest.mark.parametrize(
    ("claim", "text"),
    [
        pytest.param({"admin": {"org": "1"}, "ops": {}}, "admin,ops", id="object"),
        pytest.param({"a,b": 1, "c": 2}, None, id="a name with a comma"),
        pytest.param({"a\nb": 1}, None, id="a name with a line break"),
        pytest.param(["admin", "ops"], "admin,ops", id="array, as it is"),
        pytest.param("admin", "admin", id="string, as it is"),
        pytest.param({}, None, id="empty object"),
    ],
)
def test_the_names_of_an_object_are_sent_on_request(claim: Any, text: str | None) -> None:
    forward = Forward({"x-roles": ForwardedClaim("realm.roles", keys=True)})
    admission = admit(verified({"realm": {"roles": claim}}), forward, Removal())
    assert admission.set_headers == ({} if text is None else {"x-roles": text})
    assert admission.remove_headers == (() if text else ("x-roles",))


def test_an_absent_claim_is_left_out_and_removed() -> None:
    admission = admit(
        verified({"sub": "a"}), Forward({"x-claim": ForwardedClaim("claim")}), Removal()
    )
    assert admission == Admission({}, ("x-claim",))
