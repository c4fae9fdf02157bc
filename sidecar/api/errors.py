"""How a call that can't be answered ends: status, ErrorInfo and BadRequest, in one table."""

from typing import Final, NoReturn

import grpc
from google.rpc import code_pb2, error_details_pb2, status_pb2

from sidecar.token.reason import CallFailed, ErrorReason

DOMAIN: Final = "jwt-sidecar"

CODES: Final = {
    ErrorReason.FIELD_INVALID: code_pb2.INVALID_ARGUMENT,
    ErrorReason.NAME_RESERVED: code_pb2.INVALID_ARGUMENT,
    ErrorReason.NOT_CONFIGURED: code_pb2.FAILED_PRECONDITION,
    ErrorReason.ALREADY_EXISTS: code_pb2.ALREADY_EXISTS,
    ErrorReason.READ_ONLY: code_pb2.FAILED_PRECONDITION,
    ErrorReason.NOT_GRANTABLE: code_pb2.INVALID_ARGUMENT,
    ErrorReason.KEY_UNFIT: code_pb2.INVALID_ARGUMENT,
    ErrorReason.CALLER_DENIED: code_pb2.PERMISSION_DENIED,
    ErrorReason.NOT_SERVED_HERE: code_pb2.PERMISSION_DENIED,
    ErrorReason.CONFIG_INVALID: code_pb2.INVALID_ARGUMENT,
    ErrorReason.STORE_UNAVAILABLE: code_pb2.UNAVAILABLE,
    ErrorReason.LIMIT_EXCEEDED: code_pb2.RESOURCE_EXHAUSTED,
}


def status_of(failure: CallFailed) -> status_pb2.Status:
    """The google.rpc.Status of a failed call.

    It has an ErrorInfo and, for INVALID_ARGUMENT, the BadRequest that names the field.
    """
    code = CODES[failure.reason]
    status = status_pb2.Status(code=code, message=failure.message)
    status.details.add().Pack(
        error_details_pb2.ErrorInfo(reason=failure.reason.name, domain=DOMAIN)
    )
    if code == code_pb2.INVALID_ARGUMENT and failure.field:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=failure.field, description=failure.message
        )
        status.details.add().Pack(error_details_pb2.BadRequest(field_violations=[violation]))
    return status


async def abort(
    context: "grpc.aio.ServicerContext[object, object]", failure: CallFailed
) -> NoReturn:
    """Ends the call with the failure's status."""
    from grpc_status import rpc_status

    await context.abort_with_status(rpc_status.to_status(status_of(failure)))
    raise AssertionError("abort_with_status raises")
