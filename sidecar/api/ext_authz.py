"""envoy.service.auth.v3.Authorization: Envoy's words in, Envoy's words out.

Every path through `check` ends in an answer: where Envoy's `failure_mode_allow` is on, an RPC
error would let the request through.
"""

import logging
from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import attribute_context_pb2, external_auth_pb2
from envoy.type.v3 import http_status_pb2
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, status_pb2

from sidecar.api.about import about_http
from sidecar.api.errors import abort
from sidecar.authorization.admission import Admission
from sidecar.authorization.authorizer import Answer, Asked, denied, judged, looked_at
from sidecar.authorization.client_certificate import certificate_names
from sidecar.authorization.denial import Denial, Failure
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.policy import Policy
from sidecar.engine import FAILED, Engine
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.token.request import Refusal, Request, Verdict

_REPLACE: Final = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_CODES: Final = {
    Failure.UNAUTHENTICATED: code_pb2.UNAUTHENTICATED,
    Failure.PERMISSION_DENIED: code_pb2.PERMISSION_DENIED,
    Failure.UNAVAILABLE: code_pb2.UNAVAILABLE,
}

log = logging.getLogger(__name__)


class Authorization:
    """The ext_authz service on one engine and the policy that holds at the time."""

    def __init__(self, engine: Engine, policy: Callable[[], Policy]) -> None:
        self._engine = engine
        self._policy = policy

    async def check(self, message: bytes, context: Any) -> bytes:
        """Whether a request may pass; raises nothing but for an outage under `on_outage: error`.

        Takes and gives a serialized message, so that one which does not even parse is denied.
        """
        began, engine, policy = perf_counter(), self._engine, self._policy()
        request = HttpRequest()
        try:
            request = http_request(external_auth_pb2.CheckRequest.FromString(message))
            asked = looked_at(request, policy)
            if isinstance(asked, Asked):
                question = asked.question(policy)
                kept = engine.again(asked.credential.token, question)
                if kept is not None:
                    engine.metrics.passed("ext_authz", kept.issuer_name, perf_counter() - began)
                    return kept.answer
                answer = await self._judged(asked, policy, context)
                response = serialized(answer, policy)
                self._keep(asked.credential.token, question, answer, response)
            else:
                answer = asked
                response = serialized(answer, policy)
        except DecodeError:
            log.error("an ext_authz check is no CheckRequest; is its caller an Envoy?")
            answer, response = _failed(policy)
        except Exception:
            log.exception("an ext_authz check failed")
            answer, response = _failed(policy)
        engine.decided(
            "ext_authz",
            answer.verdict,
            perf_counter() - began,
            lambda: about_http(request, policy, answer.rule),
        )
        await self._conclude(answer, policy, context)
        return response

    async def _judged(self, asked: Asked, policy: Policy, context: Any) -> Answer:
        async def decide(request: Request) -> Verdict:
            return await self._engine.decide_or_refuse(request, context.time_remaining())

        return await judged(asked, policy, decide)

    def _keep(self, token: str, question: object | None, answer: Answer, response: bytes) -> None:
        """Has it given again; where a header is left out, that is to be counted each time."""
        verdict, outcome = answer.verdict, answer.outcome
        if verdict is not None and isinstance(outcome, Admission) and not outcome.left_out:
            self._engine.keep(token, question, verdict, response)

    async def _conclude(self, answer: Answer, policy: Policy, context: Any) -> None:
        """What follows beside the answer; an outage may end the call, for Envoy to decide."""
        outcome = answer.outcome
        if isinstance(outcome, Denial):
            if policy.fails_on_outage and outcome.failure is Failure.UNAVAILABLE:
                await abort(context, CallFailed(ErrorReason.STORE_UNAVAILABLE, _why(answer)))
        elif outcome.left_out:
            self._engine.note_left_out(outcome.left_out)


def _failed(policy: Policy) -> tuple[Answer, bytes]:
    answer = denied(FAILED, policy)
    return answer, serialized(answer, policy)


def _why(answer: Answer) -> str:
    return answer.verdict.message if isinstance(answer.verdict, Refusal) else ""


def http_request(check: external_auth_pb2.CheckRequest) -> HttpRequest:
    """The HTTP request that Envoy describes, with headers in the one place or the other.

    Under `encode_raw_headers` they are in `header_map`, each with its own value. `query` is
    always empty: the query is in `path`.
    """
    attributes = check.attributes
    http, source = attributes.request.http, attributes.source
    certificate, principal = source.certificate, source.principal
    return HttpRequest(
        http.method,
        http.host,
        http.path,
        _headers(http),
        source_address=source.address.socket_address.address,
        scheme=http.scheme,
        source_certificate=certificate,
        source_principal=principal,
        client_certificate_names=(
            certificate_names(certificate, principal) if principal or certificate else ()
        ),
        rule=attributes.context_extensions.get("rule", ""),
    )


def _headers(
    http: attribute_context_pb2.AttributeContext.HttpRequest,
) -> dict[str, tuple[str, ...]]:
    sent = http.headers
    headers: dict[str, tuple[str, ...]]
    # By name: the pairs of a protobuf map come from a generator in Python, and cost a third more.
    headers = {name.lower(): (sent[name],) for name in sent}
    if len(headers) != len(sent):
        headers = {}
        for name, value in sent.items():
            headers[name.lower()] = (*headers.get(name.lower(), ()), value)
    for one in http.header_map.headers:
        value = one.raw_value.decode("utf-8", "replace") if one.raw_value else one.value
        headers[one.key.lower()] = (*headers.get(one.key.lower(), ()), value)
    return headers


def serialized(answer: Answer, policy: Policy) -> bytes:
    """The bytes of an answer's message."""
    data: bytes = check_response(answer, policy).SerializeToString()
    return data


def check_response(answer: Answer, policy: Policy) -> external_auth_pb2.CheckResponse:
    """The message of an answer."""
    if isinstance(answer.outcome, Denial):
        response = _denied(answer.outcome)
    else:
        response = _admitted(answer.outcome)
    if policy.dynamic_metadata:
        response.dynamic_metadata.update(metadata(answer))
    return response


def _admitted(admission: Admission) -> external_auth_pb2.CheckResponse:
    return external_auth_pb2.CheckResponse(
        status=status_pb2.Status(code=code_pb2.OK),
        ok_response=external_auth_pb2.OkHttpResponse(
            headers=_header_options(admission.set_headers),
            headers_to_remove=admission.remove_headers,
            query_parameters_to_remove=admission.remove_query_parameters,
        ),
    )


def _denied(denial: Denial) -> external_auth_pb2.CheckResponse:
    return external_auth_pb2.CheckResponse(
        status=status_pb2.Status(code=_CODES[denial.failure]),
        denied_response=external_auth_pb2.DeniedHttpResponse(
            status=http_status_pb2.HttpStatus(code=denial.http_status),
            headers=_header_options(denial.headers),
            body=denial.body,
        ),
    )


def _header_options(headers: Any) -> list[base_pb2.HeaderValueOption]:
    return [
        base_pb2.HeaderValueOption(
            header=base_pb2.HeaderValue(key=name, value=value), append_action=_REPLACE
        )
        for name, value in headers.items()
    ]


def metadata(answer: Answer) -> dict[str, Any]:
    """What Envoy's other filters and its access log can read, under stable names."""
    verdict = answer.verdict
    if verdict is None:
        return {"anonymous": True, "rule": answer.rule}
    if isinstance(verdict, Refusal):
        return {
            "reason": f"REASON_{verdict.reason.name}",
            "issuer": verdict.issuer_name,
            "rule": answer.rule,
        }
    claims = verdict.claims
    return {
        "issuer": verdict.issuer_name,
        "consumer": verdict.consumer.name if verdict.consumer else "",
        "subject": claims.get("sub", ""),
        "token_id": claims.get("jti", ""),
        "key_id": verdict.key_id,
        "scopes": list(verdict.scopes),
        "rule": answer.rule,
        "claims": dict(claims),
    }
