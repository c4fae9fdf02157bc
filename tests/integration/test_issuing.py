"""What may be in an issued token and what may not, over gRPC: reason, status and field."""

import json
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
import pytest
import pytest_asyncio

from tests.running import (
    SECRET,
    TRANSPORTS,
    Running,
    assert_refused,
    assert_valid,
    fails,
    listener,
    running,
)
from tests.tokens import decode

INVALID: Final = grpc.StatusCode.INVALID_ARGUMENT
CARRY_KEYS: Final = ("jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256")
CONFIGURATION: Final = f"""
signers:
  - name: internal
    issuer: https://tokens.example
    keys: [{{generate: ES256, key_id: k1}}]
    audiences: [orders]
    claims: {{env: prod, realm: {{name: red}}}}
    accept: true
  - name: granting
    issuer: https://granting.example
    keys: [{{generate: ES256, key_id: k2}}]
    scopes: [read]
  - name: fixing
    issuer: https://fixing.example
    keys: [{{generate: ES256, key_id: k3}}]
    claims: {{scp: [read]}}
consumers:
  key_claim: app.key
  list:
    - {{name: jack, key: user-key, algorithm: HS256, secret: {{value: {SECRET}}}}}
"""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=TRANSPORTS)
async def sidecar(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Running]:
    directory = tmp_path_factory.mktemp("issuing")
    async with running(directory, listener(request.param) + CONFIGURATION) as one:
        yield one


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"plan": "gold"}, id="a string"),
        pytest.param({"n": 0, "m": -7}, id="integers"),
        pytest.param({"n": 0.1, "m": -1.5e300}, id="fractions"),
        pytest.param({"n": 2**63, "m": 10**39}, id="integers of more than 64 bits"),
        pytest.param({"yes": True, "no": False}, id="booleans"),
        pytest.param({"nothing": None}, id="null"),
        pytest.param({"list": ["a", 1, None, True, [], {}]}, id="an array"),
        pytest.param({"map": {"a": {"b": {"c": [1, {"d": 2}]}}}}, id="nested objects"),
        pytest.param({"": ""}, id="an empty name and an empty string"),
        pytest.param({"a.b": 1, "a": {"b": 2}}, id="a name with a dot, and the path"),
        pytest.param({"https://x.example/roles": ["admin"]}, id="a URL as name"),
        pytest.param({"environment": 1, "realms": 2}, id="names that only start like a fixed one"),
        pytest.param({"Iss": "x", "EXP": 1}, id="registered names in capitals"),
        pytest.param({"kid": "x", "alg": "none"}, id="names of header parameters"),
        pytest.param({"scope": "read", "scp": ["a"]}, id="scopes of a signer without limits"),
        pytest.param({"na\u00efve \U0001f600": "\u96ea \U0001f600"}, id="beyond ASCII"),
        pytest.param({"text": '"\\\n\t\u0000\u2028</script>'}, id="characters to be escaped"),
    ],
)
async def test_a_claim_of_any_type_comes_back_as_it_was(
    sidecar: Running, claims: dict[str, Any]
) -> None:
    token = await sidecar.issue(signer="internal", subject="alice", claims_json=json.dumps(claims))
    said = json.loads(assert_valid(await sidecar.validate(token)).claims_json)
    assert {name: said[name] for name in claims} == claims
    assert (said["sub"], said["env"], said["realm"]) == ("alice", "prod", {"name": "red"})
    assert [type(said[name]) for name in claims] == [type(one) for one in claims.values()]


@pytest.mark.parametrize(
    ("order", "reason"),
    [
        *(
            pytest.param({"claims_json": json.dumps({name: 1})}, "NAME_RESERVED", id=name)
            for name in ("iss", "sub", "aud", "exp", "nbf", "iat", "jti")
        ),
        pytest.param({"claims_json": '{"\\u0069ss": "x"}'}, "NAME_RESERVED", id="iss, escaped"),
        pytest.param({"claims_json": '{"env": "test"}'}, "NAME_RESERVED", id="a fixed one"),
        pytest.param({"claims_json": '{"realm": {}}'}, "NAME_RESERVED", id="a fixed object"),
        pytest.param(
            {"claims_json": '{"realm.name": "blue"}'}, "NAME_RESERVED", id="what would hide it"
        ),
        pytest.param(
            {"signer": "granting", "claims_json": '{"scope": "admin"}'},
            "NAME_RESERVED",
            id="scope where scopes are limited",
        ),
        pytest.param(
            {"signer": "granting", "claims_json": '{"scp": ["admin"]}'},
            "NAME_RESERVED",
            id="scp where scopes are limited",
        ),
        pytest.param(
            {"signer": "fixing", "claims_json": '{"scope": "admin"}'},
            "NAME_RESERVED",
            id="scope that would hide a fixed scp",
        ),
        pytest.param(
            {"scopes": ["read"], "claims_json": '{"scp": ["admin"]}'},
            "NAME_RESERVED",
            id="scp beside scopes",
        ),
        pytest.param(
            {
                "signer": "",
                "consumer": "jack",
                "subject": "",
                "claims_json": '{"app": {"key": "other"}}',
            },
            "NAME_RESERVED",
            id="a consumer's key claim",
        ),
        pytest.param(
            {
                "signer": "",
                "consumer": "jack",
                "subject": "",
                "claims_json": '{"app.key": "other"}',
            },
            "NAME_RESERVED",
            id="what would hide a consumer's key claim",
        ),
        pytest.param({"claims_json": "[]"}, "FIELD_INVALID", id="no object"),
        pytest.param({"claims_json": '{"a": 1'}, "FIELD_INVALID", id="no JSON"),
        pytest.param({"claims_json": '{"a": 1, "a": 2}'}, "FIELD_INVALID", id="a name twice"),
        pytest.param(
            {"claims_json": '{"a": {"b": 1, "\\u0062": 2}}'}, "FIELD_INVALID", id="twice, inside"
        ),
        pytest.param({"claims_json": '{"a": NaN}'}, "FIELD_INVALID", id="NaN"),
        pytest.param({"claims_json": '{"a": -Infinity}'}, "FIELD_INVALID", id="-Infinity"),
        pytest.param({"claims_json": '{"a": 1e400}'}, "FIELD_INVALID", id="beyond a double"),
        pytest.param({"claims_json": f'{{"a": {"9" * 41}}}'}, "FIELD_INVALID", id="41 digits"),
        pytest.param({"claims_json": '{"a": "\\ud800"}'}, "FIELD_INVALID", id="half a character"),
        pytest.param({"claims_json": "\ufeff{}"}, "FIELD_INVALID", id="a byte order mark"),
        pytest.param(
            {"claims_json": '{"a":' * 33 + "1" + "}" * 33}, "FIELD_INVALID", id="33 levels"
        ),
    ],
)
async def test_a_claim_that_may_not_be_given_is_an_error(
    sidecar: Running, order: dict[str, Any], reason: str
) -> None:
    with fails(INVALID, reason, "claims_json"):
        await sidecar.issue(**{"signer": "internal", "subject": "alice", **order})


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        *(
            pytest.param(json.dumps({name: "x"}), "NAME_RESERVED", id=name)
            for name in ("alg", "typ", "kid", "crit", "b64", *CARRY_KEYS)
        ),
        pytest.param('{"\\u0061lg": "none"}', "NAME_RESERVED", id="alg, escaped"),
        pytest.param('{"cty": 1}', "FIELD_INVALID", id="cty that is no string"),
        pytest.param("7", "FIELD_INVALID", id="no object"),
        pytest.param('{"a": 1, "a": 2}', "FIELD_INVALID", id="a name twice"),
    ],
)
async def test_a_header_parameter_that_may_not_be_given_is_an_error(
    sidecar: Running, headers: str, reason: str
) -> None:
    with fails(INVALID, reason, "headers_json"):
        await sidecar.issue(signer="internal", headers_json=headers)


async def test_crit_is_for_those_who_understand_it(sidecar: Running) -> None:
    token = await sidecar.issue(
        signer="internal", headers_json='{"tenant": "blue"}', critical_headers=["tenant"]
    )
    header = json.loads(decode(token.split(".")[0]))
    assert (header["tenant"], header["crit"]) == ("blue", ["tenant"])
    assert_refused(await sidecar.validate(token), "CRITICAL_HEADER_UNKNOWN", '"tenant"')


@pytest.mark.parametrize(
    ("headers", "critical"),
    [
        pytest.param("", ["tenant"], id="no headers"),
        pytest.param('{"tenant": 1}', ["Tenant"], id="another case"),
        pytest.param('{"tenant": 1}', ["tenant", "region"], id="one of two is not there"),
        pytest.param('{"tenant": 1}', ["tenant", "tenant"], id="twice"),
        pytest.param('{"": 1}', [""], id="an empty name"),
        pytest.param('{"cty": "json"}', ["cty"], id="a registered name"),
        pytest.param('{"tenant": 1}', ["alg"], id="a name that the sidecar sets"),
        pytest.param('{"tenant": 1}', ["exp"], id="the name of a claim"),
    ],
)
async def test_crit_that_names_something_else_is_an_error(
    sidecar: Running, headers: str, critical: list[str]
) -> None:
    with fails(INVALID, "FIELD_INVALID", "critical_headers"):
        await sidecar.issue(signer="internal", headers_json=headers, critical_headers=critical)


async def test_scopes_that_the_signer_fixes_are_not_granted_again(sidecar: Running) -> None:
    with fails(INVALID, "NOT_GRANTABLE", "scopes"):
        await sidecar.issue(signer="fixing", scopes=["admin"])
