"""The last good key set, kept where a restart finds it."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from sidecar.keys.answer import Validators
from sidecar.state.store import StoreFailed
from sidecar.token.words import duration

CLOCK_TOLERANCE: Final = 300.0
"""Seconds that a saved set may be from the future: clocks differ, and are set."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Saved:
    """A JWK Set as it was fetched."""

    source: str
    """A digest of the URL that the configuration named: a set from elsewhere is never used."""
    body: bytes = field(repr=False)
    fetched_at: float
    """Seconds since the epoch."""
    validators: Validators | None = None


class Snapshots(Protocol):
    """Where one issuer's last good set is kept; either call may raise what it likes."""

    async def load(self) -> Saved | None:
        """What was saved last, None where nothing was."""

    async def save(self, saved: Saved) -> None:
        """Keeps this in place of what was there."""


@dataclass(frozen=True, slots=True)
class Vault:
    """One issuer's saved set, and whether it may still serve. Errors are logged, never raised."""

    issuer_name: str
    source: str
    snapshots: Snapshots
    now: Callable[[], float]
    """Seconds since the epoch."""

    async def load(self, max_stale: float) -> tuple[Saved, float] | None:
        """The saved set and its age in seconds; None where there is none that may serve.

        A set that is past `max_stale` or from the future by this clock does not: with a clock
        that is wrong, nobody knows how old it is.
        """
        try:
            saved = await self.snapshots.load()
        except StoreFailed as failure:
            log.warning("issuer %s: the saved keys can't be read: %s", self.issuer_name, failure)
            return None
        except Exception:
            log.exception("issuer %s: the saved keys can't be read", self.issuer_name)
            return None
        if saved is None or saved.source != self.source:
            return None
        age = self.now() - saved.fetched_at
        if -CLOCK_TOLERANCE <= age <= max_stale:
            return saved, max(age, 0.0)
        if age > max_stale:
            problem = f"{duration(age)} old, which is past max_stale"
        else:
            problem = "from the future: the clock is wrong, or was"
        log.warning("issuer %s: the saved keys are %s; not used", self.issuer_name, problem)
        return None

    async def save(self, body: bytes, validators: Validators | None) -> None:
        """Keeps a set that was fetched just now."""
        try:
            await self.snapshots.save(Saved(self.source, body, self.now(), validators))
        except StoreFailed as failure:
            log.warning("issuer %s: the keys can't be saved: %s", self.issuer_name, failure)
        except Exception:
            log.exception("issuer %s: the keys can't be saved", self.issuer_name)
