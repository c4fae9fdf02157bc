"""The decision on an HTTP request, for every proxy alike."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from sidecar.authorization.admission import Admission, admit, alike
from sidecar.authorization.client import client_address
from sidecar.authorization.credentials import Credential, Removal, find_credential, places, removal
from sidecar.authorization.denial import Denial, deny
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.path import Path, normalized
from sidecar.authorization.policy import Policy
from sidecar.authorization.proof import find_proof
from sidecar.authorization.rules import DEFAULT, Passage, Rule, Rules, is_one_host
from sidecar.token.reason import Reason, Refused
from sidecar.token.request import NO_PROOF, Demand, Proof, Refusal, Request, Verdict, Verified
from sidecar.token.words import listed, quoted

Decide = Callable[[Request], Awaitable[Verdict]]
_NO_TOKEN_NEEDED: Final = frozenset({Passage.ANONYMOUS, Passage.OPTIONAL})
_ANY_PATH: Final = Path("/")


@dataclass(frozen=True, slots=True)
class Answer:
    """A verdict on the request's token, and what the proxy does about it."""

    verdict: Verdict | None
    """None where the request passes without a token."""
    outcome: Admission | Denial
    rule: str = ""
    """Name of the rule that the request fell under, where it has one."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request whose token is what it comes to, and all that is known of it without that."""

    request: HttpRequest
    rule: Rule
    path: Path
    client_address: str
    credential: Credential
    proof: Proof

    def question(self, policy: Policy) -> object | None:
        """What the answer depends on beside the token, as `VerifiedTokens.keep` wants it.

        None where the answer has something of this one request: a client could make up any number.
        """
        taken = self.credential.removal
        if self.proof is not NO_PROOF or taken.query_parameters or taken.set_headers:
            return None
        if alike(policy.forward, self.request.headers):
            return None
        return policy.mark, self.rule.mark, taken.headers


async def authorize(request: HttpRequest, policy: Policy, decide: Decide) -> Answer:
    """Whether a request may pass under the rule that it falls under."""
    asked = looked_at(request, policy)
    return asked if isinstance(asked, Answer) else await judged(asked, policy, decide)


def looked_at(request: HttpRequest, policy: Policy) -> Asked | Answer:
    """What is to be decided of a request, or the answer, where its token makes no difference."""
    try:
        rule, path = _rule(request, policy.rules)
    except Refused as refused:
        return denied(_refusal(refused), policy)
    if rule.passage is Passage.NONE:
        refusal = Refusal(Reason.RULE_DENIED, f"{rule.title} denies this request")
        return denied(refusal, policy, rule.name)
    address = client_address(request, policy.trusted_hops)
    if rule.addresses and (problem := rule.addresses.problem(address)):
        refusal = Refusal(Reason.ADDRESS_DENIED, f"{problem} (addresses of {rule.title})")
        return denied(refusal, policy, rule.name)
    try:
        credential = find_credential(request, policy.token_from)
        proof = find_proof(request, credential, policy.certificate_header_trusted)
    except Refused as refused:
        if rule.passage is Passage.OPTIONAL:
            return _without_token(request, rule, policy)
        return denied(_refusal(refused), policy, rule.name)
    if not credential.token and rule.passage in _NO_TOKEN_NEEDED:
        return _without_token(request, rule, policy)
    return Asked(request, rule, path, address, credential, proof)


async def judged(asked: Asked, policy: Policy, decide: Decide) -> Answer:
    """The answer that follows from the verdict on the token."""
    request, rule = asked.request, asked.rule
    verdict = await decide(_question(asked))
    if isinstance(verdict, Refusal):
        if rule.passage is Passage.OPTIONAL:
            return _without_token(request, rule, policy)
        if verdict.reason is Reason.TOKEN_MISSING:
            looked = f"{verdict.message}; it is looked for in {places(policy.token_from)}"
            verdict = replace(verdict, message=looked)
        return denied(verdict, policy, rule.name)
    return _admitted(verdict, asked.credential.removal, request, rule, policy)


def _without_token(request: HttpRequest, rule: Rule, policy: Policy) -> Answer:
    """The request passes; a token that counts as none goes no further."""
    is_optional = rule.passage is Passage.OPTIONAL
    taken = removal(request, policy.token_from) if is_optional else Removal()
    return _admitted(None, taken, request, rule, policy)


def _admitted(
    verified: Verified | None, taken: Removal, request: HttpRequest, rule: Rule, policy: Policy
) -> Answer:
    outcome = admit(verified, policy.forward, taken, alike(policy.forward, request.headers))
    return Answer(verified, outcome, rule.name)


def denied(refusal: Refusal, policy: Policy, rule: str = "") -> Answer:
    """The answer that keeps a request out."""
    return Answer(refusal, deny(refusal, policy.realm, policy.json_body, policy.details), rule)


def _rule(request: HttpRequest, rules: Rules) -> tuple[Rule, Path]:
    """The rule for a request; raises Refused where none can be found."""
    if not rules and not request.rule:
        return DEFAULT, _ANY_PATH
    path = normalized(request.target)
    if not is_one_host(request.host):
        raise Refused(
            Reason.RULE_DENIED,
            f"no rule can be found for the host {quoted(request.host)}, which can be read in two "
            "ways; send one Host header, of a name and at most a port",
        )
    if not request.rule:
        rule = rules.find(request.method, request.host, path.text)
        # An upstream that does not resolve `..` sees a path that nobody opened.
        return DEFAULT if path.climbs and rule.passage in _NO_TOKEN_NEEDED else rule, path
    named = rules.named(request.rule)
    if named is None:
        raise Refused(
            Reason.RULE_DENIED,
            f"the route names the rule {quoted(request.rule)} (context_extensions), which is not "
            f"there; authorization.rules has {listed(rules.names)}",
        )
    return named, path


def _question(asked: Asked) -> Request:
    rule, demand = asked.rule, asked.rule.demand
    if rule.condition:
        bound = rule.condition.about(asked.request, asked.path.text, asked.client_address)
        demand = replace(demand or Demand(rule.title), condition=bound)
    return Request(
        asked.credential.token,
        proof=asked.proof,
        client_address=asked.client_address,
        demand=demand,
    )


def _refusal(refused: Refused) -> Refusal:
    return Refusal(refused.reason, refused.message, dpop=refused.dpop)
