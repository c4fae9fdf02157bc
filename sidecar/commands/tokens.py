"""`jwt-sidecar validate`, `issue` and `decode`."""

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from sidecar.cli import DONE, REFUSED, CommandFailed
from sidecar.commands.client import TIMEOUT, token_service
from sidecar.token import jws
from sidecar.token.reason import Refused
from sidecar.v1 import reason_pb2
from sidecar.v1 import token_service_pb2 as messages

_MOST_READ: Final = 2 * 1024 * 1024
_DEPTH: Final = 128


def validate(options: argparse.Namespace) -> int:
    """Asks about a token; prints the verdict."""
    request = validate_request(options)
    with token_service(options) as service:
        response = service.ValidateToken(request, timeout=TIMEOUT)
    if options.json:
        print_as_json(response)
    elif response.valid:
        print(_valid(response.token))
    else:
        print(refused(response))
    return DONE if response.valid else REFUSED


def validate_request(options: argparse.Namespace) -> messages.ValidateTokenRequest:
    """What is asked about the token that the options name."""
    return messages.ValidateTokenRequest(
        token=_token(options),
        issuer_name=options.issuer,
        audiences=options.audience,
        scopes=options.scope,
    )


def refused(response: messages.ValidateTokenResponse) -> str:
    """The reason and the sentence of a refusal."""
    return f"refused: {short(response.reason)}\n{response.message}"


def short(reason: reason_pb2.Reason.ValueType) -> str:
    """A reason's name without its prefix."""
    return reason_pb2.Reason.Name(reason).removeprefix("REASON_")


def print_as_json(message: Message) -> None:
    """Prints a message with the names of the contract."""
    print(json.dumps(MessageToDict(message, preserving_proto_field_name=True), indent=2))


def issue(options: argparse.Namespace) -> int:
    """Has a token minted and prints it."""
    if not options.subject and not options.consumer:
        raise CommandFailed("issue: name the token's subject with --subject")
    request = messages.IssueTokenRequest(
        signer=options.signer,
        consumer=options.consumer,
        subject=options.subject,
        audiences=options.audience,
        scopes=options.scope,
        token_id=options.token_id,
        algorithm=options.algorithm,
        claims_json=_object("--claim", options.claim),
        headers_json=_object("--header", options.header),
    )
    if options.lifetime is not None:
        request.lifetime.FromNanoseconds(round(_duration(options.lifetime) * 1e9))
    with token_service(options) as service:
        print(service.IssueToken(request, timeout=TIMEOUT).token)
    return DONE


def decode(options: argparse.Namespace) -> int:
    """Prints header and claims of a token, without verifying anything."""
    try:
        token = jws.parse(_token(options), _DEPTH)
    except Refused as refused:
        raise CommandFailed(refused.message, REFUSED) from refused
    print(
        json.dumps(
            {"header": token.unverified_header, "claims": token.unverified_claims},
            indent=2,
            ensure_ascii=False,
        )
    )
    print("jwt-sidecar: decoded, NOT verified", file=sys.stderr)
    return DONE


def _token(options: argparse.Namespace) -> str:
    if options.token not in {None, "-"}:
        return str(options.token).encode("utf-8", "replace").decode("utf-8")
    if sys.stdin is None or (options.token is None and sys.stdin.isatty()):
        raise CommandFailed("name a TOKEN, or pipe one into standard input")
    return sys.stdin.buffer.read(_MOST_READ).decode("utf-8", "replace").strip()


def _valid(token: messages.Token) -> str:
    whose = token.consumer or token.issuer_name
    rows = [
        ("consumer" if token.consumer else "issuer", whose),
        ("subject", token.subject),
        ("key", f"{token.key_id or '(unnamed)'} ({token.algorithm})"),
        ("scopes", " ".join(token.scopes)),
        ("expires", token.expire_time.ToJsonString() if token.HasField("expire_time") else "never"),
    ]
    lines = ["valid", *(f"  {name:9} {value}" for name, value in rows if value)]
    claims = json.dumps(json.loads(token.claims_json), indent=2, ensure_ascii=False)
    return "\n".join([*lines, claims])


def _object(option: str, pairs: Sequence[str]) -> str:
    members: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise CommandFailed(f"{option} {pair}: it must be NAME=VALUE")
        if name in members:
            raise CommandFailed(f"{option} {name}: it is there twice")
        try:
            members[name] = json.loads(value)
        except ValueError:
            members[name] = value
    return json.dumps(members) if members else ""


def _duration(text: str) -> float:
    from pydantic_core import PydanticCustomError

    from sidecar.config.section import said
    from sidecar.config.units import parse_duration

    try:
        return parse_duration(text)
    except PydanticCustomError as error:
        raise CommandFailed(f"--lifetime {said(error)}") from error
