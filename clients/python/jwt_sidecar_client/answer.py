"""What the sidecar answers, as values and errors. No doubtful answer is a yes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from jwt_sidecar_client.errors import CallRejected, SidecarError, SidecarUnavailable, TokenRefused
from jwt_sidecar_client.token import IssuedToken, Token, in_utc, issued, verified
from jwt_sidecar_client.v1 import reason_pb2
from jwt_sidecar_client.v1 import token_service_pb2 as messages

if TYPE_CHECKING:
    from google.protobuf.internal.enum_type_wrapper import _EnumTypeWrapper

_ITS_AUTHOR_CAN_MEND: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.PERMISSION_DENIED,
        grpc.StatusCode.UNAUTHENTICATED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.OUT_OF_RANGE,
    }
)
_DOMAIN: Final = "jwt-sidecar"
_SHORTEST_SECRET: Final = 16
"""Characters. What is shorter is no token, and "a" would make every message unreadable."""
Made = TypeVar("Made")
Number = TypeVar("Number", bound=int)
Asked = TypeVar("Asked", bound=Message)


@dataclass(frozen=True)
class Check:
    """One check that was made: `outcome` is "PASSED", "FAILED" or "SKIPPED"."""

    name: str
    outcome: str
    reason: str
    """The contract's name without `REASON_`, where the check failed; else empty."""
    detail: str
    """What was expected and what was found, in a sentence."""


@dataclass(frozen=True)
class Explanation:
    """Every check of a token in order: for a person. Only `validate` decides what may pass."""

    refusal: TokenRefused | None
    """What `validate` raises; None for a token that may pass."""
    checks: tuple[Check, ...]
    unverified_header_json: str = field(repr=False)
    """As decoded, NOT verified, as the next; empty where they don't decode."""
    unverified_claims_json: str = field(repr=False)


def token_of(
    answer: messages.ValidateTokenResponse | None, request: messages.ValidateTokenRequest
) -> Token:
    """The token of an answer that says yes; raises TokenRefused or SidecarUnavailable."""
    answer = _readable(answer)
    if answer.valid:
        if answer.reason or not answer.HasField("token"):
            raise _senseless("valid, but without a token or with a reason")
        return _made(verified, answer.token)
    raise _refusal(answer.reason, answer.message, request, answer.insufficient)


def explanation_of(
    answer: messages.ExplainTokenResponse | None, request: messages.ValidateTokenRequest
) -> Explanation:
    """The checks; raises SidecarUnavailable."""
    answer = _readable(answer)
    refusal = None
    try:
        token_of(answer.result, request)
    except TokenRefused as refused:
        refusal = refused
    return Explanation(
        refusal=refusal,
        checks=tuple(map(_check, answer.checks)),
        unverified_header_json=answer.unverified_header_json,
        unverified_claims_json=answer.unverified_claims_json,
    )


def issued_by(answer: messages.IssueTokenResponse | None) -> IssuedToken:
    """What was minted; raises SidecarUnavailable where that is nothing."""
    return _made(issued, _readable(answer))


def refreshed_by(answer: messages.RefreshTokenResponse | None) -> IssuedToken:
    """What was minted; raises TokenRefused or SidecarUnavailable."""
    answer = _readable(answer)
    if answer.valid:
        if answer.reason:
            raise _senseless("valid, but with a reason")
        return _made(issued, answer.issued)
    raise _refusal(answer.reason, answer.message)


def revoked_by(answer: messages.RevokeTokenResponse | None) -> datetime:
    """When the revocation took effect, in UTC; raises SidecarUnavailable where none is told."""
    answer = _readable(answer)
    if not answer.HasField("revoke_time"):
        raise _senseless("it names no time of the revocation")
    return _made(in_utc, answer.revoke_time)


def jwks_of(answer: messages.GetJwksResponse | None) -> str:
    """The JWK Set; raises SidecarUnavailable where there is none."""
    answer = _readable(answer)
    if not answer.jwks_json:
        raise _senseless("it holds no JWK Set")
    return answer.jwks_json


def failure(error: grpc.RpcError, *secrets: str) -> SidecarError:
    """What a call that failed ends with; the secrets are taken out of its text."""
    code = error.code()
    message = error.details() or ""
    for secret in secrets:
        if len(secret) >= _SHORTEST_SECRET:
            message = message.replace(secret, "[secret]")
    if code in _ITS_AUTHOR_CAN_MEND:
        return CallRejected(code, _error_reason(error), message)
    return SidecarUnavailable(f"{code.name}: {message}")


def _error_reason(error: grpc.RpcError) -> str:
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type] # each error is its call too
        for detail in status.details if status else ():
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info) and info.domain == _DOMAIN:
                return info.reason
    except (DecodeError, ValueError):
        pass  # details that make no sense tell nothing
    return ""


def _refusal(
    number: reason_pb2.Reason.ValueType,
    message: str,
    request: messages.ValidateTokenRequest | None = None,
    insufficient: bool = False,
) -> SidecarError:
    if not number:
        return _senseless("neither valid nor refused")
    asked = request or messages.ValidateTokenRequest()
    return TokenRefused(
        _name(reason_pb2.Reason, number, "REASON_"),
        message,
        scopes=tuple(asked.scopes),
        dpop=bool(asked.proof.dpop),
        insufficient=insufficient,
    )


def _check(check: messages.Check) -> Check:
    return Check(
        name=check.name,
        outcome=_name(messages.Check.Outcome, check.outcome, "OUTCOME_"),
        reason=_name(reason_pb2.Reason, check.reason, "REASON_") if check.reason else "",
        detail=check.detail,
    )


def _name(enum: "_EnumTypeWrapper[Number]", number: Number, prefix: str) -> str:
    """The name without its prefix, or the number in digits where it is a newer sidecar's."""
    try:
        return enum.Name(number).removeprefix(prefix)
    except ValueError:
        return str(number)


def _readable(answer: Made | None) -> Made:
    """The answer; gRPC gives None for one that it can't read."""
    if answer is None:
        raise _senseless("it is no message of the contract")
    return answer


def _made(make: Callable[[Asked], Made], message: Asked) -> Made:
    problem = ""
    try:
        return make(message)
    except (ValueError, OverflowError) as error:
        problem = str(error)
    raise _senseless(problem)


def _senseless(problem: str) -> SidecarUnavailable:
    return SidecarUnavailable(f"the sidecar's answer makes no sense: {problem}")
