"""/check: HTTP's words in and out, for proxies that ask with a request of their own.

Every path ends in an answer, and only an admission is a 2xx: that is what lets a request through.
"""

import json
import logging
from collections.abc import Callable
from time import perf_counter
from typing import Final

from aiohttp import web

from sidecar.api.about import about_http
from sidecar.authorization.admission import Admission
from sidecar.authorization.authorizer import Answer, authorize, denied
from sidecar.authorization.denial import Denial, Details
from sidecar.authorization.forwarded import Undescribed, described, ensure_changeable, for_upstream
from sidecar.authorization.http_request import MOST_HEADER_BYTES, HttpRequest
from sidecar.authorization.policy import Policy
from sidecar.engine import FAILED, Engine

_NO_QUESTION: Final = "the request can't be checked as the proxy describes it"
"""Sent if `denied.details` hides the problem: it may lie in the proxy's configuration."""
_NO_STORE: Final = {"cache-control": "no-store"}

log = logging.getLogger(__name__)


class Check:
    """The check on one engine and the policy that holds at the time."""

    def __init__(self, engine: Engine, policy: Callable[[], Policy]) -> None:
        self._engine = engine
        self._policy = policy
        self._complained: set[str] = set()

    async def answer(self, request: web.Request) -> web.Response:
        """Whether the request that the proxy describes may pass; never raises."""
        policy = self._policy()
        try:
            if _header_bytes(request) > MOST_HEADER_BYTES:
                problem = f"the headers have more than {MOST_HEADER_BYTES} bytes; send fewer"
                return _refused(431, problem, policy)
            return await self._decided(request, policy)
        except Undescribed as undescribed:
            return self._bad_request(str(undescribed), policy)
        except Exception:
            log.exception("a check over HTTP failed")
            return _denied(denied(FAILED, policy).outcome)

    async def _decided(self, request: web.Request, policy: Policy) -> web.Response:
        asked = described(_headers(request))
        ensure_changeable(asked, policy)
        outcome = (await self._authorized(asked, policy)).outcome
        if not isinstance(outcome, Admission):
            return _denied(outcome)
        self._engine.note_left_out(outcome.left_out)
        return web.Response(headers={**for_upstream(outcome, asked, policy), **_NO_STORE})

    async def _authorized(self, asked: HttpRequest, policy: Policy) -> Answer:
        """The answer, which is counted also where it is an error of ours."""
        began = perf_counter()
        try:
            answer = await authorize(asked, policy, self._engine.decide_or_refuse)
        except Exception:
            log.exception("a check over HTTP failed")
            answer = denied(FAILED, policy)
        seconds = perf_counter() - began
        self._engine.decided(
            "http", answer.verdict, seconds, lambda: about_http(asked, policy, answer.rule)
        )
        return answer

    def _bad_request(self, problem: str, policy: Policy) -> web.Response:
        """What is wrong with the proxy is logged, but a client that tries it fills no log."""
        if problem not in self._complained:
            self._complained.add(problem)
            log.warning("/check: %s (this is logged once)", problem)
        return _refused(400, problem, policy)


def _header_bytes(request: web.Request) -> int:
    return sum(len(name) + len(value) for name, value in request.raw_headers)


def _headers(request: web.Request) -> dict[str, tuple[str, ...]]:
    headers: dict[str, tuple[str, ...]] = {}
    for raw_name, raw_value in request.raw_headers:
        name = raw_name.decode("latin-1").lower()
        headers[name] = (*headers.get(name, ()), raw_value.decode("utf-8", "replace"))
    return headers


def _denied(outcome: Admission | Denial) -> web.Response:
    """The denial; an admission in its place would be an error of ours, and passes nothing."""
    if isinstance(outcome, Admission):
        return web.Response(status=503, headers=_NO_STORE)
    return web.Response(
        status=outcome.http_status, headers={**outcome.headers, **_NO_STORE}, text=outcome.body
    )


def _refused(status: int, problem: str, policy: Policy) -> web.Response:
    """The refusal of what is no question: there is no reason for it in the contract."""
    if not policy.json_body or policy.details is Details.NONE:
        return web.Response(status=status, headers=_NO_STORE)
    told = problem if policy.details is Details.FULL else _NO_QUESTION
    body = {"error": "bad_request", "message": told}
    return web.Response(
        status=status,
        headers=_NO_STORE,
        content_type="application/json",
        text=json.dumps(body),
    )
