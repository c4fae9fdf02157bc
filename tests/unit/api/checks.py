"""Envoy's questions, and what its answers do to a request."""

from typing import Any

from envoy.service.auth.v3 import external_auth_pb2

from sidecar.api.ext_authz import Authorization
from sidecar.authorization.policy import Policy
from sidecar.engine import Engine
from sidecar.token.seen import RefusedTokens, SeenTokens, VerifiedTokens
from tests.unit.api.calls import Call
from tests.unit.parties import NOW, key_set, snapshot

CheckRequest = external_auth_pb2.CheckRequest
CheckResponse = external_auth_pb2.CheckResponse


def asked(path: str = "/", **headers: str) -> Any:
    """A CheckRequest with these headers, `_` for `-` in their names."""
    message = CheckRequest()
    http = message.attributes.request.http
    http.method, http.host, http.path = "GET", "shop.example.com", path
    for name, value in headers.items():
        http.headers[name.replace("_", "-")] = value
    return message


def asked_raw(*headers: tuple[str, bytes | str]) -> Any:
    """A CheckRequest as under `encode_raw_headers`: bytes go into raw_value, text into value."""
    message = CheckRequest()
    for name, value in headers:
        one = message.attributes.request.http.header_map.headers.add(key=name)
        if isinstance(value, bytes):
            one.raw_value = value
        else:
            one.value = value
    return message


def engine() -> Engine:
    """An engine with the issuer `corp`, which remembers tokens."""
    made = Engine(snapshot(key_set()), lambda: NOW, lambda: "id-1")
    made.seen_tokens = SeenTokens(VerifiedTokens(100, 60.0), RefusedTokens(100, 60.0))
    return made


async def checked(
    message: Any, policy: Policy | None = None, judge: Any = None, call: Any = None
) -> Any:
    """The CheckResponse to a CheckRequest, or to bytes in its place."""
    data = message if isinstance(message, bytes) else message.SerializeToString()
    holds = policy or Policy()
    authorization = Authorization(judge or engine(), lambda: holds)
    answer = await authorization.check(data, call or Call())
    return CheckResponse.FromString(answer)


def header_options(options: Any) -> dict[str, str]:
    """Headers that replace whatever was there; asserts that none is appended."""
    replace = 2  # HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    assert all(one.append_action == replace for one in options)
    assert len({one.header.key for one in options}) == len(options)
    return {one.header.key: one.header.value for one in options}
