"""What the upstream is told when a request may pass."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sidecar.authorization.credentials import Removal
from sidecar.authorization.policy import Forward
from sidecar.token.claims import find
from sidecar.token.request import Verified

LONGEST_VALUE: Final = 8192
"""A header value of more bytes is left out, as one with control characters is."""


@dataclass(frozen=True, slots=True)
class Admission:
    """How the request is changed on its way to the upstream; header names in lower case."""

    set_headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Each replaces whatever the client sent under that name."""
    remove_headers: tuple[str, ...] = ()
    remove_query_parameters: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    """Headers whose value can't be sent, so that they are removed and not set."""


def admit(
    verified: Verified | None, forward: Forward, removal: Removal, spellings: Iterable[str] = ()
) -> Admission:
    """Return the change to a request; None: it passes without a token.

    Every header named in `forward` is either set or removed: a client can't set it. `spellings` are
    headers of the request that an upstream may take for one of these; they are removed.
    """
    found = dict(_forwarded(verified, forward)) if verified else {}
    headers = {name: value for name, value in found.items() if _sendable(value)}
    left_out = tuple(found.keys() - headers.keys())
    names = forward.names
    removed = names.union(spellings) - headers.keys()
    # A token that counts as none goes no further in any case.
    if verified and not forward.remove_token:
        return Admission(headers, tuple(sorted(removed)), left_out=left_out)
    rest = {name: value for name, value in removal.set_headers.items() if name not in removed}
    return Admission(
        {**rest, **headers},
        tuple(sorted(removed.union(removal.headers) - headers.keys())),
        removal.query_parameters,
        left_out,
    )


def _forwarded(verified: Verified, forward: Forward) -> Iterator[tuple[str, str]]:
    """The headers for which there is something; empty where that has no text."""
    for name, wanted in forward.headers.items():
        claim = find(verified.claims, wanted.path)
        if wanted.keys and isinstance(claim, dict):
            claim = list(claim)
        if claim not in (None, "", []):
            yield name, as_text(claim)
    if forward.payload_header:
        yield forward.payload_header, verified.payload
    if verified.consumer:
        if forward.consumer_header:
            yield forward.consumer_header, verified.consumer.name
        for name, label in forward.label_headers.items():
            if label in verified.consumer.labels:
                yield name, verified.consumer.labels[label]


def as_text(claim: Any) -> str:
    """A claim as a header's value, empty where it can't be told apart.

    Arrays are joined by commas, so one with a comma inside an element, or with an element that
    has no text, has none either.
    """
    if isinstance(claim, str):
        return claim
    if isinstance(claim, list):
        elements = ["" if one is None else as_text(one) for one in claim]
        return "" if any(not one or "," in one for one in elements) else ",".join(elements)
    return json.dumps(claim, separators=(",", ":"), ensure_ascii=False)


def _sendable(value: str) -> bool:
    """Whether a value can stand in a header as it is (RFC 9110, section 5.5)."""
    if not value or not value.isprintable() or value != value.strip():
        return False
    return len(value.encode("utf-8")) <= LONGEST_VALUE
