"""What the log says of the request behind a decision."""

from typing import TYPE_CHECKING, Any

from sidecar.authorization.client import client_address
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.path import shown
from sidecar.authorization.policy import Policy
from sidecar.decision_log import About

if TYPE_CHECKING:
    import grpc

_ID = "x-request-id"


def about_http(request: HttpRequest, policy: Policy, rule: str) -> About:
    """Of an HTTP request, which fell under the rule of this name."""
    ids = request.values(_ID)
    return About(
        client_address(request, policy.trusted_hops),
        request.method,
        shown(request.target),
        ids[0] if len(ids) == 1 else "",
        rule,
    )


def about_call(client_address: str, context: "grpc.aio.ServicerContext[Any, Any]") -> About:
    """Of a call of ValidateToken, which names the client that it is made for."""
    ids = [value for key, value in context.invocation_metadata() or () if key == _ID]
    request_id = ids[0] if len(ids) == 1 and isinstance(ids[0], str) else ""
    return About(client_address, request_id=request_id)
