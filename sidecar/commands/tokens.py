"""`jwt-sidecar validate`, `issue`, `refresh` and `decode`."""

import argparse
import json
import re
import sys
from collections.abc import Sequence
from typing import Final

from sidecar.cli import DONE, REFUSED, CommandFailed
from sidecar.commands.client import TIMEOUT, token_service
from sidecar.commands.moment import FORMATS, UnknownFormat, parse_moment
from sidecar.commands.printing import print_as_json
from sidecar.token import jws
from sidecar.token.reason import Refused
from sidecar.token.words import quoted
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
    try:
        return messages.ValidateTokenRequest(
            token=piped_or(options.token),
            issuer_name=options.issuer,
            audiences=options.audience,
            scopes=options.scope,
        )
    except UnicodeEncodeError as error:
        raise CommandFailed("an argument is not in UTF-8") from error


def refused(response: messages.ValidateTokenResponse | messages.RefreshTokenResponse) -> str:
    """The reason and the sentence of a refusal."""
    reason = reason_pb2.Reason.Name(response.reason).removeprefix("REASON_")
    return f"refused: {reason}\n{response.message}"


def issue(options: argparse.Namespace) -> int:
    """Has a token minted and prints it, and in a second line the refresh token beside it."""
    if not options.subject and not options.consumer:
        raise CommandFailed("issue: name the token's subject with --subject")
    with token_service(options) as service:
        _print_issued(service.IssueToken(_order(options), timeout=TIMEOUT))
    return DONE


def refresh(options: argparse.Namespace) -> int:
    """Trades a refresh token; prints the token and the next refresh token, a line each."""
    try:
        request = messages.RefreshTokenRequest(
            refresh_token=piped_or(options.token), scopes=options.scope
        )
    except UnicodeEncodeError as error:
        raise CommandFailed("an argument is not in UTF-8") from error
    with token_service(options) as service:
        response = service.RefreshToken(request, timeout=TIMEOUT)
    if response.valid:
        _print_issued(response.issued)
    else:
        print(refused(response))
    return DONE if response.valid else REFUSED


def decode(options: argparse.Namespace) -> int:
    """Prints header and claims of a token, without verifying anything."""
    text = piped_or(options.token)
    if not text:
        raise CommandFailed("no token was presented", REFUSED)
    try:
        token = jws.parse(text, _DEPTH)
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


def _print_issued(issued: messages.IssueTokenResponse) -> None:
    print(issued.token)
    if issued.refresh_token:
        print(issued.refresh_token)


def piped_or(token: str | None) -> str:
    """This token, or what standard input has where it is None or `-`."""
    if token not in {None, "-"}:
        return str(token).encode("utf-8", "replace").decode("utf-8")
    if sys.stdin is None or (token is None and sys.stdin.isatty()):
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


def _order(options: argparse.Namespace) -> messages.IssueTokenRequest:
    try:
        request = messages.IssueTokenRequest(
            signer=options.signer,
            consumer=options.consumer,
            subject=options.subject,
            audiences=options.audience,
            scopes=options.scope,
            token_id=options.token_id,
            algorithm=options.algorithm,
            claims_json=json_object("--claim", options.claim),
            headers_json=json_object("--header", options.header),
            critical_headers=options.critical_header,
            with_refresh_token=options.refresh,
        )
    except UnicodeEncodeError as error:
        raise CommandFailed("issue: an argument is not in UTF-8") from error
    if options.lifetime is not None:
        try:
            request.lifetime.FromMicroseconds(_microseconds(options.lifetime))
        except ValueError as problem:
            raise CommandFailed(f"--lifetime {problem}") from problem
    if options.not_before is not None:
        _start(request, options.not_before)
    return request


def _start(request: messages.IssueTokenRequest, text: str) -> None:
    """Puts what `--not-before` says into the request: a delay or a time."""
    try:
        if re.fullmatch("[0-9.]+[a-z]*", text):
            request.not_before_delay.FromMicroseconds(_microseconds(text))
        else:
            request.not_before_time.FromDatetime(parse_moment(text))
    except UnknownFormat as problem:
        raise CommandFailed(
            f"--not-before {quoted(text)}: {problem}; it takes a duration from now, such as 10m, "
            f"or a time: {FORMATS}"
        ) from problem
    except (ValueError, OverflowError) as problem:
        raise CommandFailed(f"--not-before {quoted(text)}: {problem}") from problem


def json_object(option: str, pairs: Sequence[str]) -> str:
    """The JSON object of these members, whose values are as they were written."""
    members: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise CommandFailed(f"{option}: it must be NAME=VALUE")
        if name in members:
            raise CommandFailed(f"{option} {name}: it is there twice")
        members[name] = value if _is_json(value) else json.dumps(value)
    written = ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items())
    return f"{{{written}}}" if members else ""


def _is_json(text: str) -> bool:
    """Whether it is JSON (RFC 8259), which NaN is not. What is too deep the sidecar refuses."""
    try:
        json.loads(text, parse_int=str, parse_constant=int)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _microseconds(text: str) -> int:
    """Of a duration as the configuration has it; raises ValueError for anything else."""
    from pydantic_core import PydanticCustomError

    from sidecar.config.section import said
    from sidecar.config.units import parse_duration

    try:
        return round(parse_duration(text) * 1_000_000)
    except PydanticCustomError as error:
        raise ValueError(said(error)) from error
