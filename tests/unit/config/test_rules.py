import subprocess
import sys
from typing import Any

import pytest

from sidecar.authorization.path import Parameters
from sidecar.authorization.policy import Policy
from sidecar.authorization.rules import DEFAULT, Passage, Rule
from sidecar.config.policy import policy_of
from tests.unit.config.folder import Folder
from tests.unit.config.test_authorization import authorized

ISSUERS = [
    {
        "name": "corp",
        "issuer": "https://corp.example",
        "keys": {"discovery": True},
        "audiences": "*",
    },
    *(
        {"name": name, "issuer": "*", "keys": {"url": "https://k.example/"}, "audiences": "*"}
        for name in ("open", "wide")
    ),
]


def ruled(*rules: Any) -> dict[str, Any]:
    return {**authorized(rules=list(rules)), "issuers": ISSUERS}


def policy(folder: Folder, *rules: Any) -> Policy:
    return policy_of(folder.load(ruled(*rules)).settings)


def found(folder: Folder, rule: dict[str, Any], path: str = "/") -> Rule:
    return policy(folder, rule).rules.find("GET", "h", path)


def test_without_rules_every_request_needs_a_token(folder: Folder) -> None:
    assert policy(folder).rules.find("GET", "h", "/") is DEFAULT


@pytest.mark.parametrize(
    ("rule", "passage"),
    [
        pytest.param({"match": {}, "allow": "anonymous"}, Passage.ANONYMOUS, id="anonymous"),
        pytest.param({"match": {}, "allow": "optional"}, Passage.OPTIONAL, id="optional"),
        pytest.param({"deny": True}, Passage.NONE, id="deny, everywhere"),
        pytest.param({"require": {"scopes": ["a"]}}, Passage.TOKEN, id="require, everywhere"),
        pytest.param({"name": "any"}, Passage.TOKEN, id="nothing: any token"),
    ],
)
def test_how_requests_pass(folder: Folder, rule: dict[str, Any], passage: Passage) -> None:
    assert found(folder, rule).passage is passage


def test_everything_of_a_rule_arrives(folder: Folder) -> None:
    rule = found(
        folder,
        {
            "name": "admin",
            "match": {
                "hosts": ["h", "*.H.example"],
                "path_prefix": "/admin/",
                "methods": ["GET", "DELETE"],
            },
            "require": {
                "issuers": ["corp", "open"],
                "audiences": ["admin"],
                "scopes": ["admin:write"],
                "claims": {"realm_access.roles": ["admin"]},
                "condition": 'claims.tenant == request.headers["x-tenant"]',
            },
            "addresses": {"deny": ["192.0.2.0/24"]},
        },
        "/admin/x",
    )
    assert (rule.title, rule.name, rule.passage) == ("rule admin", "admin", Passage.TOKEN)
    assert rule.demand is not None
    assert rule.demand.audiences == ("admin",)
    assert rule.demand.scopes == ("admin:write",)
    assert rule.demand.claims[0].path == "realm_access.roles"
    assert rule.demand.issuers == frozenset({"corp", "open"})
    assert rule.demand.consumers is None
    assert rule.demand.open_issuer == "open"
    assert rule.condition is not None
    assert rule.addresses is not None
    assert rule.addresses.problem("192.0.2.1") is not None


def test_a_rule_without_a_name_is_called_by_its_place(folder: Folder) -> None:
    assert found(folder, {"deny": True}).title == "authorization.rules[0]"


@pytest.mark.parametrize(
    ("rule", "messages"),
    [
        pytest.param({"match": {"path": "/caf\u00e9"}, "deny": True}, [], id="beyond ASCII"),
        pytest.param({"match": {"path": "*"}, "deny": True}, [], id="the server itself"),
        pytest.param({"match": {"path": ["/a", "/b"]}, "deny": True}, [], id="several paths"),
        pytest.param(
            {"match": {"path": "a"}, "deny": True},
            ['match.path: is "a"; it must begin with a slash'],
            id="a path without a slash",
        ),
        pytest.param(
            {"match": {"path_prefix": "/a/../"}, "deny": True},
            [
                'match.path_prefix: is "/a/../"; it has a dot segment; write the path that it '
                "leads to"
            ],
            id="a prefix with a dot segment",
        ),
        pytest.param(
            {"match": {"path": "/admin/*"}, "deny": True},
            [
                'match.path: is "/admin/*"; it has *, which stands for itself here; use '
                "path_prefix for everything below a path, or path_regex for a pattern"
            ],
            id="a glob",
        ),
        pytest.param(
            {"match": {"path_prefix": ["/a", "/api/*/internal"]}, "deny": True},
            [
                'match.path_prefix[1]: is "/api/*/internal"; it has *, which stands for itself '
                "here; use path_prefix for everything below a path, or path_regex for a pattern"
            ],
            id="a glob in a list",
        ),
        pytest.param(
            {"match": {"path": "/a", "path_prefix": "/b"}, "deny": True},
            ["match: has path and path_prefix, which are each a way to match the path; keep one"],
            id="two ways to match the path",
        ),
        pytest.param(
            {"match": {"path_regex": "/a"}, "deny": True},
            [
                "match.path_regex: must begin with ^, so that it is plain where it matches, as "
                '"^/v[0-9]+/"'
            ],
            id="a regex that is not tied to the beginning",
        ),
        pytest.param(
            {"match": {"path_regex": "^/a("}, "deny": True},
            [
                "match.path_regex: is no regular expression in RE2's syntax: missing ): ^/a(",
            ],
            id="no regex",
        ),
        pytest.param(
            {"match": {"path_regex": r"^/(a)\1"}, "deny": True},
            [
                "match.path_regex: is no regular expression in RE2's syntax: invalid escape "
                r"sequence: \1",
            ],
            id="a regex that takes for ever",
        ),
        pytest.param(
            {"match": {"hosts": ["h:80"]}, "deny": True},
            ["match.hosts[0]: must be a host without port and final dot; write h"],
            id="a host with a port",
        ),
        pytest.param(
            {"match": {"hosts": ["*"]}, "deny": True},
            [
                "match.hosts[0]: must be a host, or one after *. for all below it; it is the text "
                '"*"'
            ],
            id="a star for every host",
        ),
        pytest.param(
            {"match": {"methods": ["get"]}, "deny": True},
            ['match.methods[0]: must be a method in capitals, such as GET; it is the text "get"'],
            id="a method in small letters",
        ),
        pytest.param(
            {"match": {}, "allow": "anonymous", "deny": True},
            [": has allow and deny, of which a rule does one; make two rules of it"],
            id="two things at once",
        ),
        pytest.param({"deny": False}, ["deny: must be true; it is false"], id="not denied"),
        pytest.param(
            {"allow": "anonymous"},
            [
                "allow: would let every request pass without a token; say for which (match), or "
                "match: {} if that is meant"
            ],
            id="everybody, by mistake",
        ),
        pytest.param(
            {"require": {"condition": "claims.a = 1"}},
            ["require.condition: column 10: Syntax error: token recognition error at: '= '"],
            id="a condition that is none",
        ),
        pytest.param(
            {"require": {"issuers": ["crop"], "consumers": ["nobody"]}},
            [
                'require.consumers[0]: no consumer has the name "nobody"; known are *',
                'require.issuers[0]: no issuer has the name "crop"; did you mean "corp"?',
            ],
            id="parties that are not there",
        ),
        pytest.param(
            {"require": {"issuers": ["open", "wide"]}},
            ['require.issuers: has open, wide, which each take any iss ("*"); keep one of them'],
            id="two issuers of any iss",
        ),
        pytest.param(
            {"require": {"claims": {"a": []}}},
            ['require.claims: "a" must be a string, number, boolean or null, or an array of these'],
            id="a claim without values",
        ),
        pytest.param(
            {"addresses": {"allow": ["10.0.0.1/8"]}, "deny": True},
            [
                "addresses.allow[0]: must have no bits set behind the first 8: write 10.0.0.0/8 "
                'for the network, or 10.0.0.1 for the one address; it is the text "10.0.0.1/8"'
            ],
            id="a network with bits of a host",
        ),
    ],
)
def test_what_is_wrong_with_a_rule(
    folder: Folder, rule: dict[str, Any], messages: list[str]
) -> None:
    problems = [one.partition("authorization.rules[0]")[2] for one in folder.problems(ruled(rule))]
    assert problems == [one if one.startswith(":") else f".{one}" for one in messages]


def test_names_of_rules_are_distinct(folder: Folder) -> None:
    (problem,) = folder.problems(ruled({"name": "a", "deny": True}, {"name": "a"}))
    assert problem.endswith(
        'authorization.rules[1].name: name "a" is taken by authorization.rules[0].name in line 1; '
        "choose another"
    )


ADMIN = {"match": {"path_prefix": "/admin"}, "deny": True}


@pytest.mark.parametrize(
    ("rules", "place", "earlier"),
    [
        pytest.param([{"match": {}}, ADMIN], "[1].match", "[0]", id="behind everything"),
        pytest.param(
            [{"name": "all", "require": {}}, ADMIN], "[1].match", "[0] (all)", id="behind no match"
        ),
        pytest.param(
            [
                {"match": {"path_prefix": "/"}, "allow": "anonymous"},
                {"match": {"path": "/x"}},
                ADMIN,
            ],
            "[1].match",
            "[0]",
            id="behind the root",
        ),
        pytest.param(
            [ADMIN, {"match": {"path": ["/x", "/admin/users"]}, "deny": True}],
            "[1].match.path[1]",
            "[0]",
            id="one path of two",
        ),
        pytest.param([{}, {"deny": True}], "[1].match", "[0]", id="two for all requests"),
        pytest.param(
            [{"match": {}}, {"name": "admin", "match": {}, "deny": True}],
            "[1].match",
            "[0]",
            id="a name helps only without match",
        ),
    ],
)
def test_a_rule_that_is_never_reached_is_an_error(
    folder: Folder, rules: list[Any], place: str, earlier: str
) -> None:
    problem = folder.problems(ruled(*rules))[0]
    assert problem.endswith(
        f"authorization.rules{place}: is never reached: authorization.rules{earlier} and the rules "
        "before it match every request that it does; put it before them or remove it"
    )


def test_a_rule_that_routes_name_may_stand_behind_one_for_all_requests(folder: Folder) -> None:
    rules = policy(folder, {"match": {}}, {"name": "admin", "deny": True}).rules
    found = rules.named("admin")
    assert found is not None
    assert found.passage is Passage.NONE


@pytest.mark.parametrize("method", ["M-SEARCH", "X", "PRI"])
def test_a_method_of_a_rule_is_a_token_without_lower_case(folder: Folder, method: str) -> None:
    rule = {"match": {"methods": [method]}, "deny": True}
    assert policy(folder, rule).rules.find(method, "h", "/").passage is Passage.NONE


@pytest.mark.parametrize(
    ("setting", "meaning"),
    [(None, Parameters.REFUSE), *((one.value, one) for one in Parameters)],
)
def test_what_parameters_of_a_path_mean(
    folder: Folder, setting: str | None, meaning: Parameters
) -> None:
    paths = {"paths": {"parameters": setting}} if setting else {}
    settings = folder.load({**authorized(**paths), "issuers": ISSUERS}).settings
    assert policy_of(settings).path_parameters is meaning


def test_rules_are_shown_as_they_were_written(folder: Folder) -> None:
    rule = {
        "match": {"path_regex": "^/a", "hosts": ["h"]},
        "require": {"condition": "claims.a == 1"},
    }
    shown = folder.load(ruled(rule)).settings.model_dump(mode="json", exclude_none=True)
    (only,) = shown["authorization"]["rules"]
    assert only["match"] == {"path_regex": "^/a", "hosts": ["h"]}
    assert only["require"] == {"condition": "claims.a == 1", "claims": {}}


def test_a_configuration_without_rules_loads_neither_cel_nor_re2() -> None:
    asked = "import sys, sidecar.serve, sidecar.api.ext_authz; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", asked], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "sidecar.authorization.rules" in loaded
    assert not {"re2", "cel_expr_python"} & set(loaded)
