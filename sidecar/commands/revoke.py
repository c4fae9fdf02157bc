"""`jwt-sidecar revoke`."""

import argparse
import re
from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.cli import DONE, CommandFailed
from sidecar.commands.client import TIMEOUT, token_service
from sidecar.commands.moment import FORMATS, UnknownFormat, parse_moment
from sidecar.commands.tokens import piped_or
from sidecar.token.words import quoted
from sidecar.v1 import token_service_pb2 as messages


def revoke(options: argparse.Namespace) -> int:
    """Revokes what the options name; prints since when."""
    try:
        request = _request(options)
    except UnicodeEncodeError as error:
        raise CommandFailed("revoke: an argument is not in UTF-8") from error
    with token_service(options) as service:
        answer = service.RevokeToken(request, timeout=TIMEOUT)
    print(f"revoked since {answer.revoke_time.ToJsonString()}")
    return DONE


def _request(options: argparse.Namespace) -> messages.RevokeTokenRequest:
    """What the options name: one target, with what belongs to it."""
    _check_together(options)
    request = messages.RevokeTokenRequest(note=options.note)
    if options.token_id is not None:
        reference = request.token_reference
        reference.issuer, reference.token_id = options.issuer, options.token_id
        reference.expire_time.CopyFrom(_time("--expires", options.expires))
    elif options.subject is not None:
        request.subject.issuer, request.subject.subject = options.issuer, options.subject
        if options.issued_before is not None:
            before = _time("--issued-before", options.issued_before)
            request.subject.issued_before.CopyFrom(before)
    elif options.consumer is not None:
        request.consumer = options.consumer
    elif options.refresh_token is not None:
        request.refresh_token = piped_or(options.refresh_token)
    else:
        request.token = piped_or(options.token)
    return request


def _check_together(options: argparse.Namespace) -> None:
    """Raises CommandFailed where options are missing, or do not belong together."""
    targets = {
        "TOKEN": options.token,
        "--refresh-token": options.refresh_token,
        "--token-id": options.token_id,
        "--subject": options.subject,
        "--consumer": options.consumer,
    }
    named = [name for name, value in targets.items() if value is not None] or ["TOKEN"]
    if len(named) > 1:
        raise CommandFailed(f"revoke: {' and '.join(named)} are two; name one of them")
    for option, value, belongs_to, needed in (
        ("--issuer", options.issuer, ("--token-id", "--subject"), True),
        ("--expires", options.expires, ("--token-id",), True),
        ("--issued-before", options.issued_before, ("--subject",), False),
    ):
        if needed and named[0] in belongs_to and value is None:
            raise CommandFailed(f"revoke: {named[0]} needs {option}")
        if named[0] not in belongs_to and value is not None:
            raise CommandFailed(f"revoke: {option} belongs to {' or '.join(belongs_to)}")


def _time(option: str, text: str) -> Timestamp:
    """The time that a text says, also as `decode` prints one: in seconds since the epoch."""
    time = Timestamp()
    try:
        if re.fullmatch("[0-9]{1,15}", text):
            time.FromDatetime(datetime.fromtimestamp(int(text), UTC))
        else:
            time.FromDatetime(parse_moment(text))
    except UnknownFormat as problem:
        raise CommandFailed(
            f"{option} {quoted(text)}: {problem}; it takes seconds since the epoch, or a time: "
            f"{FORMATS}"
        ) from problem
    except (ValueError, OverflowError, OSError) as problem:
        raise CommandFailed(f"{option} {quoted(text)}: {problem}") from problem
    return time
