"""What a rule demands of the party that a token is from."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from sidecar.token.claims import RequiredClaim
from sidecar.token.reason import Reason
from sidecar.token.request import Demand, Refusal
from sidecar.token.snapshot import Consumer
from tests.authors import STRANGER, key_set
from tests.refusals import Never
from tests.tokens import (
    ABSENT,
    JACK,
    JACK_KEY,
    assert_passes,
    assert_refused,
    consumer,
    consumers,
    issuer,
    judge,
    mint,
)

OPEN = issuer("open", None, key_set(STRANGER))
JILL = consumer("jill", STRANGER, "jill-key")
PARTIES = (issuer(), OPEN, consumers(consumer("jack", JACK)))
OF_CORP = mint()
OF_JACK = mint(JACK, iss=ABSENT, key=JACK_KEY)
OF_NOBODY_KNOWN = mint(STRANGER, iss="https://elsewhere.example")


def demand(
    issuers: list[str] | None = None, consumers: list[str] | None = None, open_issuer: str = ""
) -> Demand:
    return Demand(
        "rule admin",
        None if issuers is None else frozenset(issuers),
        None if consumers is None else frozenset(consumers),
        open_issuer,
    )


@pytest.mark.parametrize(
    ("token", "needs"),
    [
        pytest.param(OF_CORP, demand(), id="an issuer, where nobody is named"),
        pytest.param(OF_JACK, demand(), id="a consumer, where nobody is named"),
        pytest.param(OF_CORP, demand(issuers=["corp"]), id="the issuer that is named"),
        pytest.param(OF_CORP, demand(issuers=["x", "corp"], consumers=["y"]), id="one of them"),
        pytest.param(OF_JACK, demand(consumers=["jack"]), id="the consumer that is named"),
        pytest.param(OF_JACK, demand(consumers=["*"]), id="any consumer"),
        pytest.param(OF_JACK, demand(issuers=["x"], consumers=["jack"]), id="or the consumer"),
        pytest.param(
            OF_NOBODY_KNOWN,
            demand(issuers=["open"], open_issuer="open"),
            id="an issuer of any iss, since it is named",
        ),
        pytest.param(
            mint(STRANGER),
            demand(issuers=["open"], open_issuer="open"),
            id="an issuer of any iss, also the iss of another",
        ),
        pytest.param(
            OF_CORP,
            demand(issuers=["open", "corp"], open_issuer="open"),
            id="the issuer whose iss it is, beside one of any iss",
        ),
        pytest.param(
            OF_JACK,
            demand(issuers=["open"], consumers=["jack"], open_issuer="open"),
            id="the consumer, beside an issuer of any iss",
        ),
    ],
)
def test_whose_token_passes(token: str, needs: Demand) -> None:
    assert_passes(judge(token, *PARTIES, demand=needs))


def test_a_consumers_token_is_not_also_of_an_issuer_of_any_iss() -> None:
    needs = demand(issuers=["open"], consumers=["jack"], open_issuer="open")
    verified = assert_passes(judge(OF_JACK, *PARTIES, demand=needs))
    assert verified.consumer is not None
    assert verified.issuer_name == ""


@pytest.mark.parametrize(
    ("token", "needs", "reason", "words"),
    [
        pytest.param(
            OF_CORP,
            demand(issuers=["open"]),
            Reason.RULE_DENIED,
            ("issuer corp", "rule admin", 'issuer ["open"]'),
            id="another issuer",
        ),
        pytest.param(
            OF_CORP,
            demand(consumers=["*"]),
            Reason.RULE_DENIED,
            ("issuer corp", 'consumer ["*"]'),
            id="an issuer, where consumers are named",
        ),
        pytest.param(
            OF_JACK,
            demand(issuers=["corp"]),
            Reason.RULE_DENIED,
            ("consumer jack", 'issuer ["corp"]'),
            id="a consumer, where issuers are named",
        ),
        pytest.param(
            OF_JACK,
            demand(issuers=["corp"], consumers=["jill"]),
            Reason.RULE_DENIED,
            ("consumer jack", 'issuer ["corp"] or consumer ["jill"]'),
            id="another consumer",
        ),
        pytest.param(
            mint(STRANGER, iss=ABSENT, key=JACK_KEY),
            demand(consumers=["jill"]),
            Reason.ALGORITHM_NOT_ALLOWED,
            ("consumer jack",),
            id="another consumer, whose signature comes first",
        ),
        pytest.param(
            OF_NOBODY_KNOWN,
            demand(issuers=["corp"]),
            Reason.ISSUER_UNKNOWN,
            ("elsewhere",),
            id="an unknown iss, where no issuer of any iss is named",
        ),
        pytest.param(
            OF_CORP,
            demand(issuers=["open"], open_issuer="open"),
            Reason.SIGNATURE_INVALID,
            (),
            id="another issuer's key, where one of any iss is named",
        ),
    ],
)
def test_whose_token_is_refused(
    token: str, needs: Demand, reason: Reason, words: tuple[str, ...]
) -> None:
    assert_refused(judge(token, *PARTIES, demand=needs), reason, *words)


class Looking:
    """A condition that remembers what it was asked about."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []

    def why_not(
        self, header: Mapping[str, Any], claims: Mapping[str, Any], by: Consumer | None
    ) -> str:
        self.asked.append((header["alg"], claims.get("sub"), by and by.name))
        return ""


def test_a_condition_sees_the_token_and_its_consumer() -> None:
    """But not what a consumer says of itself."""
    looking = Looking()
    assert_passes(judge(OF_CORP, *PARTIES, demand=Demand("rule 1", condition=looking)))
    assert_passes(judge(OF_JACK, *PARTIES, demand=Demand("rule 1", condition=looking)))
    assert set(looking.asked) == {("ES256", "alice", None), ("HS256", None, "jack")}


def test_no_condition_sees_a_token_that_nobody_signed() -> None:
    looking = Looking()
    forged = mint(STRANGER, header={"kid": "k1", "alg": "ES256"})
    judge(forged, *PARTIES, demand=Demand("rule 1", condition=looking))
    assert looking.asked == []


def test_a_condition_that_is_not_met_is_the_last_reason_but_reuse() -> None:
    verdict = judge(mint(cnf={}), *PARTIES, demand=Demand("rule 1", condition=Never("false")))
    assert_refused(verdict, Reason.PROOF_INVALID)


ROLES = RequiredClaim("roles", ("admin",))
BAD_NEEDS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[str, ...]]] = {
    "audience": (
        {"aud": ["orders"]},
        {"audiences": ("billing",)},
        ('aud is ["orders"]', 'needs any of ["billing"]', "have the client request"),
    ),
    "claim missing": (
        {},
        {"claims": (ROLES,)},
        ('"roles" is missing', 'must be "admin"', "require.claims"),
    ),
    "claim value": (
        {"roles": ["user"]},
        {"claims": (ROLES,)},
        ('"roles" is ["user"]', 'must be "admin"', "have the issuer grant it"),
    ),
}


@pytest.mark.parametrize(("claims", "needs", "words"), BAD_NEEDS.values(), ids=list(BAD_NEEDS))
def test_what_a_rule_requires_is_denied_by_name(
    claims: dict[str, Any], needs: dict[str, Any], words: tuple[str, ...]
) -> None:
    verdict = judge(mint(**claims), demand=Demand("rule admin", **needs))
    assert_refused(verdict, Reason.RULE_DENIED, "rule admin: ", *words)
    assert isinstance(verdict, Refusal)
    assert verdict.insufficient


def test_the_scopes_of_a_rule_have_their_own_reason() -> None:
    needs = Demand("rule admin", scopes=("read", "write"))
    verdict = judge(mint(scope="read"), demand=needs)
    assert_refused(verdict, Reason.SCOPE_INSUFFICIENT, "rule admin: ", '["write"]', '["read"]')
    assert isinstance(verdict, Refusal)
    assert verdict.scopes == ("read", "write")


def test_the_audiences_of_a_rule_replace_those_of_the_issuer() -> None:
    needs = Demand("rule billing", audiences=("billing",))
    assert_passes(judge(mint(aud="billing"), demand=needs))


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        pytest.param({"aud": "elsewhere"}, Reason.AUDIENCE_MISMATCH, id="aud"),
        pytest.param({"exp": ABSENT}, Reason.CLAIM_MISSING, id="exp"),
        pytest.param({"tenant": "red"}, Reason.CLAIM_MISMATCH, id="a fixed claim"),
    ],
)
def test_what_the_issuer_requires_is_not_the_rules(claims: dict[str, Any], reason: Reason) -> None:
    world = issuer(claims=(RequiredClaim("tenant", ("blue",)),))
    needs = Demand("rule admin", claims=(ROLES,), scopes=("write",))
    verdict = judge(mint(**{"tenant": "blue", **claims}), world, demand=needs)
    assert_refused(verdict, reason)
    assert isinstance(verdict, Refusal)
    assert not verdict.insufficient


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        pytest.param({"audiences": ("billing",)}, Reason.AUDIENCE_MISMATCH, id="audiences"),
        pytest.param({"claims": {"tenant": "blue"}}, Reason.CLAIM_MISSING, id="claims"),
        pytest.param({"scopes": ("write",)}, Reason.SCOPE_INSUFFICIENT, id="scopes"),
    ],
)
def test_what_a_caller_requires_keeps_its_reason_and_is_told_apart(
    asked: dict[str, Any], reason: Reason
) -> None:
    verdict = judge(mint(), **asked)
    assert_refused(verdict, reason)
    assert isinstance(verdict, Refusal)
    assert verdict.insufficient


def test_keys_that_are_away_make_no_outage_of_a_denial() -> None:
    """Under `on_outage: error` Envoy may let an outage pass."""
    away = replace(issuer("away", "https://away.example"), keys=None)
    token = mint(iss="https://away.example")
    assert_refused(judge(token, issuer(), away), Reason.KEYS_UNAVAILABLE)
    refused = judge(token, issuer(), away, demand=demand(issuers=["corp"]))
    assert_refused(refused, Reason.RULE_DENIED, "issuer away", 'issuer ["corp"]')
