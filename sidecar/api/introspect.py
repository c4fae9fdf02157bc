"""/introspect: what a token says, for who has it and can't ask over gRPC (RFC 7662).

It uses nothing up: whether a token that passes once was used is for the call that uses it.
"""

import json
import logging
from time import perf_counter
from typing import Any, Final
from urllib.parse import parse_qs

from aiohttp import web

from sidecar.decision_log import About
from sidecar.engine import FAILED, Engine
from sidecar.token.reason import CallFailed, ErrorReason, Reason
from sidecar.token.request import Refusal, Request, Verdict, Verified

_FORM: Final = "application/x-www-form-urlencoded"
_MOST_BYTES: Final = 64 * 1024
_MOST_FIELDS: Final = 20
_NO_STORE: Final = {"cache-control": "no-store"}
_UNKNOWN: Final = frozenset({Reason.KEYS_UNAVAILABLE, Reason.STATE_UNAVAILABLE})

log = logging.getLogger(__name__)


class Introspection:
    """The endpoint on one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def answer(self, request: web.Request) -> web.Response:
        """Whether the token in the form is active, and what it says; never raises."""
        began = perf_counter()
        try:
            token = await _token(request)
            verdict = await self._judged(token)
        except _BadRequest as bad:
            body = {"error": "invalid_request", "error_description": str(bad)}
            return _json(body, 400)
        except Exception:
            log.exception("an introspection failed")
            verdict = FAILED
        peer = request.remote or ""
        self._engine.decided(
            "http",
            verdict,
            perf_counter() - began,
            lambda: About(peer, request.method, request.path),
        )
        return _answered(verdict)

    async def _judged(self, token: str) -> Verdict:
        try:
            return (await self._engine.explain(Request(token))).verdict
        except CallFailed as failure:
            if failure.reason is not ErrorReason.LIMIT_EXCEEDED:
                raise
            return Refusal(Reason.STATE_UNAVAILABLE, failure.message)


class _BadRequest(Exception):
    """What was sent is no introspection request; the message says why."""


async def _token(request: web.Request) -> str:
    """The one token of the form (RFC 7662, section 2.1)."""
    if request.content_type != _FORM:
        raise _BadRequest(f"the body must be {_FORM}")
    data = await request.content.read(_MOST_BYTES + 1)
    while len(data) <= _MOST_BYTES and not request.content.at_eof():
        data += await request.content.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise _BadRequest(f"the body has more than {_MOST_BYTES} bytes")
    try:
        fields = parse_qs(data.decode("ascii"), max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise _BadRequest("the body is no form of a few fields") from None
    tokens = fields.get("token", [])
    if len(tokens) != 1:
        raise _BadRequest("the form must have one field token")
    return tokens[0]


def _answered(verdict: Verdict) -> web.Response:
    """A refusal says no more than that (section 2.2); what is not known is no refusal."""
    if isinstance(verdict, Verified):
        return _json(_described(verdict), 200)
    if verdict.reason in _UNKNOWN:
        body = {"error": "temporarily_unavailable", "error_description": verdict.message}
        return _json(body, 503, {"retry-after": "1"})
    return _json({"active": False}, 200)


def _described(verified: Verified) -> dict[str, Any]:
    """The token's own claims, and over them what the sidecar says of it."""
    said: dict[str, Any] = {**verified.claims, "active": True, "token_type": "Bearer"}
    said.pop("scope", None)
    if verified.scopes:
        said["scope"] = " ".join(verified.scopes)
    if verified.consumer:
        said["client_id"] = verified.consumer.name
    return said


def _json(body: dict[str, Any], status: int, more: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        text=json.dumps(body),
        status=status,
        content_type="application/json",
        headers={**_NO_STORE, **(more or {})},
    )
