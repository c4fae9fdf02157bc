"""RevokeToken: what its message names, and what the log says of it."""

import json
import logging
from typing import TYPE_CHECKING, Final

from sidecar.api import fields
from sidecar.token.family_revocation import family_title
from sidecar.token.revocation import (
    LONGEST_ID,
    ConsumerReference,
    Reference,
    Revocation,
    SubjectReference,
    TokenReference,
    WholeRefreshToken,
    WholeToken,
)
from sidecar.token.words import moment
from sidecar.v1 import token_service_pb2 as messages

if TYPE_CHECKING:
    from sidecar.token.refresh_family import Family

_LONGEST_NOTE: Final = 1000
"""Characters: it is for a line of the log."""

log = logging.getLogger(__name__)


def target(
    message: messages.RevokeTokenRequest,
) -> WholeToken | WholeRefreshToken | Reference:
    """What is to be revoked; raises CallFailed where a field is malformed."""
    if len(message.note) > _LONGEST_NOTE:
        raise fields.invalid(
            "note", f"it has {len(message.note)} characters; at most {_LONGEST_NOTE} are taken"
        )
    kind = message.WhichOneof("target")
    if kind == "token":
        return WholeToken(_given("token", message.token))
    if kind == "token_reference":
        return _token_reference(message.token_reference)
    if kind == "subject":
        return _subject_reference(message.subject)
    if kind == "consumer":
        return ConsumerReference(_given("consumer", message.consumer))
    if kind == "refresh_token":
        return WholeRefreshToken(_given("refresh_token", message.refresh_token))
    raise fields.invalid(
        "target", "it is missing; name a token, refresh_token, token_reference, subject or consumer"
    )


def log_revocation(made: Revocation, note: str) -> None:
    """One line for what was revoked, and why."""
    end = "for ever" if made.expire_time is None else f"until {moment(made.expire_time)}"
    log.info("revoked %s, remembered %s%s", made.title, end, _why(note))


def log_family(family: "Family | None", note: str) -> None:
    """One line for a family of refresh tokens that was revoked, and why."""
    if family is None:
        log.info("a refresh token that is not known was revoked: it did not work%s", _why(note))
    else:
        log.info("revoked %s%s", family_title(family), _why(note))


def _why(note: str) -> str:
    return f"; note: {json.dumps(note)}" if note else ""


def _token_reference(message: messages.TokenReference) -> TokenReference:
    path = "token_reference"
    if not message.HasField("expire_time"):
        raise fields.invalid(f"{path}.expire_time", "it is missing; it is the token's exp")
    return TokenReference(
        _given(f"{path}.issuer", message.issuer),
        _identifier(f"{path}.token_id", message.token_id),
        fields.moment(f"{path}.expire_time", message.expire_time),
    )


def _subject_reference(message: messages.SubjectReference) -> SubjectReference:
    return SubjectReference(
        _given("subject.issuer", message.issuer),
        _identifier("subject.subject", message.subject),
        fields.moment("subject.issued_before", message.issued_before)
        if message.HasField("issued_before")
        else None,
    )


def _given(field: str, text: str) -> str:
    if not text:
        raise fields.invalid(field, "it is empty")
    return text


def _identifier(field: str, text: str) -> str:
    if len(text) > LONGEST_ID:
        raise fields.invalid(
            field, f"it has {len(text)} characters; at most {LONGEST_ID} are compared"
        )
    return _given(field, text)
