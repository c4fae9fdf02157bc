"""sidecar.v1.TokenService: messages in, messages out."""

import logging
from collections.abc import Awaitable, Callable, Collection
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError, Message

from sidecar.api import fields
from sidecar.api.about import about_call
from sidecar.api.errors import abort
from sidecar.api.revoking import log_family, log_revocation, target
from sidecar.engine import Engine
from sidecar.token.mint import Minted, Order
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.token.request import NO_PROOF, Refusal, Request, Verdict, Verified
from sidecar.token.revocation import WholeRefreshToken
from sidecar.token.validator import Explanation
from sidecar.v1 import reason_pb2
from sidecar.v1 import token_service_pb2 as messages

if TYPE_CHECKING:
    import grpc

    Context = grpc.aio.ServicerContext[Any, Any]

_LONGEST_ASKED: Final = 512
"""Bytes of a question, beside its token, whose answer is kept for when it is asked again."""

log = logging.getLogger(__name__)


class TokenService:
    """The methods of the service that work, on one engine. Each may raise CallFailed."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def validate_token(
        self, message: messages.ValidateTokenRequest, context: "Context"
    ) -> bytes:
        """Checks a token; gives a serialized ValidateTokenResponse."""
        began, engine = perf_counter(), self._engine
        token = message.token
        message.ClearField("token")
        asked: bytes | None = message.SerializeToString()
        if asked and len(asked) > _LONGEST_ASKED:
            asked = None
        kept = engine.again(token, asked)
        if kept is not None:
            engine.metrics.passed("grpc", kept.issuer_name, perf_counter() - began)
            return kept.answer
        request = validate_request(message, engine.snapshot.limits.json_depth, token)
        verdict = await engine.decide(request, context.time_remaining())
        seconds = perf_counter() - began
        engine.decided(
            "grpc", verdict, seconds, lambda: about_call(request.client_address, context)
        )
        answer = validate_response(verdict).SerializeToString()
        engine.keep(token, asked, verdict, answer)
        return answer

    async def explain_token(
        self, message: messages.ExplainTokenRequest, context: "Context"
    ) -> messages.ExplainTokenResponse:
        """Checks a token and says how each check went."""
        asked, depth = message.request, self._engine.snapshot.limits.json_depth
        request = validate_request(asked, depth, asked.token)
        return explain_response(await self._engine.explain(request, context.time_remaining()))

    async def issue_token(
        self, message: messages.IssueTokenRequest, context: "Context"
    ) -> messages.IssueTokenResponse:
        """Mints a token."""
        return issue_response(await self._engine.mint(order(message), context.time_remaining()))

    async def refresh_token(
        self, message: messages.RefreshTokenRequest, _: "Context"
    ) -> messages.RefreshTokenResponse:
        """Trades a refresh token for new tokens."""
        scopes = fields.names("scopes", message.scopes)
        return refresh_response(await self._engine.refresh(message.refresh_token, scopes))

    async def revoke_token(
        self, message: messages.RevokeTokenRequest, context: "Context"
    ) -> messages.RevokeTokenResponse:
        """Revokes what the message names; durable and in effect here before it returns."""
        named = target(message)
        if isinstance(named, WholeRefreshToken):
            family, when = await self._engine.revoke_family(named)
            log_family(family, message.note)
        else:
            made, when = await self._engine.revoke(named, context.time_remaining())
            log_revocation(made, message.note)
        return messages.RevokeTokenResponse(revoke_time=fields.timestamp(when))

    async def get_jwks(self, _: messages.GetJwksRequest, __: "Context") -> messages.GetJwksResponse:
        """The signers' public keys."""
        return messages.GetJwksResponse(jwks_json=self._engine.jwks())


def decoding(
    handler: Callable[[Any, "Context"], Awaitable[Message | bytes]], request: type[Message]
) -> Callable[[bytes, "Context"], Awaitable[bytes]]:
    """A handler of bytes around one of messages, which may raise CallFailed: that ends the call.

    What is no such message is INVALID_ARGUMENT.
    """

    async def handle(data: bytes, context: "Context") -> bytes:
        try:
            message = request.FromString(data)
        except DecodeError:
            problem = f"the request is no {request.DESCRIPTOR.name}, or has text that is not UTF-8"
            await abort(context, CallFailed(ErrorReason.FIELD_INVALID, problem))
        try:
            answer = await handler(message, context)
        except CallFailed as failure:
            await abort(context, failure)
        return answer if isinstance(answer, bytes) else answer.SerializeToString()

    return handle


def not_served(
    method: str, services: Collection[str]
) -> Callable[[Any, "Context"], Awaitable[Any]]:
    """A handler for a method that this listener does not serve: it refuses and says why."""
    needed = " or ".join(sorted(services))
    message = f"{method} is not served here; its listener's services must name {needed}"
    level = logging.WARNING

    async def refuse(_: Any, context: "Context") -> Any:
        nonlocal level
        log.log(level, "a call was refused: %s", message)
        level = logging.DEBUG
        await abort(context, CallFailed(ErrorReason.NOT_SERVED_HERE, message))

    return refuse


def validate_request(message: messages.ValidateTokenRequest, max_depth: int, token: str) -> Request:
    """The request about this token that a message makes otherwise.

    Raises CallFailed where a field is malformed.
    """
    return Request(
        token,
        message.issuer_name,
        fields.names("audiences", message.audiences),
        fields.names("scopes", message.scopes),
        fields.claims("required_claims_json", message.required_claims_json, max_depth),
        fields.proof("proof", message.proof) if message.HasField("proof") else NO_PROOF,
        fields.address("client_address", message.client_address),
    )


def validate_response(verdict: Verdict) -> messages.ValidateTokenResponse:
    """The message that a verdict makes."""
    if isinstance(verdict, Refusal):
        return messages.ValidateTokenResponse(
            reason=reason_pb2.Reason.ValueType(verdict.reason),
            message=verdict.message,
            insufficient=verdict.insufficient,
        )
    return messages.ValidateTokenResponse(valid=True, token=_token(verdict))


def explain_response(explanation: Explanation) -> messages.ExplainTokenResponse:
    """The message of an explanation."""
    return messages.ExplainTokenResponse(
        result=validate_response(explanation.verdict),
        checks=[
            messages.Check(
                name=one.name,
                outcome=messages.Check.Outcome.ValueType(one.outcome.value),
                reason=reason_pb2.Reason.ValueType(one.reason),
                detail=one.detail,
            )
            for one in explanation.findings
        ],
        unverified_header_json=explanation.unverified_header_json,
        unverified_claims_json=explanation.unverified_claims_json,
    )


def _token(verified: Verified) -> messages.Token:
    claims = verified.claims
    token = messages.Token(
        issuer_name=verified.issuer_name,
        consumer=verified.consumer.name if verified.consumer else "",
        issuer=claims.get("iss", ""),
        subject=claims.get("sub", ""),
        audiences=verified.audiences,
        token_id=claims.get("jti", ""),
        scopes=verified.scopes,
        key_id=verified.key_id,
        algorithm=verified.algorithm,
        claims_json=verified.claims_json.decode("utf-8"),
    )
    if verified.issue_time is not None:
        fields.set_time(token.issue_time, verified.issue_time)
    if verified.not_before_time is not None:
        fields.set_time(token.not_before_time, verified.not_before_time)
    if verified.expire_time is not None:
        fields.set_time(token.expire_time, verified.expire_time)
    return token


def order(message: messages.IssueTokenRequest) -> Order:
    """What a message orders; raises CallFailed where a field is malformed."""
    start = message.WhichOneof("not_before")
    return Order(
        signer=message.signer,
        consumer=message.consumer,
        subject=message.subject,
        audiences=fields.names("audiences", message.audiences),
        scopes=fields.names("scopes", message.scopes),
        lifetime=(
            fields.seconds("lifetime", message.lifetime) if message.HasField("lifetime") else None
        ),
        not_before_time=(
            fields.moment("not_before_time", message.not_before_time)
            if start == "not_before_time"
            else None
        ),
        not_before_delay=(
            fields.seconds("not_before_delay", message.not_before_delay)
            if start == "not_before_delay"
            else None
        ),
        token_id=message.token_id,
        claims_json=message.claims_json,
        headers_json=message.headers_json,
        critical_headers=fields.names("critical_headers", message.critical_headers),
        algorithm=message.algorithm,
        with_refresh_token=message.with_refresh_token,
    )


def issue_response(minted: Minted) -> messages.IssueTokenResponse:
    """The message of a minted token, and of the refresh token beside it."""
    response = messages.IssueTokenResponse(
        token=minted.token,
        token_id=minted.token_id,
        key_id=minted.key_id,
        algorithm=minted.algorithm,
        issue_time=fields.timestamp(minted.issue_time),
        expire_time=fields.timestamp(minted.expire_time),
    )
    if minted.refresh_token:
        response.refresh_token = minted.refresh_token
        response.refresh_expire_time.CopyFrom(fields.timestamp(minted.refresh_expire_time))
    return response


def refresh_response(traded: Minted | Refusal) -> messages.RefreshTokenResponse:
    """The message of what a refresh token was traded for, or of why it was not."""
    if isinstance(traded, Refusal):
        return messages.RefreshTokenResponse(
            reason=reason_pb2.Reason.ValueType(traded.reason), message=traded.message
        )
    return messages.RefreshTokenResponse(valid=True, issued=issue_response(traded))
