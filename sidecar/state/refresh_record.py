"""A family of refresh tokens as a record of the store, and an answer that is sealed in it."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from sidecar.state.members import number, text
from sidecar.state.store import StoreFailed
from sidecar.token.mint import Minted, Order
from sidecar.token.refresh_family import Family, Used

KIND: Final = "refresh"
FORMAT: Final = 1
"""Of a record. A change that an older sidecar would read wrongly adds 1."""


def dump(family: Family) -> bytes:
    """The record of a family, in which nothing opens anything."""
    return json.dumps({**asdict(family), "format": FORMAT}, default=_base64).encode()


def parse(name: str, data: bytes) -> Family:
    """The family of a record; raises StoreFailed where it is none."""
    try:
        members = json.loads(data)
        written = int(members["format"])
        if written == FORMAT:
            return _family(members)
    except (KeyError, TypeError, ValueError):
        raise StoreFailed(f"refresh token family {name}: its record is damaged") from None
    raise StoreFailed(
        f"refresh token family {name}: a newer jwt-sidecar wrote its record (format {written}; "
        f"this one knows {FORMAT}); run that one"
    )


def dump_answer(minted: Minted) -> bytes:
    """An answer, to be sealed."""
    return json.dumps(asdict(minted)).encode()


def parse_answer(data: bytes) -> Minted:
    """The answer that was sealed; raises ValueError where it is none."""
    try:
        return Minted(**json.loads(data))
    except (TypeError, ValueError):
        raise ValueError("the sealed answer is damaged") from None


def _family(members: Mapping[str, Any]) -> Family:
    before, revoke_time = members["before"], members["revoke_time"]
    return Family(
        grant=_order(members["grant"]),
        issuer=text(members["issuer"]),
        issue_time=number(members["issue_time"]),
        end_time=number(members["end_time"]),
        digest=_bytes(members["digest"]),
        use_time=number(members["use_time"]),
        token_id=text(members["token_id"]),
        token_expire_time=int(number(members["token_expire_time"])),
        before=None if before is None else _used(before),
        revoke_time=None if revoke_time is None else number(revoke_time),
    )


def _used(members: Mapping[str, Any]) -> Used:
    return Used(_bytes(members["digest"]), number(members["use_time"]), _bytes(members["sealed"]))


def _order(members: Mapping[str, Any]) -> Order:
    lifetime, start = members["lifetime"], members["not_before_time"]
    return Order(
        signer=text(members["signer"]),
        subject=text(members["subject"]),
        audiences=_texts(members["audiences"]),
        scopes=_texts(members["scopes"]),
        lifetime=None if lifetime is None else number(lifetime),
        not_before_time=None if start is None else number(start),
        claims_json=text(members["claims_json"]),
        headers_json=text(members["headers_json"]),
        critical_headers=_texts(members["critical_headers"]),
        algorithm=text(members["algorithm"]),
    )


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("no list")
    return tuple(text(one) for one in value)


def _bytes(value: object) -> bytes:
    return b64decode(text(value), validate=True)


def _base64(value: object) -> str:
    """What JSON has no form for: bytes are all that there is of it."""
    if not isinstance(value, bytes):
        raise TypeError("no bytes")
    return b64encode(value).decode()
