"""AWS API Gateway: what a Lambda authorizer answers, for REST APIs and for HTTP APIs.

Only a verified token is allowed. What is not known is neither allowed nor denied: the function
fails, API Gateway answers 500, and keeps nothing, where a denial would outlast the outage. See
"Output from an API Gateway Lambda authorizer" and "Control access to HTTP APIs with AWS Lambda
authorizers" in the API Gateway Developer Guide.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from jwt_sidecar_client.bearer import bearer_token
from jwt_sidecar_client.client import Client
from jwt_sidecar_client.errors import SidecarError, TokenRefused
from jwt_sidecar_client.token import Token

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from jwt_sidecar_client.request import Demands

Decision = Token | SidecarError
Context = dict[str, str | int | float | bool]
"""What API Gateway hands on: no lists, objects or nulls."""


def decide(client: Client, event: Mapping[str, Any], **demands: "Unpack[Demands]") -> Decision:
    """The token of the event's Authorization header, or why it may not pass.

    Takes the events of authorizers of type TOKEN, and of type REQUEST in both payload formats.
    """
    try:
        return client.validate(bearer_token(_authorization(event)), **demands)
    except SidecarError as error:
        return error


def rest_answer(decision: Decision, method_arn: str) -> dict[str, Any]:
    """The answer for a REST API: a policy that allows, or denies, this one method.

    Raises Exception("Unauthorized"), which API Gateway takes for 401, where the token is missing
    or no good. A token that is good, but not for this, is denied: 403. Raises the decision itself
    where nothing is known: 500.
    """
    if isinstance(decision, Token):
        principal = decision.subject or decision.consumer or decision.issuer or "unknown"
        return _policy("Allow", method_arn, principal, _context(decision))
    refusal = _refusal(decision)
    if refusal.http_status == 401:
        raise Exception("Unauthorized")  # the message that API Gateway looks for, and its case
    return _policy("Deny", method_arn, "unknown", _reason(refusal))


def http_answer(decision: Decision) -> dict[str, Any]:
    """The simple response for an HTTP API, payload format 2.0; API Gateway answers a no with 403.

    Raises the decision itself where nothing is known: 500.
    """
    if isinstance(decision, Token):
        return {"isAuthorized": True, "context": _context(decision)}
    return {"isAuthorized": False, "context": _reason(_refusal(decision))}


def _authorization(event: Mapping[str, Any]) -> list[str]:
    if "authorizationToken" in event:
        return [event["authorizationToken"]]
    # A REST API has a header that came twice whole in the first, but only its last in the second.
    for name, listed in (("multiValueHeaders", True), ("headers", False)):
        headers = event.get(name)
        if headers:
            found = [value for key, value in headers.items() if key.lower() == "authorization"]
            return [one for values in found for one in values] if listed else found
    return []


def _refusal(decision: object) -> TokenRefused:
    """The decision, where it is that the token may not pass; raises it where it is none."""
    if isinstance(decision, TokenRefused) and decision.http_status in (401, 403):
        return decision
    if isinstance(decision, SidecarError):
        raise decision
    raise TypeError("there is no decision")


def _policy(effect: str, method_arn: str, principal: str, context: Context) -> dict[str, Any]:
    if any(sign in method_arn for sign in ("*", "?", "${")):
        # Of a path that the client chose: it would stand for others too.
        raise ValueError("the method's ARN has characters that a policy takes for a pattern")
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": method_arn}
    return {
        "principalId": principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": context,
    }


def _context(token: Token) -> Context:
    found: Context = {
        "subject": token.subject,
        "consumer": token.consumer,
        "issuer": token.issuer,
        "issuer_name": token.issuer_name,
        "token_id": token.token_id,
        "scope": " ".join(token.scopes),
        "claims_json": token.claims_json,
    }
    if token.expire_time:
        found["expire_time"] = int(token.expire_time.timestamp())
    return {name: value for name, value in found.items() if value != ""}


def _reason(refusal: TokenRefused) -> Context:
    return {"reason": refusal.reason, "message": refusal.message}
