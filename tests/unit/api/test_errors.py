from typing import Any

import grpc
import pytest
from google.rpc import code_pb2

from sidecar.api.errors import CODES, abort, status_of
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.v1 import reason_pb2
from tests.unit.api.calls import Aborted, Call

REASONS = [pytest.param(one, id=one.name) for one in ErrorReason if one]


async def aborted(failure: CallFailed) -> Aborted:
    """How a call ends that fails like this."""
    call: Any = Call()
    with pytest.raises(Aborted) as ended:
        await abort(call, failure)
    return ended.value


def test_every_reason_but_none_has_a_code() -> None:
    assert CODES.keys() == set(ErrorReason) - {ErrorReason.UNSPECIFIED}


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (ErrorReason.FIELD_INVALID, grpc.StatusCode.INVALID_ARGUMENT),
        (ErrorReason.NAME_RESERVED, grpc.StatusCode.INVALID_ARGUMENT),
        (ErrorReason.NOT_CONFIGURED, grpc.StatusCode.FAILED_PRECONDITION),
        (ErrorReason.ALREADY_EXISTS, grpc.StatusCode.ALREADY_EXISTS),
        (ErrorReason.READ_ONLY, grpc.StatusCode.FAILED_PRECONDITION),
        (ErrorReason.NOT_GRANTABLE, grpc.StatusCode.INVALID_ARGUMENT),
        (ErrorReason.KEY_UNFIT, grpc.StatusCode.INVALID_ARGUMENT),
        (ErrorReason.CALLER_DENIED, grpc.StatusCode.PERMISSION_DENIED),
        (ErrorReason.NOT_SERVED_HERE, grpc.StatusCode.PERMISSION_DENIED),
        (ErrorReason.CONFIG_INVALID, grpc.StatusCode.INVALID_ARGUMENT),
        (ErrorReason.STORE_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
        (ErrorReason.LIMIT_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
async def test_code(reason: ErrorReason, code: grpc.StatusCode) -> None:
    assert (await aborted(CallFailed(reason, "why"))).code is code


@pytest.mark.parametrize("reason", REASONS)
async def test_error_info_names_the_reason_as_the_contract_does(reason: ErrorReason) -> None:
    info = (await aborted(CallFailed(reason, "why"))).info
    assert info.domain == "jwt-sidecar"
    assert reason_pb2.ErrorReason.Value(f"ERROR_REASON_{info.reason}") == reason.value


@pytest.mark.parametrize("reason", REASONS)
async def test_bad_request_names_the_field_where_the_argument_is_invalid(
    reason: ErrorReason,
) -> None:
    ended = await aborted(CallFailed(reason, "why", "audiences"))
    invalid = ended.code is grpc.StatusCode.INVALID_ARGUMENT
    assert ended.fields == (["audiences"] if invalid else [])


async def test_no_bad_request_without_a_field() -> None:
    assert (await aborted(CallFailed(ErrorReason.FIELD_INVALID, "why"))).fields == []


async def test_the_message_is_the_failures() -> None:
    ended = await aborted(CallFailed(ErrorReason.FIELD_INVALID, "audiences: why", "audiences"))
    assert (str(ended), ended.details.message) == ("audiences: why", "audiences: why")


def test_the_contracts_reasons_are_ours() -> None:
    ours = {f"ERROR_REASON_{one.name}": one.value for one in ErrorReason}
    assert ours == dict(reason_pb2.ErrorReason.items())


def test_the_status_holds_the_code_twice_alike() -> None:
    status = status_of(CallFailed(ErrorReason.LIMIT_EXCEEDED, "why"))
    assert status.code == code_pb2.RESOURCE_EXHAUSTED
