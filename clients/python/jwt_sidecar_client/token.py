"""What the sidecar says of a token: immutable, and checked to make sense."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timezone
from functools import cached_property
from types import MappingProxyType
from typing import Any, NoReturn

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from jwt_sidecar_client.v1 import token_service_pb2 as messages


@dataclass(frozen=True)
class Token:
    """A verified token. Texts are empty, and times None, where the token has none."""

    issuer_name: str = ""
    """Name of the configured issuer that vouches for it; empty for a consumer's."""
    consumer: str = ""
    """Name of the consumer whose key signed it; empty for an issuer's."""
    issuer: str = ""
    subject: str = ""
    audiences: tuple[str, ...] = ()
    token_id: str = ""
    scopes: tuple[str, ...] = ()
    """Granted scopes, from `scope` or `scp`."""
    issue_time: datetime | None = None
    """`iat` in UTC, to the microsecond, as the two that follow: `nbf` and `exp`."""
    not_before_time: datetime | None = None
    expire_time: datetime | None = None
    key_id: str = ""
    algorithm: str = ""
    claims_json: str = field(default="{}", repr=False)
    """The claims set: an issuer's exactly as signed, of a consumer's token what the consumer's
    record grants or allows, as in all that is said here."""

    @cached_property
    def claims(self) -> Mapping[str, Any]:
        """The claims set; read-only to its leaves, with tuples for arrays."""
        return _claims(self.claims_json)

    def __getstate__(self) -> dict[str, Any]:
        # The claims are read anew: a read-only mapping can't be pickled or copied.
        return {one.name: getattr(self, one.name) for one in fields(self)}


@dataclass(frozen=True)
class IssuedToken:
    """A token that the sidecar minted; what is secret is not in its `repr`."""

    token: str = field(repr=False)
    token_id: str
    key_id: str
    algorithm: str
    issue_time: datetime | None
    expire_time: datetime | None
    refresh_token: str = field(repr=False)
    """Empty where none was asked for."""
    refresh_expire_time: datetime | None


def verified(message: messages.Token) -> Token:
    """The token of an answer that says yes; raises ValueError where it makes no sense."""
    token = Token(
        issuer_name=message.issuer_name,
        consumer=message.consumer,
        issuer=message.issuer,
        subject=message.subject,
        audiences=tuple(message.audiences),
        token_id=message.token_id,
        scopes=tuple(message.scopes),
        issue_time=_moment(message, "issue_time"),
        not_before_time=_moment(message, "not_before_time"),
        expire_time=_moment(message, "expire_time"),
        key_id=message.key_id,
        algorithm=message.algorithm,
        claims_json=message.claims_json,
    )
    _ = token.claims
    return token


def issued(message: messages.IssueTokenResponse) -> IssuedToken:
    """What was minted; raises ValueError where that is nothing."""
    if not message.token:
        raise ValueError("it holds no token")
    return IssuedToken(
        token=message.token,
        token_id=message.token_id,
        key_id=message.key_id,
        algorithm=message.algorithm,
        issue_time=_moment(message, "issue_time"),
        expire_time=_moment(message, "expire_time"),
        refresh_token=message.refresh_token,
        refresh_expire_time=_moment(message, "refresh_expire_time"),
    )


def in_utc(value: Timestamp) -> datetime:
    """The moment, to the microsecond; raises ValueError out of a Timestamp's range."""
    return value.ToDatetime(tzinfo=timezone.utc)


def _moment(message: Message, name: str) -> datetime | None:
    return in_utc(getattr(message, name)) if message.HasField(name) else None


def _claims(claims_json: str) -> Mapping[str, Any]:
    try:
        claims = json.loads(claims_json, parse_constant=_no_json)
        if isinstance(claims, dict):
            return MappingProxyType({name: _read_only(one) for name, one in claims.items()})
    except (ValueError, RecursionError):
        pass  # the text of a JSON error may quote what it read
    raise ValueError("its claims are no JSON object")


def _no_json(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _read_only(value: Any) -> Any:
    if isinstance(value, dict):
        return MappingProxyType({name: _read_only(one) for name, one in value.items()})
    if isinstance(value, list):
        return tuple(_read_only(one) for one in value)
    return value
