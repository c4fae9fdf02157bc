"""Settings into the policy by which HTTP requests are authorized."""

from collections.abc import Mapping
from dataclasses import replace

from sidecar.authorization.denial import Details
from sidecar.authorization.path import Parameters
from sidecar.authorization.policy import (
    CookieSource,
    Forward,
    ForwardedClaim,
    HeaderSource,
    Policies,
    Policy,
    QuerySource,
    Source,
)
from sidecar.authorization.rules import Passage, Rule, Rules
from sidecar.config import authorization, rules
from sidecar.config.settings import Settings
from sidecar.token.claims import required_claims
from sidecar.token.request import Demand


def policies_of(settings: Settings) -> Policies:
    """Return the policies of the listeners: what denials say depends on who reaches them."""
    policy = policy_of(settings)
    denied = settings.authorization.denied if settings.authorization else None
    if denied and denied.details:
        policy = replace(policy, details=Details(denied.details))
        return Policies(policy, policy)
    return Policies(policy, replace(policy, details=Details.REASON))


def policy_of(settings: Settings) -> Policy:
    """Return the policy that the settings ask for, whose denials say everything."""
    configured = settings.authorization
    if configured is None:
        return Policy()
    forward = configured.forward
    open_issuers = {one.name: one.issuer == "*" for one in settings.issuers}
    return Policy(
        tuple(_source(one) for one in configured.token_from),
        Rules(
            (one.match.to_match(), _rule(one, index, open_issuers))
            for index, one in enumerate(configured.rules)
        ),
        Forward(
            {name: ForwardedClaim(one.claim, one.keys) for name, one in forward.headers.items()},
            forward.payload_header or "",
            forward.consumer_header or "",
            forward.label_headers,
            forward.remove_token,
        ),
        configured.denied.realm,
        configured.denied.body == "json",
        dynamic_metadata=configured.dynamic_metadata,
        fails_on_outage=configured.on_outage == "error",
        trusted_hops=configured.client_address.trusted_hops,
        certificate_header_trusted=configured.client_certificate == "x-forwarded-client-cert",
        path_parameters=Parameters(configured.paths.parameters),
    )


def _source(configured: authorization.TokenSource) -> Source:
    if configured.header:
        return HeaderSource(configured.header, configured.prefix)
    if configured.query:
        return QuerySource(configured.query)
    return CookieSource(configured.cookie or "")


def _rule(configured: rules.Rule, index: int, open_issuers: Mapping[str, bool]) -> Rule:
    title = f"rule {configured.name}" if configured.name else f"authorization.rules[{index}]"
    passage = Passage.NONE if configured.deny else Passage(configured.allow or "token")
    addresses = configured.addresses.rules if configured.addresses else None
    rule = Rule(title, configured.name or "", passage, addresses=addresses)
    require = configured.require
    if require is None:
        return rule
    return replace(
        rule,
        demand=_demand(title, require, open_issuers),
        condition=require.condition.expression if require.condition else None,
    )


def _demand(title: str, require: rules.Require, open_issuers: Mapping[str, bool]) -> Demand:
    named = require.issuers or ()
    return Demand(
        title,
        None if require.issuers is None else frozenset(named),
        None if require.consumers is None else frozenset(require.consumers),
        next((name for name in named if open_issuers.get(name)), ""),
        require.audiences or (),
        require.scopes or (),
        required_claims(require.claims),
    )
