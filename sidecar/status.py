"""What an operator is told of a running sidecar. No secret is in it; times are since the epoch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from sidecar.token.key import Key
from sidecar.token.seen import SeenTokens
from sidecar.token.snapshot import Issuer, Signer, Snapshot


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """A key that tokens are verified with."""

    key_id: str
    type: str
    algorithm: str
    """Every `alg` that it may verify, joined by commas."""


@dataclass(frozen=True, slots=True)
class IssuerStatus:
    """An issuer and its keys."""

    name: str
    issuer: str
    source: str
    keys: tuple[KeyStatus, ...]
    fetch_time: float | None = None
    next_fetch_time: float | None = None
    fetch_error: str = ""
    """Empty where the latest fetch worked."""
    stale: bool = False


@dataclass(frozen=True, slots=True)
class CacheStatus:
    """A cache, and what it was asked since it was made."""

    name: str
    entries: int
    capacity: int
    hits: int
    misses: int


@dataclass(frozen=True, slots=True)
class SignerStatus:
    """A signer and the names of its keys, that of the one that signs first."""

    name: str
    key_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ConfigStatus:
    """The configuration that is in use."""

    hash: str
    load_time: float
    error: str = ""
    """Of the latest reload that failed; empty where none did since."""


@dataclass(frozen=True, slots=True)
class Status:
    """All of it."""

    version: str
    start_time: float
    config: ConfigStatus
    issuers: tuple[IssuerStatus, ...]
    caches: tuple[CacheStatus, ...]
    signers: tuple[SignerStatus, ...]


class Fetching(Protocol):
    """What is known of an issuer's remote keys."""

    @property
    def next_fetch_time(self) -> float | None:
        """When they are fetched again; None while they are."""

    @property
    def stale(self) -> bool:
        """Whether they are older than they should be, and still used."""


class CountedCache(Protocol):
    """A cache that counts what it is asked."""

    capacity: int
    hits: int
    misses: int

    def __len__(self) -> int: ...


def issuer_statuses(
    snapshot: Snapshot, fetching: Mapping[str, Fetching]
) -> tuple[IssuerStatus, ...]:
    """Every issuer, in the order of the configuration."""
    return tuple(issuer_status(one, fetching.get(one.name)) for one in snapshot.issuers.values())


def issuer_status(issuer: Issuer, fetching: Fetching | None) -> IssuerStatus:
    """One issuer; `fetching` is None where its keys are local."""
    keys = tuple(_key_status(key) for key in issuer.keys.keys) if issuer.keys else ()
    iss = "*" if issuer.issuer is None else issuer.issuer
    if fetching is None:
        return IssuerStatus(issuer.name, iss, issuer.source, keys)
    return IssuerStatus(
        issuer.name,
        iss,
        issuer.source,
        keys,
        issuer.fetch_time,
        fetching.next_fetch_time,
        issuer.problem,
        fetching.stale,
    )


def cache_statuses(
    tokens: SeenTokens | None,
    subjects: Mapping[str, CountedCache],
    consumers: CountedCache | None,
) -> tuple[CacheStatus, ...]:
    """Those that there are: of tokens, of consumers in the store, of subjects by directory."""
    caches: dict[str, CountedCache] = {}
    if tokens is not None:
        caches = {"tokens": tokens.verified, "refused": tokens.refused}
    if consumers is not None:
        caches["consumers"] = consumers
    caches |= {f"subjects.{name}": one for name, one in subjects.items()}
    return tuple(
        CacheStatus(name, len(one), one.capacity, one.hits, one.misses)
        for name, one in caches.items()
    )


def signer_statuses(snapshot: Snapshot) -> tuple[SignerStatus, ...]:
    """Every signer, in the order of the configuration."""
    return tuple(_signer_status(one) for one in snapshot.signers.values())


def _signer_status(signer: Signer) -> SignerStatus:
    return SignerStatus(signer.name, tuple(key.key_id for key in signer.keys))


def _key_status(key: Key) -> KeyStatus:
    return KeyStatus(key.key_id or "", key.type, ", ".join(sorted(key.algorithms)))
