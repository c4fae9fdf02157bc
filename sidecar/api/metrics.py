"""The metrics of a running sidecar, under the names of the contract."""

import platform
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Protocol

from sidecar import __version__
from sidecar.api.openmetrics import Family, counter, gauge, histogram, info
from sidecar.metrics import Metrics
from sidecar.status import CacheStatus
from sidecar.token.snapshot import Issuer


class Fetched(Protocol):
    """What is counted of an issuer's remote keys."""

    @property
    def fetches(self) -> Mapping[Any, int]:
        """How many fetches ended how."""


def counted(
    metrics: Metrics,
    issuers: Collection[Issuer],
    sources: Mapping[str, Fetched],
    caches: Collection[CacheStatus],
    transports: Collection[str],
    turned_away: int,
    now: float,
) -> tuple[Family, ...]:
    """What this process counts at this moment, in seconds since the epoch."""
    return (
        *_decisions(metrics),
        *_caches(caches),
        *_keys(issuers, sources, now),
        *_counters(metrics),
        counter(
            "jwt_sidecar_calls_turned_away",
            "Calls that came when as many as limits.concurrent_calls were at work.",
            (({}, turned_away),),
        ),
        *_process(transports),
    )


def _process(transports: Collection[str]) -> Iterator[Family]:
    yield info(
        "jwt_sidecar_build",
        "Version of the sidecar and of Python, and its gRPC transports.",
        {
            "version": __version__,
            "python": platform.python_version(),
            "transport": "+".join(sorted(set(transports))),
        },
    )
    yield gauge("jwt_sidecar_workers", "Processes whose counts are in this answer.", (({}, 1),))


def _decisions(metrics: Metrics) -> Iterator[Family]:
    yield counter(
        "jwt_sidecar_decisions",
        "Decisions by surface, issuer and reason; OK is a yes.",
        (
            ({"surface": surface, "issuer": issuer, "reason": reason}, count)
            for (surface, issuer, reason), count in metrics.decisions.items()
        ),
    )
    yield histogram(
        "jwt_sidecar_decision_seconds",
        "How long decisions took, waiting for keys included.",
        (({"surface": surface}, one) for surface, one in metrics.seconds.items()),
    )


def _caches(caches: Collection[CacheStatus]) -> Iterator[Family]:
    found = [({"cache": one.name}, one) for one in caches]
    yield counter(
        "jwt_sidecar_cache_hits",
        "Look-ups that found something.",
        ((labels, one.hits) for labels, one in found),
    )
    yield counter(
        "jwt_sidecar_cache_misses",
        "Look-ups that found nothing.",
        ((labels, one.misses) for labels, one in found),
    )
    yield gauge(
        "jwt_sidecar_cache_entries",
        "Entries in a cache.",
        ((labels, one.entries) for labels, one in found),
    )


def _keys(
    issuers: Collection[Issuer], sources: Mapping[str, Fetched], now: float
) -> Iterator[Family]:
    yield counter(
        "jwt_sidecar_key_fetches",
        "Fetches of an issuer's keys, by outcome.",
        (
            ({"issuer": name, "outcome": str(outcome)}, count)
            for name, source in sources.items()
            for outcome, count in source.fetches.items()
        ),
    )
    yield gauge(
        "jwt_sidecar_keys_age_seconds",
        "Time since an issuer's keys were fetched.",
        (
            ({"issuer": one.name}, max(0.0, now - one.fetch_time))
            for one in issuers
            if one.fetch_time is not None
        ),
        "max",
    )


def _counters(metrics: Metrics) -> Iterator[Family]:
    for name, text, label, counts in (
        ("tokens_issued", "Tokens that were minted; a consumer's have no signer.", "signer",
         metrics.issued),
        ("revocations", "Revocations that were made here, by kind.", "kind", metrics.revocations),
        ("config_reloads", "Reloads of the configuration, by outcome.", "outcome", metrics.reloads),
        ("store_errors", "Failures of the store, by operation.", "operation", metrics.store_errors),
        ("headers_left_out", "Headers not set, as their value can't be sent.", "header",
         metrics.left_out),
    ):  # fmt: skip
        yield counter(
            f"jwt_sidecar_{name}", text, (({label: value}, n) for value, n in counts.items())
        )
