"""Settings into the policy by which HTTP requests are authorized."""

from collections.abc import Mapping
from dataclasses import replace

from sidecar.authorization.path import Parameters
from sidecar.authorization.policy import (
    CookieSource,
    Forward,
    ForwardedClaim,
    HeaderSource,
    Policy,
    QuerySource,
    Source,
)
from sidecar.authorization.rules import Passage, Rule, Rules
from sidecar.config import authorization, rules
from sidecar.config.settings import Settings
from sidecar.token.claims import required_claims
from sidecar.token.request import Demand


def policy_of(settings: Settings) -> Policy:
    """The policy that the settings ask for."""
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
        configured.dynamic_metadata,
        configured.on_outage == "error",
        configured.client_address.trusted_hops,
        configured.client_certificate == "x-forwarded-client-cert",
        Parameters(configured.paths.parameters),
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
        audiences=require.audiences or (),
        scopes=require.scopes or (),
        claims=required_claims(require.claims),
        demand=_demand(title, require, open_issuers),
        condition=require.condition.expression if require.condition else None,
    )


def _demand(title: str, require: rules.Require, open_issuers: Mapping[str, bool]) -> Demand | None:
    if require.issuers is None and require.consumers is None:
        return None
    named = require.issuers or ()
    return Demand(
        title,
        None if require.issuers is None else frozenset(named),
        None if require.consumers is None else frozenset(require.consumers),
        next((name for name in named if open_issuers.get(name)), ""),
    )
