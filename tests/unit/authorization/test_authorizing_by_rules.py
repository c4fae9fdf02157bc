"""What a request needs under the rule that it falls under, and what it is changed to."""

import re
from dataclasses import replace
from typing import Any

import pytest

from sidecar.authorization.admission import Admission
from sidecar.authorization.authorizer import Answer, authorize
from sidecar.authorization.condition import Bound, Expression
from sidecar.authorization.denial import Denial
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.path import Parameters
from sidecar.authorization.policy import (
    BEARER,
    CookieSource,
    Forward,
    ForwardedClaim,
    Policy,
    QuerySource,
)
from sidecar.authorization.rules import Match, Passage, Rule, Rules
from sidecar.token.addresses import AddressRules, Networks, network_range
from sidecar.token.claims import required_claims
from sidecar.token.reason import Reason
from sidecar.token.request import Demand, Refusal, Request, Verdict
from tests.unit.parties import verified

INSIDE = AddressRules(allow=Networks.of([network_range("10.0.0.0/8")]))
ADMIN = Rule(
    "rule admin",
    "admin",
    demand=Demand(
        "rule admin",
        frozenset({"corp"}),
        audiences=("admin",),
        scopes=("admin:write",),
        claims=required_claims({"roles": ["admin"]}),
    ),
    condition=Expression.compiled("claims.tenant == request.path"),
)
RULES = Rules(
    [
        (Match(paths=("/healthz",)), Rule("rule health", "health", Passage.ANONYMOUS)),
        (Match(path_prefixes=("/static/",)), Rule("rule static", "static", Passage.OPTIONAL)),
        (
            Match(path_regex=re.compile("^/internal/"), regex_text="^/internal/"),
            Rule("2", "", Passage.NONE),
        ),
        (
            Match(paths=("/inside",)),
            Rule("rule inside", "inside", Passage.ANONYMOUS, addresses=INSIDE),
        ),
        (Match(path_prefixes=("/admin/",)), ADMIN),
    ]
)
POLICY = Policy(
    token_from=(BEARER, QuerySource("t"), CookieSource("s")),
    rules=RULES,
    forward=Forward({"x-subject": ForwardedClaim("sub")}),
)
MISSING = Refusal(Reason.TOKEN_MISSING, "no token was presented")
EXPIRED = Refusal(Reason.EXPIRED, "expired 1 s ago", "corp")


class Judge:
    """Says what it is told of any token, and that none is missing; remembers what it was asked."""

    def __init__(self, verdict: Verdict) -> None:
        self._verdict = verdict
        self.asked: list[Request] = []

    async def decide(self, asked: Request) -> Verdict:
        self.asked.append(asked)
        return self._verdict if asked.token else MISSING


async def answered(
    target: str, verdict: Verdict | None = None, headers: Any = None, **fields: Any
) -> Answer:
    judge = Judge(verdict or verified())
    request = HttpRequest("GET", "h", target, headers or {}, **fields)
    return await authorize(request, POLICY, judge.decide)


WITH_TOKEN = {"authorization": ("Bearer a.b.c",)}
TWO_PROOFS = {"dpop": ("x", "y")}


@pytest.mark.parametrize(
    ("target", "headers", "verdict", "reason"),
    [
        pytest.param("/healthz", {}, None, None, id="anonymous: no token"),
        pytest.param("/healthz", TWO_PROOFS, None, None, id="anonymous: two proofs of no token"),
        pytest.param("/healthz", WITH_TOKEN, None, None, id="anonymous: a good token"),
        pytest.param("/healthz", WITH_TOKEN, EXPIRED, Reason.EXPIRED, id="anonymous: a bad one"),
        pytest.param(
            "/healthz?t=x", WITH_TOKEN, None, Reason.TOKEN_MALFORMED, id="anonymous: two tokens"
        ),
        pytest.param("/static/a", {}, None, None, id="optional: no token"),
        pytest.param("/static/a", WITH_TOKEN, EXPIRED, None, id="optional: a bad token is none"),
        pytest.param("/static/a?t=x", WITH_TOKEN, None, None, id="optional: two tokens are none"),
        pytest.param("/internal/a", WITH_TOKEN, None, Reason.RULE_DENIED, id="denied"),
        pytest.param("/other", {}, None, Reason.TOKEN_MISSING, id="no rule: a token is needed"),
        pytest.param("/other", WITH_TOKEN, None, None, id="no rule: any token"),
        pytest.param("/admin/", {}, None, Reason.TOKEN_MISSING, id="require: no token"),
        pytest.param("//healthz", {}, None, Reason.RULE_DENIED, id="a slash too many"),
        pytest.param("/static//a", {}, None, Reason.RULE_DENIED, id="one below an open path"),
        pytest.param("/x%2F..%2Finternal/a", WITH_TOKEN, None, Reason.RULE_DENIED, id="decoded"),
        pytest.param("/static/../internal/a", {}, None, Reason.RULE_DENIED, id="resolved"),
        pytest.param("/x/../healthz", {}, None, Reason.RULE_DENIED, id="nothing opens by .."),
        pytest.param("/x/../y", WITH_TOKEN, None, None, id="a .. that makes no difference"),
        pytest.param("/healthz%00", {}, None, Reason.RULE_DENIED, id="no path"),
        pytest.param("/healthz%252f", WITH_TOKEN, None, Reason.RULE_DENIED, id="no one path"),
        pytest.param("/inside", {}, None, Reason.ADDRESS_DENIED, id="an address is needed"),
        pytest.param("http://h/healthz", {}, None, Reason.RULE_DENIED, id="absolute form"),
    ],
)
async def test_who_passes(
    target: str, headers: Any, verdict: Verdict | None, reason: Reason | None
) -> None:
    answer = await answered(target, verdict, headers)
    if reason is None:
        assert isinstance(answer.outcome, Admission)
        assert not isinstance(answer.verdict, Refusal)
    else:
        assert isinstance(answer.outcome, Denial)
        assert isinstance(answer.verdict, Refusal)
        assert answer.verdict.reason is reason


@pytest.mark.parametrize(
    ("address", "passes"),
    [
        pytest.param("10.1.2.3", True, id="inside"),
        pytest.param("11.0.0.1", False, id="outside"),
        pytest.param("", False, id="unknown"),
    ],
)
async def test_addresses_hold_without_a_token_too(address: str, passes: bool) -> None:
    answer = await answered("/inside", source_address=address)
    assert isinstance(answer.outcome, Admission) is passes


async def test_who_passes_without_a_token_is_nobody_upstream() -> None:
    answer = await answered("/healthz", headers={"x-subject": ("root",), "x_subject": ("root",)})
    assert answer.outcome == Admission({}, ("x-subject", "x_subject"))
    assert (answer.verdict, answer.rule) == (None, "health")


@pytest.mark.parametrize("remove_token", [True, False])
async def test_an_optional_token_that_counts_as_none_is_not_seen_upstream(
    remove_token: bool,
) -> None:
    headers = {**WITH_TOKEN, "cookie": ("s=1; other=2",)}
    policy = replace(POLICY, forward=replace(POLICY.forward, remove_token=remove_token))
    request = HttpRequest("GET", "h", "/static/a?t=x&u=1", headers)
    answer = await authorize(request, policy, Judge(EXPIRED).decide)
    assert answer.outcome == Admission(
        {"cookie": "other=2"}, ("authorization", "x-subject"), ("t",)
    )


async def test_what_a_rule_requires_is_asked_of_the_token() -> None:
    judge = Judge(verified())
    request = HttpRequest("GET", "h", "/admin/%40a", WITH_TOKEN, source_address="10.0.0.1")
    await authorize(request, POLICY, judge.decide)
    (asked,) = judge.asked
    assert (asked.token, asked.client_address) == ("a.b.c", "10.0.0.1")
    assert (asked.audiences, asked.scopes, asked.claims) == ((), (), ())
    assert asked.demand is not None
    assert isinstance(asked.demand.condition, Bound)
    assert replace(asked.demand, condition=None) == ADMIN.demand
    assert asked.demand.condition.why_not({}, {"tenant": "/admin/@a"}, None) == ""


async def test_a_condition_may_be_all_that_a_rule_requires() -> None:
    judge = Judge(verified())
    rule = Rule("rule tenant", condition=ADMIN.condition)
    policy = replace(POLICY, rules=Rules([(Match(), rule)]))
    await authorize(HttpRequest("GET", "h", "/a", WITH_TOKEN), policy, judge.decide)
    (asked,) = judge.asked
    assert asked.demand is not None
    assert replace(asked.demand, condition=None) == Demand("rule tenant")
    assert isinstance(asked.demand.condition, Bound)


GUARDED = Rules(
    [
        (Match(path_prefixes=("/internal",)), Rule("rule internal", "", Passage.NONE)),
        (
            Match(path_prefixes=("/admin",)),
            Rule("rule admin", "admin", demand=Demand("rule admin", scopes=("admin:write",))),
        ),
        (Match(path_prefixes=("/public",)), Rule("rule public", "", Passage.ANONYMOUS)),
        (
            Match(paths=("/orders",)),
            Rule("rule orders", demand=Demand("rule orders", scopes=("orders",))),
        ),
        (
            Match(path_prefixes=("/own",)),
            Rule("rule own", condition=Expression.compiled('request.path == "/own/a"')),
        ),
        (
            Match(path_prefixes=("/blue",)),
            Rule("rule blue", condition=Expression.compiled('claims.tenant == "blue"')),
        ),
    ]
)


async def guarded(method: str = "GET", target: str = "/", rule: str = "", **fields: Any) -> Answer:
    judge = Judge(verified())
    request = HttpRequest(method, "h", target, WITH_TOKEN, rule=rule)
    return await authorize(request, Policy(rules=GUARDED, **fields), judge.decide)


def why_denied(answer: Answer) -> str:
    assert isinstance(answer.verdict, Refusal)
    assert answer.verdict.reason is Reason.RULE_DENIED
    assert isinstance(answer.outcome, Denial)
    return answer.verdict.message


@pytest.mark.parametrize(
    ("target", "mark"),
    [
        pytest.param("/internal;x/secret", "has ;", id="parameters of a rule's segment"),
        pytest.param("/internal;/secret", "has ;", id="empty parameters"),
        pytest.param("/admin;x/users", "has ;", id="to servlet containers it is /admin/users"),
        pytest.param("/orders;x", "has ;", id="parameters of a whole path"),
        pytest.param("//admin/users", "has //", id="a slash too many at the start"),
        pytest.param("//x/admin/users", "has //", id="to a URL parser it is /admin/users"),
        pytest.param("/public//../admin", "//", id="an empty segment and .."),
        pytest.param("/x/../admin/users", "has ..", id="up into a rule"),
        pytest.param("/public/../orders", "has ..", id="up out of a rule"),
        pytest.param("/./admin", "has .,", id="a dot segment before a rule's segment"),
        pytest.param("/%61dmin/users", "has %61", id="an encoded letter"),
        pytest.param("/Admin/users", "ignore case", id="case"),
        pytest.param("/PUBLIC/a", "ignore case", id="case, to get in without a token"),
        pytest.param("/orders/", "slash at the end", id="a slash at the end"),
        pytest.param("/x;y/../ADMIN", "ignore case", id="several at once"),
    ],
)
async def test_a_path_that_leads_to_two_rules_is_denied(target: str, mark: str) -> None:
    assert mark in why_denied(await guarded(target=target))


@pytest.mark.parametrize(
    "target",
    [
        *("/shop/a;color=red", "/shop;x/a", "/admin/a;v=1", "/shop//a", "/a/../shop", "/shop/."),
        *("/%73hop", "/SHOP/A", "/shop/", "/public/A/", "/admin//a", "/admin/b/../a"),
        *("/publicity", "/administrators", "/shop/bob%40example.com", "/public/%C3%A9", "/a/admin"),
        *("/shop?x=/../admin", "/shop?a;b//c", "/blue/a//b"),
    ],
)
async def test_a_path_whose_readings_make_no_difference_to_the_rules_passes(target: str) -> None:
    assert isinstance((await guarded(target=target)).outcome, Admission)


@pytest.mark.parametrize("target", ["/public//a", "/public/a;v=1", "/public/./a", "/public/%61"])
async def test_only_a_path_of_one_reading_is_let_in_without_a_token(target: str) -> None:
    assert "rule public lets it in without a token" in why_denied(await guarded(target=target))


async def test_a_condition_on_the_path_needs_a_path_of_one_reading() -> None:
    message = why_denied(await guarded(target="/own//a"))
    assert "the condition of rule own depends on the path" in message
    assert "//" in message
    assert isinstance((await guarded(target="/own/%40")).outcome, Admission)


@pytest.mark.parametrize(
    "target", ["/admin;x/a", "//admin", "/a/../b", "/shop;x", "/%61", "/users%3Apurge", "/a%40b"]
)
async def test_a_route_that_names_a_rule_chose_by_a_path_of_one_reading(target: str) -> None:
    assert "a route chose rule admin by it" in why_denied(
        await guarded(target=target, rule="admin")
    )
    assert isinstance((await guarded(target="/a%C3%A9b", rule="admin")).outcome, Admission)


@pytest.mark.parametrize(
    ("parameters", "target", "passes"),
    [
        pytest.param(Parameters.REFUSE, "/internal;x/a", False, id="refuse"),
        pytest.param(Parameters.STRIP, "/internal;x/a", False, id="strip: it is the rule's path"),
        pytest.param(Parameters.STRIP, "/public;x/a", True, id="strip: it is the open path"),
        pytest.param(Parameters.KEEP, "/internal;x/a", True, id="keep: it is another path"),
        pytest.param(Parameters.KEEP, "/x/..;/internal/a", False, id="keep: dots all the same"),
        pytest.param(Parameters.STRIP, "/x/..;/public/a", False, id="strip: dots all the same"),
    ],
)
async def test_a_setting_says_what_parameters_of_segments_mean(
    parameters: Parameters, target: str, passes: bool
) -> None:
    answer = await guarded(target=target, path_parameters=parameters)
    assert isinstance(answer.outcome, Admission) is passes


@pytest.mark.parametrize(
    ("method", "passes"),
    [
        pytest.param("GET", True, id="a method"),
        pytest.param("M-SEARCH", True, id="a method with a hyphen"),
        pytest.param("PURGE", True, id="a method of no RFC"),
        pytest.param("get", False, id="lower case"),
        pytest.param("Post", False, id="mixed case"),
        pytest.param("", False, id="none"),
        pytest.param("GET ", False, id="a space"),
        pytest.param("GET\n", False, id="a line break"),
        pytest.param("G(T", False, id="no token"),
        pytest.param("G\u00c9T", False, id="beyond ASCII"),
    ],
)
async def test_rules_need_a_method_that_all_servers_read_alike(method: str, passes: bool) -> None:
    answer = await guarded(method, "/shop")
    assert isinstance(answer.outcome, Admission) is passes
    if not passes:
        assert "method" in why_denied(answer)


async def test_without_rules_nothing_depends_on_method_and_path() -> None:
    judge = Judge(verified())
    request = HttpRequest("get", "h", "/a;b/..;/%2f", WITH_TOKEN)
    answer = await authorize(request, Policy(), judge.decide)
    assert isinstance(answer.outcome, Admission)


async def test_a_route_names_a_rule_whatever_that_matches() -> None:
    assert isinstance((await answered("/anything", rule="health")).outcome, Admission)
    answer = await answered("/healthz", rule="admin")
    assert isinstance(answer.verdict, Refusal)
    assert answer.verdict.reason is Reason.TOKEN_MISSING


@pytest.mark.parametrize("policy", [POLICY, replace(POLICY, rules=Rules())])
async def test_a_rule_that_is_not_there_lets_nobody_pass(policy: Policy) -> None:
    judge = Judge(verified())
    request = HttpRequest("GET", "h", "/healthz", WITH_TOKEN, rule="amdin")
    answer = await authorize(request, policy, judge.decide)
    assert judge.asked == []
    assert isinstance(answer.verdict, Refusal)
    assert answer.verdict.reason is Reason.RULE_DENIED
    assert '"amdin"' in answer.verdict.message


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("evil.example,h", id="two hosts"),
        pytest.param("h:80:80", id="two ports: some cut at the first colon, others at the last"),
        pytest.param("h:x", id="a port that is none"),
        pytest.param("x@h", id="a user"),
        pytest.param("h:80@evil.example", id="a user with a password"),
        pytest.param("h /", id="a space"),
        pytest.param("[::1]h", id="a name after an address"),
        pytest.param("a." * 126 + "hh.", id="more characters than a name has"),
        pytest.param("a." * 126 + "hh.:80", id="so many before a port"),
    ],
)
async def test_a_host_that_no_rule_can_be_found_for_lets_nobody_pass(host: str) -> None:
    judge = Judge(verified())
    request = HttpRequest("GET", host, "/healthz", {})
    answer = await authorize(request, POLICY, judge.decide)
    assert isinstance(answer.verdict, Refusal)
    assert answer.verdict.reason is Reason.RULE_DENIED


@pytest.mark.parametrize("host", ["a." * 120 + "admin.example", "a." * 121 + "admin.example"])
async def test_no_host_is_too_long_for_its_rule(host: str) -> None:
    rules = Rules([(Match(hosts=("*.admin.example",)), Rule("rule admin", "", Passage.NONE))])
    request = HttpRequest("GET", host, "/a", WITH_TOKEN)
    answer = await authorize(request, replace(POLICY, rules=rules), Judge(verified()).decide)
    assert isinstance(answer.outcome, Denial)


@pytest.mark.parametrize(
    ("method", "passes"),
    [
        pytest.param("OPTIONS", True, id="what asks about the server"),
        pytest.param("GET", False, id="a method that some servers answer as for a path"),
        pytest.param("POST", False, id="one that changes something"),
    ],
)
async def test_an_asterisk_is_a_target_for_options_alone(method: str, passes: bool) -> None:
    request = HttpRequest(method, "h", "*", WITH_TOKEN)
    answer = await authorize(request, POLICY, Judge(verified()).decide)
    assert isinstance(answer.outcome, Admission) is passes


async def test_a_parameter_that_is_there_often_is_taken_out_by_its_name_once() -> None:
    outcome = (await answered("/static/a?" + "t&%74=x&" * 2000)).outcome
    assert isinstance(outcome, Admission)
    assert outcome.remove_query_parameters == ("t", "%74")


@pytest.mark.parametrize("host", ["", "h", "h.", "h_1:8080", "h:", "[::1]", "[fe80::1%25eth0]:80"])
async def test_a_host_of_one_meaning_finds_its_rule(host: str) -> None:
    request = HttpRequest("GET", host, "/healthz", {})
    answer = await authorize(request, POLICY, Judge(verified()).decide)
    assert isinstance(answer.outcome, Admission)


async def test_an_outage_counts_as_no_optional_token() -> None:
    answer = await answered("/static/a", Refusal(Reason.KEYS_UNAVAILABLE, "away"), WITH_TOKEN)
    assert isinstance(answer.outcome, Admission)
