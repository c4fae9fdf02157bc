from typing import Any

import pytest
from google.protobuf import json_format
from google.rpc import code_pb2

from sidecar.api.ext_authz import check_response
from sidecar.authorization.admission import Admission
from sidecar.authorization.authorizer import Answer, denied
from sidecar.authorization.policy import Policy
from sidecar.token.reason import Reason
from sidecar.token.request import Refusal, Verified
from tests.unit.api.checks import header_options
from tests.unit.parties import consumer, verified

QUIET = Policy(dynamic_metadata=False)


def admitted(verdict: Verified | None = None, **change: Any) -> Any:
    """The message that lets a request pass with this change."""
    return check_response(Answer(verdict or verified(), Admission(**change)), Policy())


def metadata(message: Any) -> Any:
    """The dynamic metadata of an answer, as Envoy's other filters see it."""
    arrived = type(message).FromString(message.SerializeToString())
    return json_format.MessageToDict(arrived.dynamic_metadata)


def test_a_request_passes_unchanged() -> None:
    message = admitted()
    assert message.status.code == code_pb2.OK
    assert message.WhichOneof("http_response") == "ok_response"
    assert message.ok_response == type(message.ok_response)()


def test_headers_replace_what_the_client_sent() -> None:
    message = admitted(set_headers={"x-a": "1", "cookie": "b=2"})
    assert header_options(message.ok_response.headers) == {"x-a": "1", "cookie": "b=2"}


def test_headers_and_parameters_to_remove() -> None:
    message = admitted(remove_headers=("authorization", "x-a"), remove_query_parameters=("t",))
    assert list(message.ok_response.headers_to_remove) == ["authorization", "x-a"]
    assert list(message.ok_response.query_parameters_to_remove) == ["t"]


@pytest.mark.parametrize(
    ("reason", "code", "status"),
    [
        pytest.param(Reason.TOKEN_MISSING, code_pb2.UNAUTHENTICATED, 401, id="no token"),
        pytest.param(Reason.EXPIRED, code_pb2.UNAUTHENTICATED, 401, id="a bad one"),
        pytest.param(Reason.RULE_DENIED, code_pb2.PERMISSION_DENIED, 403, id="a rule"),
        pytest.param(Reason.KEYS_UNAVAILABLE, code_pb2.UNAVAILABLE, 503, id="an outage"),
    ],
)
def test_denials(reason: Reason, code: int, status: int) -> None:
    message = check_response(denied(Refusal(reason, "why"), QUIET), QUIET)
    assert message.status.code == code
    assert message.WhichOneof("http_response") == "denied_response"
    assert message.denied_response.status.code == status


def test_a_denial_has_its_headers_and_body() -> None:
    answer = denied(Refusal(Reason.EXPIRED, "why"), QUIET)
    message = check_response(answer, QUIET)
    assert header_options(message.denied_response.headers) == {
        "www-authenticate": 'Bearer realm="jwt-sidecar", error="invalid_token", '
        'error_description="why"',
        "content-type": "application/json",
    }
    assert message.denied_response.body == (
        '{"error": "expired", "reason": "REASON_EXPIRED", "message": "why"}'
    )


@pytest.mark.parametrize("reason", [pytest.param(one, id=one.name) for one in Reason])
def test_no_refusal_is_ever_an_error_that_envoy_may_let_through(reason: Reason) -> None:
    message = check_response(denied(Refusal(reason, "why"), Policy()), Policy())
    assert message.status.code != code_pb2.OK
    assert message.WhichOneof("http_response") == "denied_response"
    assert message.denied_response.status.code >= 400


CLAIMS = {
    "sub": "alice",
    "jti": "id-7",
    "null": None,
    "true": True,
    "number": 1.5,
    "integer": 7,
    "array": ["a", 1, None, [True]],
    "object": {"a": {"b": "c"}},
    "https://shop.example.com/plan": "gold",
}


def test_metadata_of_an_issuers_token() -> None:
    assert metadata(admitted(verified(CLAIMS))) == {
        "issuer": "corp",
        "consumer": "",
        "subject": "alice",
        "token_id": "id-7",
        "key_id": "k1",
        "scopes": ["orders:read"],
        "rule": "",
        "claims": CLAIMS,
    }


def test_metadata_of_a_consumers_token() -> None:
    found = metadata(admitted(verified({}, by=consumer("jack"))))
    assert (found["issuer"], found["consumer"]) == ("", "jack")
    assert (found["subject"], found["token_id"], found["claims"]) == ("", "", {})


def test_metadata_of_a_refusal() -> None:
    message = check_response(denied(Refusal(Reason.EXPIRED, "why", "corp"), Policy()), Policy())
    assert metadata(message) == {"reason": "REASON_EXPIRED", "issuer": "corp", "rule": ""}


def test_metadata_of_a_request_without_a_token() -> None:
    answer = Answer(None, Admission(), "health")
    assert metadata(check_response(answer, Policy())) == {"anonymous": True, "rule": "health"}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Answer(verified(), Admission()), id="passed"),
        pytest.param(denied(Refusal(Reason.EXPIRED, "why"), QUIET), id="refused"),
    ],
)
def test_no_metadata_where_none_is_wanted(answer: Answer) -> None:
    assert not check_response(answer, QUIET).HasField("dynamic_metadata")


def nested(depth: int, kind: type) -> dict[str, Any]:
    """Claims that are nested this deep, objects or arrays."""
    value: Any = 1
    for _ in range(depth - 1):
        value = {"a": value} if kind is dict else [value]
    return {"a": value}


@pytest.mark.parametrize("kind", [dict, list])
def test_claims_of_the_greatest_depth_arrive(kind: type) -> None:
    """Deeper ones exceed the 100 messages in each other that a reader of protobuf takes."""
    claims = nested(32, kind)
    assert metadata(admitted(verified(claims)))["claims"] == claims


def test_the_largest_numbers_arrive_as_doubles() -> None:
    claims = {"long": 10**39, "large": 1.7e308, "negative": -(10**38)}
    arrived = metadata(admitted(verified(claims)))["claims"]
    assert arrived == {"long": 1e39, "large": 1.7e308, "negative": -1e38}
