"""Scopes: how a token grants them, and that a request's are all needed."""

from typing import Any

import pytest

from sidecar.token.reason import Reason
from tests.tokens import ABSENT, assert_passes, assert_refused, issuer, judge, mint


@pytest.mark.parametrize(
    ("claims", "granted"),
    [
        pytest.param({}, (), id="none"),
        pytest.param({"scope": ""}, (), id="an empty string"),
        pytest.param({"scope": "read"}, ("read",), id="one"),
        pytest.param({"scope": "read write"}, ("read", "write"), id="a string"),
        pytest.param({"scope": "  read   write "}, ("read", "write"), id="more spaces"),
        pytest.param({"scope": ["read", "write"]}, ("read", "write"), id="an array"),
        pytest.param({"scp": ["read", "write"]}, ("read", "write"), id="scp"),
        pytest.param({"scp": "read write"}, ("read", "write"), id="scp as a string"),
        pytest.param({"scope": "read", "scp": ["write"]}, ("read",), id="both: the first counts"),
        pytest.param({"scope": "", "scp": ["write"]}, (), id="both, the first empty"),
        pytest.param({"scope": None, "scp": ["write"]}, ("write",), id="both, the first null"),
        pytest.param({"scope": "read\twrite"}, ("read\twrite",), id="only spaces separate"),
        pytest.param({"scope": "read,write"}, ("read,write",), id="commas do not"),
        pytest.param({"scp": ["read write"]}, ("read write",), id="an element is one scope"),
        pytest.param({"scopes": ["read"]}, (), id="another claim"),
    ],
)
def test_the_scopes_of_a_token(claims: dict[str, Any], granted: tuple[str, ...]) -> None:
    assert assert_passes(judge(mint(**claims))).scopes == granted


@pytest.mark.parametrize("name", ["scope", "scp"])
@pytest.mark.parametrize("value", [1, True, {"read": True}, ["read", 1], [["read"]], [None]])
def test_what_is_no_scope_is_refused(name: str, value: Any) -> None:
    verdict = judge(mint(**{name: value}))
    assert_refused(verdict, Reason.CLAIM_MISMATCH, f"claim {name} is")


@pytest.mark.parametrize("needed", [(), ("read",), ("write", "read"), ("read", "read")])
def test_scopes_that_are_granted_pass(needed: tuple[str, ...]) -> None:
    assert_passes(judge(mint(scope="read write"), scopes=needed))


@pytest.mark.parametrize(
    ("needed", "missing"),
    [
        pytest.param(("admin",), '["admin"]', id="another"),
        pytest.param(("read", "admin"), '["admin"]', id="one of two"),
        pytest.param(("Read",), '["Read"]', id="another case"),
        pytest.param(("rea",), '["rea"]', id="the beginning of one"),
        pytest.param(("read write",), '["read write"]', id="two in one"),
        pytest.param(("",), '[""]', id="an empty one"),
        pytest.param(("*",), '["*"]', id="an asterisk"),
    ],
)
def test_a_scope_that_is_not_granted_is_named(needed: tuple[str, ...], missing: str) -> None:
    verdict = judge(mint(scope="read write"), scopes=needed)
    assert_refused(verdict, Reason.SCOPE_INSUFFICIENT, f"scope {missing}", '["read", "write"]')


@pytest.mark.parametrize("claims", [{"scope": ABSENT}, {"scope": "*"}, {"scope": []}])
def test_a_token_without_the_scope_is_refused(claims: dict[str, Any]) -> None:
    assert_refused(judge(mint(**claims), scopes=("read",)), Reason.SCOPE_INSUFFICIENT)


def test_the_claim_that_holds_the_scopes_is_configured_by_path() -> None:
    roles = issuer(scope_claims=("realm_access.roles", "scope"))
    token = mint(realm_access={"roles": ["admin"]}, scope="read")
    assert assert_passes(judge(token, roles, scopes=("admin",))).scopes == ("admin",)
    assert_refused(judge(token, roles, scopes=("read",)), Reason.SCOPE_INSUFFICIENT)
    assert_passes(judge(mint(scope="read"), roles, scopes=("read",)))
