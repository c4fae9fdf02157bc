"""What the sidecar is asked: Python values as the contract's messages.

A text that UTF-8 does not take, such as half of a surrogate pair, can't be sent. Where it comes
from the party that presents a token, that is a refusal; from the author, a ValueError.
"""

import copy
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypedDict

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from jwt_sidecar_client.errors import TokenRefused
from jwt_sidecar_client.v1 import token_service_pb2 as messages


@dataclass(frozen=True)
class Proof:
    """Proof that the presenter holds the key that a token is bound to."""

    dpop: str = field(default="", repr=False)
    """DPoP proof JWT (RFC 9449)."""
    http_method: str = ""
    http_uri: str = ""
    """Target URI of the request that carried the proof, without query and fragment."""
    client_certificate_sha256: bytes = b""
    """SHA-256 of the client certificate in DER (RFC 8705), 32 bytes."""


@dataclass(frozen=True)
class TokenReference:
    """One token by its `iss` and `jti`; from `expire_time`, its `exp`, on it may be forgotten."""

    issuer: str
    token_id: str
    expire_time: datetime


@dataclass(frozen=True)
class SubjectReference:
    """All tokens of a subject that were issued before a time; None means now."""

    issuer: str
    subject: str
    issued_before: datetime | None = None


class Demands(TypedDict, total=False):
    """What is asked of a token beside what the sidecar's configuration asks of each."""

    issuer_name: str
    """Name of the configured issuer it must come from."""
    audiences: Iterable[str]
    """At least one of these must be in `aud`; replaces the issuer's."""
    scopes: Iterable[str]
    """Every one of these must be granted."""
    required_claims: Mapping[str, Any]
    """Claims that must have these values, by dotted path; of an array, any one."""
    client_address: str
    """Address of the party that presented the token, for address rules."""
    proof: Proof | None


class Wishes(TypedDict, total=False):
    """What a new token is to be; what is left out is the signer's to say."""

    signer: str
    """Name of a configured signer; neither it nor a consumer: the only signer."""
    consumer: str
    """Name of a consumer to sign for, with that consumer's own key."""
    subject: str
    audiences: Iterable[str]
    scopes: Iterable[str]
    lifetime: timedelta | None
    not_before: datetime | timedelta | None
    """When it starts to be valid, or how long from now."""
    token_id: str
    claims: Mapping[str, Any] | None
    """Additional claims."""
    headers: Mapping[str, Any] | None
    """Additional header parameters."""
    critical_headers: Iterable[str]
    algorithm: str
    with_refresh_token: bool


class Target(TypedDict, total=False):
    """What is revoked: one of all but `note`, which says why, for the log."""

    token: str
    """A whole access token; it must verify, though it may have expired."""
    refresh_token: str
    """A refresh token, and its whole family."""
    token_reference: TokenReference
    subject: SubjectReference
    consumer: str
    """All tokens of the consumer of this name issued so far."""
    note: str


# A name that a TypedDict does not have is a TypeError in the functions below, at run time too: a
# demand that was spelled wrong must not be one that nobody made.


def validation(
    token: str,
    *,
    issuer_name: str = "",
    audiences: Iterable[str] = (),
    scopes: Iterable[str] = (),
    required_claims: Mapping[str, Any] | None = None,
    client_address: str = "",
    proof: Proof | None = None,
) -> messages.ValidateTokenRequest:
    """The question whether a token may pass."""
    return messages.ValidateTokenRequest(
        token=sendable(token),
        issuer_name=_issuer(issuer_name),
        audiences=texts("audiences", audiences),
        scopes=texts("scopes", scopes),
        required_claims_json=_json(required_claims),
        client_address=client_address,
        proof=_proof(proof) if proof else None,
    )


def standing(
    *,
    issuer_name: str = "",
    audiences: Iterable[str] = (),
    scopes: Iterable[str] = (),
    required_claims: Mapping[str, Any] | None = None,
) -> Demands:
    """Demands of many tokens: copies, so that none is gone or another at the second one."""
    return {
        "issuer_name": _issuer(issuer_name),
        "audiences": texts("audiences", audiences),
        "scopes": texts("scopes", scopes),
        "required_claims": copy.deepcopy(dict(required_claims or {})),
    }


def issue(
    *,
    signer: str = "",
    consumer: str = "",
    subject: str = "",
    audiences: Iterable[str] = (),
    scopes: Iterable[str] = (),
    lifetime: timedelta | None = None,
    not_before: datetime | timedelta | None = None,
    token_id: str = "",
    claims: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
    critical_headers: Iterable[str] = (),
    algorithm: str = "",
    with_refresh_token: bool = False,
) -> messages.IssueTokenRequest:
    """The wish for a new token."""
    request = messages.IssueTokenRequest(
        signer=signer,
        consumer=consumer,
        subject=subject,
        audiences=texts("audiences", audiences),
        scopes=texts("scopes", scopes),
        lifetime=None if lifetime is None else _duration(lifetime),
        token_id=token_id,
        claims_json=_json(claims),
        headers_json=_json(headers),
        critical_headers=texts("critical_headers", critical_headers),
        algorithm=algorithm,
        with_refresh_token=with_refresh_token,
    )
    if isinstance(not_before, datetime):
        request.not_before_time.CopyFrom(_timestamp(not_before))
    elif not_before is not None:
        request.not_before_delay.CopyFrom(_duration(not_before))
    return request


def refreshing(refresh_token: str, scopes: Iterable[str]) -> messages.RefreshTokenRequest:
    """The wish for a new pair of tokens, with no more than these scopes where there are any."""
    return messages.RefreshTokenRequest(
        refresh_token=sendable(refresh_token), scopes=texts("scopes", scopes)
    )


def revocation(
    *,
    token: str = "",
    refresh_token: str = "",
    token_reference: TokenReference | None = None,
    subject: SubjectReference | None = None,
    consumer: str = "",
    note: str = "",
) -> messages.RevokeTokenRequest:
    """The wish to revoke; raises TypeError unless exactly one target is named."""
    if sum(map(bool, (token, refresh_token, token_reference, subject, consumer))) != 1:
        raise TypeError("name one of token, refresh_token, token_reference, subject, consumer")
    request = messages.RevokeTokenRequest(note=note)
    if token:
        request.token = sendable(token)
    elif refresh_token:
        request.refresh_token = sendable(refresh_token)
    elif token_reference:
        request.token_reference.issuer = token_reference.issuer
        request.token_reference.token_id = token_reference.token_id
        request.token_reference.expire_time.CopyFrom(_timestamp(token_reference.expire_time))
    elif subject:
        request.subject.issuer = subject.issuer
        request.subject.subject = subject.subject
        if subject.issued_before:
            request.subject.issued_before.CopyFrom(_timestamp(subject.issued_before))
    else:
        request.consumer = consumer
    return request


def sendable(token: str) -> str:
    """The token, where it can be sent at all; raises TokenRefused where not."""
    if not _is_text(token):
        raise TokenRefused("TOKEN_MALFORMED", "the token is no text in UTF-8")
    return token


def texts(name: str, values: Iterable[str]) -> tuple[str, ...]:
    """The values; a single text in place of several is a mistake, not a list of its letters."""
    if isinstance(values, str):
        raise TypeError(f"{name} must be several texts, such as a list, and not one text")
    return tuple(values)


def _issuer(name: str) -> str:
    """The name; None, such as of a variable that is not set, would be a demand that nobody made."""
    if not isinstance(name, str):
        raise TypeError("issuer_name must be a text")
    return name


def _proof(proof: Proof) -> messages.ProofOfPossession:
    if not _is_text(proof.dpop):
        raise TokenRefused("PROOF_INVALID", "the DPoP proof is no text in UTF-8", dpop=True)
    return messages.ProofOfPossession(
        dpop=proof.dpop,
        http_method=proof.http_method,
        http_uri=proof.http_uri,
        client_certificate_sha256=proof.client_certificate_sha256,
    )


def _is_text(value: str) -> bool:
    try:
        str.encode(value)
    except UnicodeEncodeError:
        return False
    return True


def _json(values: Mapping[str, Any] | None) -> str:
    return json.dumps(dict(values), allow_nan=False) if values else ""


def _timestamp(moment: datetime) -> Timestamp:
    if moment.tzinfo is None:
        raise ValueError("a time needs its time zone, such as datetime.timezone.utc")
    value = Timestamp()
    value.FromDatetime(moment)
    return value


def _duration(length: timedelta) -> Duration:
    value = Duration()
    value.FromTimedelta(length)
    return value
