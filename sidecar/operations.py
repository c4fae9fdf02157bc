"""What an operator asks of a running sidecar and orders: through AdminService, and as metrics."""

import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from sidecar import __version__
from sidecar.api.listeners import Listeners
from sidecar.api.metrics import counted
from sidecar.api.openmetrics import Family, text_of, together
from sidecar.engine import Engine
from sidecar.generation import Generation
from sidecar.status import (
    CacheStatus,
    ConfigStatus,
    IssuerStatus,
    Status,
    cache_statuses,
    issuer_status,
    issuer_statuses,
    signer_statuses,
)
from sidecar.token.reason import not_configured
from sidecar.token.snapshot import Issuer

if TYPE_CHECKING:
    from sidecar.state.consumers.catalog import Catalog
    from sidecar.workers.siblings import Siblings


class Operations:
    """Of the generation that serves at the time."""

    def __init__(
        self,
        engine: Engine,
        generation: Callable[[], Generation],
        listeners: Listeners,
        reload: Callable[[], Coroutine[Any, Any, bool]],
    ) -> None:
        self.reload = reload
        """Reads the configuration again; whether it was another one."""
        self.config_error = ""
        """Of the latest reload that failed; empty where none did since."""
        self.siblings: Siblings | None = None
        """The other workers; None where this is the only process."""
        self._engine = engine
        self._generation = generation
        self._listeners = listeners
        self._start_time = time.time()

    async def status(self) -> Status:
        """How the sidecar is."""
        generation, snapshot = self._generation(), self._engine.snapshot
        return Status(
            __version__,
            self._start_time,
            ConfigStatus(await generation.hash(), generation.load_time, self.config_error),
            issuer_statuses(snapshot, generation.sources),
            self._caches(),
            signer_statuses(snapshot),
        )

    async def refresh_keys(self, issuer_name: str, at_most: float) -> IssuerStatus:
        """Fetches an issuer's keys now, within its limit, and waits so many seconds.

        Raises CallFailed with NOT_CONFIGURED.
        """
        self._issuer(issuer_name)
        source = self._generation().sources.get(issuer_name)
        if source is not None:
            await source.refresh(at_most)
        return issuer_status(self._issuer(issuer_name), self._generation().sources.get(issuer_name))

    def consumers(self) -> "Catalog":
        """Those of the configuration and of the store."""
        from sidecar.state.consumers.catalog import Catalog

        generation = self._generation()
        setting = generation.settings.consumers
        issuers = self._engine.snapshot.issuers_by_iss
        hidden = issuers if setting and setting.key_claim == "iss" else ()
        return Catalog(setting.all if setting else (), generation.consumers, hidden)

    async def metrics(self) -> str:
        """What a scraper gets: the counts of all workers."""
        counts = self.counts()
        if self.siblings:
            counts = together((counts, *await self.siblings.counts()))
        return text_of(counts)

    def counts(self) -> tuple[Family, ...]:
        """What this process has counted."""
        return counted(
            self._engine.metrics,
            self._engine.snapshot.issuers.values(),
            self._generation().sources,
            self._caches(),
            [listener.transport for listener in self._listeners.all],
            self._engine.turns.refused,
            time.time(),
        )

    def _issuer(self, name: str) -> Issuer:
        """The issuer of this name, which a reload may have removed; raises CallFailed."""
        issuers = self._engine.snapshot.issuers
        if name not in issuers:
            raise not_configured("issuer", name, issuers, "issuer_name")
        return issuers[name]

    def _caches(self) -> tuple[CacheStatus, ...]:
        generation = self._generation()
        return cache_statuses(
            self._engine.seen_tokens,
            generation.subjects.remembered() if generation.subjects else {},
            generation.consumers.lookup.cache if generation.consumers else None,
        )
