"""The decision on an HTTP request, for every proxy alike."""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final

from sidecar.authorization.admission import Admission, admit
from sidecar.authorization.client import client_address
from sidecar.authorization.credentials import Credential, Removal, find_credential, places, removal
from sidecar.authorization.denial import Denial, deny
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.path import ASTERISK, Path, parse_path, shown
from sidecar.authorization.policy import Policy
from sidecar.authorization.proof import find_proof
from sidecar.authorization.rules import (
    DEFAULT,
    MAX_HOST_LENGTH,
    Passage,
    Rule,
    Rules,
    bare_host,
    is_one_host,
)
from sidecar.token.reason import Reason, Refused
from sidecar.token.request import NO_PROOF, Demand, Proof, Refusal, Request, Verdict
from sidecar.token.words import listed, quoted

Decide = Callable[[Request], Awaitable[Verdict]]
_NO_TOKEN_NEEDED: Final = frozenset({Passage.ANONYMOUS, Passage.OPTIONAL})
_ANY_PATH: Final = Path("/")
_METHOD: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Z-]+")
"""A token (RFC 9110, section 5.6.2) without lower-case letters: some servers ignore their case."""
_COMMON_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


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
    spellings: tuple[str, ...]
    """Headers that an upstream may take for one that is protected; they are removed."""

    def question(self, policy: Policy) -> object | None:
        """What the answer depends on beside the token, as `VerifiedTokens.keep` wants it.

        None where the answer has something of this one request: a client could make up any number.
        """
        taken = self.credential.removal
        if self.proof is not NO_PROOF or self.spellings:
            return None
        if taken.query_parameters or taken.set_headers:
            return None
        return policy.mark, self.rule.mark, taken.headers


async def authorize(request: HttpRequest, policy: Policy, decide: Decide) -> Answer:
    """Whether a request may pass under the rule that it falls under."""
    asked = looked_at(request, policy)
    return asked if isinstance(asked, Answer) else await judged(asked, policy, decide)


def looked_at(request: HttpRequest, policy: Policy) -> Asked | Answer:
    """What is to be decided of a request, or the answer, where its token makes no difference."""
    try:
        spellings = policy.protected_headers.other_spellings(request.headers)
        rule, path = _rule(request, policy)
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
            return _without_token(request, rule, policy, spellings)
        return denied(_refusal(refused), policy, rule.name)
    if not credential.token and rule.passage in _NO_TOKEN_NEEDED:
        return _without_token(request, rule, policy, spellings)
    return Asked(request, rule, path, address, credential, proof, spellings)


async def judged(asked: Asked, policy: Policy, decide: Decide) -> Answer:
    """The answer that follows from the verdict on the token."""
    request, rule = asked.request, asked.rule
    verdict = await decide(_question(asked))
    if isinstance(verdict, Refusal):
        if rule.passage is Passage.OPTIONAL:
            return _without_token(request, rule, policy, asked.spellings)
        if verdict.reason is Reason.TOKEN_MISSING:
            looked = f"{verdict.message}; it is looked for in {places(policy.token_from)}"
            verdict = replace(verdict, message=looked)
        return denied(verdict, policy, rule.name)
    outcome = admit(verdict, policy.forward, asked.credential.removal, asked.spellings)
    return Answer(verdict, outcome, rule.name)


def _without_token(
    request: HttpRequest, rule: Rule, policy: Policy, spellings: tuple[str, ...]
) -> Answer:
    """The request passes; a token that counts as none goes no further."""
    is_optional = rule.passage is Passage.OPTIONAL
    taken = removal(request, policy.token_from) if is_optional else Removal()
    return Answer(None, admit(None, policy.forward, taken, spellings), rule.name)


def denied(refusal: Refusal, policy: Policy, rule: str = "") -> Answer:
    """The answer that keeps a request out."""
    return Answer(refusal, deny(refusal, policy.realm, policy.json_body, policy.details), rule)


def _rule(request: HttpRequest, policy: Policy) -> tuple[Rule, Path]:
    """Return the rule for a request; raises Refused if servers could read it in two ways."""
    if not policy.rules and not request.rule:
        return DEFAULT, _ANY_PATH
    _check_method(request.method)
    path = parse_path(request.target, policy.path_parameters)
    _check_target(request)
    _check_host(request.host)
    if request.rule:
        return _named_rule(request, policy.rules, path), path
    return _matching_rule(request, policy.rules, path), path


def _check_method(method: str) -> None:
    if method not in _COMMON_METHODS and not _METHOD.fullmatch(method):
        raise Refused(
            Reason.RULE_DENIED,
            f"no rule can be found for the method {quoted(method)}: a method is a token without "
            "lower-case letters, such as POST (RFC 9110, section 9.1)",
        )


def _check_target(request: HttpRequest) -> None:
    if request.target == ASTERISK and request.method != "OPTIONS":
        raise Refused(
            Reason.RULE_DENIED,
            f"no rule can be found for the target * with the method {quoted(request.method)}; it "
            "is for OPTIONS alone (RFC 9112, section 3.2.4)",
        )


def _check_host(host: str) -> None:
    if not is_one_host(host):
        raise Refused(
            Reason.RULE_DENIED,
            f"no rule can be found for the host {quoted(host)}, which can be read in two ways; "
            "send one Host header, of a name and at most a port",
        )
    if len(bare_host(host)) > MAX_HOST_LENGTH:
        raise Refused(
            Reason.RULE_DENIED,
            f"no rule can be found for the host {quoted(host)}, which has more than "
            f"{MAX_HOST_LENGTH} characters; no name in DNS is longer",
        )


def _named_rule(request: HttpRequest, rules: Rules, path: Path) -> Rule:
    """Return the rule that the proxy's route names.

    The route was chosen by the proxy's reading of the path, so there must be only one.
    """
    named = rules.named(request.rule)
    if named is None:
        raise Refused(
            Reason.RULE_DENIED,
            f"the route names the rule {quoted(request.rule)} (context_extensions), which is not "
            f"there; authorization.rules has {listed(rules.names)}",
        )
    # Envoy's routes don't decode %3A or %40, and most upstreams do.
    if mark := path.ambiguity or ("encoded characters" if path.other_readings else ""):
        raise _ambiguous(request, mark, f"and a route chose {named.title} by it")
    return named


def _matching_rule(request: HttpRequest, rules: Rules, path: Path) -> Rule:
    """Return the rule that every reading of the path falls under."""
    method, host = request.method, request.host
    rule = rules.find(method, host, path.text)
    for reading in path.other_readings:
        other = rules.find(method, host, reading)
        if other is not rule:
            mark = path.ambiguity or "encoded characters"
            raise _ambiguous(request, mark, f"which leads to {rule.title} or to {other.title}")
    if path.ambiguity and rule.passage in _NO_TOKEN_NEEDED:
        # A server may find no handler for /public//x, and take the one for all paths.
        raise _ambiguous(request, path.ambiguity, f"and {rule.title} lets it in without a token")
    if path.ambiguity and rule.condition and rule.condition.names("path"):
        raise _ambiguous(
            request, path.ambiguity, f"and the condition of {rule.title} depends on the path"
        )
    for reading in (path.text, *path.other_readings):
        other = rules.find_folded(method, host, reading, rule)
        if other is not rule:
            raise Refused(
                Reason.RULE_DENIED,
                f"the path {quoted(shown(request.target))} falls under {rule.title}, but under "
                f"{other.title} to servers that ignore case or a slash at the end; write the path "
                "as the rule has it",
            )
    return rule


def _ambiguous(request: HttpRequest, mark: str, consequence: str) -> Refused:
    return Refused(
        Reason.RULE_DENIED,
        f"the path {quoted(shown(request.target))} has {mark}, which servers read differently, "
        f"{consequence}; send the path without it",
    )


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
