"""A consumer as a record of the store."""

import hashlib
import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.token.grants import problems
from sidecar.token.snapshot import NO_GRANTS, Grants

KIND: Final = "consumer"
"""Records of consumers, by name. An empty one says that the consumer was deleted."""
KEY_KIND: Final = "consumer_key"
"""Who has a key: the name, by the digest of the key."""
FORMAT: Final = 1
"""Of a record. A change that an older sidecar would read wrongly adds 1."""
MOST_BYTES: Final = 64 * 1024
"""Of a record. A certificate has 2 KiB; a cache of ten thousand consumers stays bounded."""


class UnreadableConsumer(Exception):
    """A record, or a secret in one, that can't be read: whose it is, why and what helps."""


@dataclass(frozen=True, slots=True)
class KeptConsumer:
    """What is kept of a consumer, or written of it in the configuration."""

    name: str
    key: str
    algorithm: str
    sealed_secret: bytes = field(default=b"", repr=False)
    """As `Seal` gives it; empty where the consumer has a public key."""
    public_key: str = ""
    """PEM; empty where the consumer has a secret."""
    labels: Mapping[str, str] = field(default_factory=dict)
    disabled: bool = False
    create_time: float | None = None
    """Seconds since the epoch; None for one of the configuration."""
    update_time: float | None = None
    grants: Grants = NO_GRANTS


@dataclass(frozen=True, slots=True)
class NewConsumer:
    """What a caller wants a consumer to be; the fields are those of the contract's Consumer."""

    name: str
    key: str
    algorithm: str
    secret: bytes | None = field(default=None, repr=False)
    public_key: str | None = None
    disabled: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    grants: Grants = NO_GRANTS


def dump(consumer: KeptConsumer) -> bytes:
    """The record of a consumer."""
    members = {
        "format": FORMAT,
        "key": consumer.key,
        "algorithm": consumer.algorithm,
        "sealed_secret": b64encode(consumer.sealed_secret).decode(),
        "public_key": consumer.public_key,
        "labels": dict(consumer.labels),
        "disabled": consumer.disabled,
        "create_time": consumer.create_time,
        "update_time": consumer.update_time,
        "scopes": consumer.grants.scopes,
        "claims": dict(consumer.grants.claims),
        "claims_from_token": consumer.grants.from_token,
    }
    return json.dumps(members, separators=(",", ":")).encode()


def parse(name: str, data: bytes) -> KeptConsumer:
    """The consumer of a record that is not empty; raises UnreadableConsumer."""
    try:
        members = json.loads(data)
        written = int(members["format"])
        if written == FORMAT:
            return _consumer(name, members)
    except (KeyError, TypeError, ValueError):
        raise UnreadableConsumer(
            f"the record of consumer {name} in the store is damaged; restore it from a backup"
        ) from None
    raise UnreadableConsumer(
        f"a newer jwt-sidecar wrote consumer {name} (format {written}; this one knows {FORMAT}); "
        "run that one"
    )


def digest_of(key: str) -> str:
    """The name of the record that says who has this key: short, whatever the key is."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


def _consumer(name: str, members: Mapping[str, Any]) -> KeptConsumer:
    labels = members["labels"]
    texts = (members["key"], members["algorithm"], members["public_key"], *labels, *labels.values())
    if not all(isinstance(one, str) for one in texts) or type(members["disabled"]) is not bool:
        raise ValueError("a member of another type")
    return KeptConsumer(
        name,
        members["key"],
        members["algorithm"],
        b64decode(members["sealed_secret"], validate=True),
        members["public_key"],
        labels,
        members["disabled"],
        float(members["create_time"]),
        float(members["update_time"]),
        _grants(members),
    )


def _grants(members: Mapping[str, Any]) -> Grants:
    """What the record grants: nothing, if a jwt-sidecar wrote it that knew no grants."""
    claims = members.get("claims", {})
    scopes, from_token = members.get("scopes", []), members.get("claims_from_token", [])
    if not isinstance(claims, dict) or any(type(one) is not list for one in (scopes, from_token)):
        raise ValueError("a member of another type")
    if not all(isinstance(one, str) for one in (*scopes, *from_token)):
        raise ValueError("a member of another type")
    grants = Grants(tuple(scopes), claims, tuple(from_token))
    if any(problems(grants)):
        raise ValueError("grants that no consumer can have")
    return grants
