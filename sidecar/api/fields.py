"""Fields of requests read strictly, and values of ours put into messages."""

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.token.claims import LAST_SECOND, RequiredClaim, required_claims
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.token.request import Proof
from sidecar.token.strict_json import parse_object
from sidecar.token.words import quoted
from sidecar.v1.token_service_pb2 import ProofOfPossession

_NANOS = 1_000_000_000
_SHA256_BYTES = 32
_ABSOLUTE = re.compile(r"https?://[^/?#]", re.IGNORECASE)
_MOST_CLAIMS = 64 * 1024
"""Characters of required claims."""
_MAX_DEPTH = 32
"""Levels of a JSON object that is kept."""
_LONGEST_DURATION = 315_576_000_000  # seconds, 10,000 years (google/protobuf/duration.proto)


def invalid(field: str, message: str) -> CallFailed:
    """The failure of a request because of one field."""
    return CallFailed(ErrorReason.FIELD_INVALID, f"{field}: {message}", field)


def names(field: str, values: Iterable[str]) -> tuple[str, ...]:
    """Values that must not be empty; raises CallFailed."""
    read = tuple(values)
    if "" in read:
        raise invalid(field, "an element is empty")
    return read


def claims(field: str, text: str, max_depth: int) -> tuple[RequiredClaim, ...]:
    """The required claims in a JSON object; raises CallFailed."""
    if not text:
        return ()
    if len(text) > _MOST_CLAIMS:
        raise invalid(field, f"it has {len(text)} characters; at most {_MOST_CLAIMS} are taken")
    try:
        return required_claims(parse_object(text.encode("utf-8"), max_depth))
    except ValueError as error:
        raise invalid(field, f"it must be a JSON object of claim path to value: {error}") from error


def json_object(field: str, text: str) -> dict[str, Any]:
    """The JSON object in a text, an empty one if there is none; raises CallFailed."""
    if not text:
        return {}
    try:
        return parse_object(text.encode("utf-8"), _MAX_DEPTH)
    except ValueError as error:
        raise invalid(field, f"it must be a JSON object: {error}") from error


def address(field: str, text: str) -> str:
    """An IP address in text, or nothing; raises CallFailed."""
    if text:
        try:
            ipaddress.ip_address(text)
        except ValueError as error:
            raise invalid(
                field, f"{quoted(text)} is neither an IPv4 nor an IPv6 address"
            ) from error
    return text


def proof(field: str, message: ProofOfPossession) -> Proof:
    """What shows that the presenter holds a key; raises CallFailed."""
    certificate = message.client_certificate_sha256
    if certificate and len(certificate) != _SHA256_BYTES:
        raise invalid(
            f"{field}.client_certificate_sha256",
            f"it has {len(certificate)} bytes; a SHA-256 has {_SHA256_BYTES}",
        )
    if message.dpop:
        if not message.http_method:
            raise invalid(f"{field}.http_method", "it is empty; a DPoP proof is made for a method")
        # What stands behind it is the client's, and a reason to refuse its proof.
        if not _ABSOLUTE.match(message.http_uri):
            raise invalid(
                f"{field}.http_uri",
                "it must be an absolute http or https URI: that of the request",
            )
    return Proof(message.dpop, message.http_method, message.http_uri, certificate)


def seconds(field: str, value: Duration) -> float:
    """A duration in seconds; raises CallFailed where it is no valid one."""
    in_range = abs(value.seconds) <= _LONGEST_DURATION and abs(value.nanos) < _NANOS
    if not in_range or value.seconds * value.nanos < 0:
        raise invalid(field, "it is out of the range of a Duration")
    return value.seconds + value.nanos / _NANOS


def moment(field: str, value: Timestamp) -> float:
    """A time in seconds since the epoch; raises CallFailed where it is no valid one."""
    if not (0 <= value.nanos < _NANOS and abs(value.seconds) <= LAST_SECOND):
        raise invalid(field, "it is out of the range of a Timestamp")
    return value.seconds + value.nanos / _NANOS


def timestamp(value: float) -> Timestamp:
    """A Timestamp of seconds since the epoch, which lie in its range."""
    made = Timestamp()
    set_time(made, value)
    return made


def set_time(field: Timestamp, value: float) -> None:
    """Sets a field of a message to a time in seconds since the epoch, which lie in its range."""
    whole = int(value)
    field.seconds = whole
    if whole != value:
        field.nanos = int((value - whole) * _NANOS)
