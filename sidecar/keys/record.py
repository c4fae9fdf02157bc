"""A signer's ring of keys as a record of the store."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from sidecar.state.members import number, text
from sidecar.token.ring import Ring, RingKey

KIND: Final = "signer_keys"
FORMAT: Final = 1
"""Of a record. A change that an older sidecar would read wrongly adds 1."""


class UnreadableRing(Exception):
    """A record that is no ring of keys, or a newer sidecar's. The message holds no key."""


def dump(ring: Ring) -> bytes:
    """The record of a ring, private keys and all."""
    keys = [{**asdict(key), "private_key": b64encode(key.private_key).decode()} for key in ring]
    return json.dumps({"format": FORMAT, "keys": keys}).encode()


def parse(data: bytes) -> Ring:
    """The ring of a record; raises UnreadableRing."""
    try:
        record = json.loads(data)
        written = int(record["format"])
        if written == FORMAT:
            return tuple(_key(members) for members in record["keys"])
    except (KeyError, TypeError, ValueError):
        raise UnreadableRing("they are damaged") from None
    raise UnreadableRing(
        f"a newer jwt-sidecar wrote them (format {written}; this one knows {FORMAT}); run that one"
    )


def _key(members: Mapping[str, Any]) -> RingKey:
    unused = members["unused_since"] is None
    return RingKey(
        key_id=text(members["key_id"]),
        algorithm=text(members["algorithm"]),
        name=text(members["name"]),
        private_key=b64decode(text(members["private_key"]), validate=True),
        created=number(members["created"]),
        signs_from=number(members["signs_from"]),
        token_lifetime=number(members["token_lifetime"]),
        unused_since=None if unused else number(members["unused_since"]),
    )
