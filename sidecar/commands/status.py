"""`jwt-sidecar status`."""

import argparse
from collections.abc import Iterator, Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from sidecar.cli import DONE
from sidecar.commands.client import TIMEOUT, admin_service
from sidecar.commands.printing import print_as_json, table
from sidecar.v1 import admin_service_pb2 as messages


def status(options: argparse.Namespace) -> int:
    """Prints how a running sidecar is, as tables."""
    with admin_service(options) as service:
        response = service.GetStatus(messages.GetStatusRequest(), timeout=TIMEOUT)
    if options.json:
        print_as_json(response)
    else:
        print("\n".join(_lines(response)))
    return DONE


def _lines(response: messages.GetStatusResponse) -> Iterator[str]:
    yield f"jwt-sidecar {response.version}, started {_time(response.start_time)}"
    yield f"configuration {response.config_hash[:12]}, loaded {_time(response.config_load_time)}"
    if response.config_error:
        yield f"the latest reload failed: {response.config_error}"
    if response.issuers:
        yield ""
        yield from table(("ISSUER", "KEYS", "FETCHED", "NEXT", "FROM"), _issuers(response))
        yield from (
            f"{one.name}: {'STALE: ' if one.stale else ''}{one.fetch_error}"
            for one in response.issuers
            if one.fetch_error
        )
    if response.caches:
        yield ""
        yield from table(("CACHE", "ENTRIES", "CAPACITY", "HITS", "MISSES"), _caches(response))
    if response.signers:
        yield ""
        rows = ((one.name, ", ".join(one.key_ids)) for one in response.signers)
        yield from table(("SIGNER", "KEYS, THE SIGNING ONE FIRST"), rows)


def _issuers(response: messages.GetStatusResponse) -> Iterator[Sequence[str]]:
    for one in response.issuers:
        keys = ", ".join(f"{key.key_id or '(unnamed)'} ({key.algorithm})" for key in one.keys)
        fetched = _time(one.fetch_time) if one.HasField("fetch_time") else "-"
        due = _time(one.next_fetch_time) if one.HasField("next_fetch_time") else "-"
        yield one.name, keys or "none", fetched, due, one.source


def _caches(response: messages.GetStatusResponse) -> Iterator[Sequence[str]]:
    for one in response.caches:
        yield one.name, str(one.entries), str(one.capacity), str(one.hits), str(one.misses)


def _time(moment: Timestamp) -> str:
    return f"{moment.ToDatetime():%Y-%m-%dT%H:%M:%SZ}"
