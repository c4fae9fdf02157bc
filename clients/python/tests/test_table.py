"""Both clients end every call as the table says."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from jwt_sidecar_client import (
    AsyncClient,
    CallRejected,
    Client,
    Proof,
    SidecarError,
    SidecarUnavailable,
    Token,
    TokenRefused,
)
from jwt_sidecar_client.channel import SERVICE_CONFIG
from jwt_sidecar_client.request import Demands
from tests.table import CASES, REALM, TABLE, seconds_for

each_case = pytest.mark.parametrize("case", [pytest.param(one, id=one["name"]) for one in CASES])


def test_the_service_config_is_that_of_every_client() -> None:
    assert TABLE["service_config"] == SERVICE_CONFIG


@each_case
def test_a_call_ends_as_the_table_says(client: Client, case: dict[str, Any]) -> None:
    def call() -> Token:
        return client.validate(f"{case['name']}~client", timeout=seconds_for(case), **demands(case))

    expected = case["client"]
    if expected["outcome"] == "token":
        assert_token(call(), expected["token"])
    else:
        with pytest.raises(ENDS[expected["outcome"]]) as caught:
            call()
        assert_told(caught.value, expected)


@each_case
async def test_an_asynchronous_call_ends_as_the_table_says(
    aio_client: AsyncClient, case: dict[str, Any]
) -> None:
    async def call() -> Token:
        return await aio_client.validate(
            f"{case['name']}~aio", timeout=seconds_for(case), **demands(case)
        )

    expected = case["client"]
    if expected["outcome"] == "token":
        assert_token(await call(), expected["token"])
    else:
        with pytest.raises(ENDS[expected["outcome"]]) as caught:
            await call()
        assert_told(caught.value, expected)


ENDS: Mapping[str, type[SidecarError]] = {
    "refused": TokenRefused,
    "unavailable": SidecarUnavailable,
    "rejected": CallRejected,
}


def demands(case: dict[str, Any]) -> Demands:
    asked = dict(case.get("request", {}))
    found: Demands = {"scopes": asked.pop("scopes", [])}
    if asked:
        found["proof"] = Proof(**asked)
    return found


def assert_token(token: Token, expected: dict[str, Any]) -> None:
    for name, value in expected.items():
        found = getattr(token, name)
        if name.endswith("_time"):
            assert found == (value and datetime.fromisoformat(value.replace("Z", "+00:00"))), name
        else:
            assert found == (tuple(value) if isinstance(value, list) else value), name


def assert_told(error: SidecarError, expected: dict[str, Any]) -> None:
    assert error.http_status == expected["http_status"]
    assert error.grpc_status.name == expected["grpc_status"]
    if isinstance(error, TokenRefused):
        assert error.reason == expected["reason"]
        assert error.message == expected["message"]
        assert error.www_authenticate(REALM) == expected["www_authenticate"]
    if isinstance(error, CallRejected):
        assert error.code.name == expected["code"]
        assert error.error_reason == expected["error_reason"]
