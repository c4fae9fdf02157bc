"""The decision on an HTTP request, for every proxy alike."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from sidecar.authorization.admission import Admission, admit
from sidecar.authorization.credentials import find_credential, places
from sidecar.authorization.denial import Denial, deny
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.policy import Policy
from sidecar.token.reason import Reason, Refused
from sidecar.token.request import Refusal, Request, Verdict

Decide = Callable[[Request], Awaitable[Verdict]]


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict on the request's token, and what the proxy does about it."""

    verdict: Verdict
    outcome: Admission | Denial


async def authorize(request: HttpRequest, policy: Policy, decide: Decide) -> Answer:
    """Whether a request may pass: it needs the token of a configured issuer or consumer."""
    try:
        credential = find_credential(request, policy.token_from)
    except Refused as refused:
        return denied(Refusal(refused.reason, refused.message), policy)
    verdict = await decide(Request(credential.token))
    if isinstance(verdict, Refusal):
        if verdict.reason is Reason.TOKEN_MISSING:
            looked = f"{verdict.message}; it is looked for in {places(policy.token_from)}"
            verdict = replace(verdict, message=looked)
        return denied(verdict, policy)
    admission = admit(verdict, policy.forward, credential.removal, request.headers)
    return Answer(verdict, admission)


def denied(refusal: Refusal, policy: Policy) -> Answer:
    """The answer that keeps a request out."""
    return Answer(refusal, deny(refusal, policy.realm, policy.json_body))
