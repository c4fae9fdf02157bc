"""One configuration at work: its snapshot, and what keeps the keys in it.

A reload starts the next generation beside the one that serves, waits for its keys, and swaps the
two; what both have in common is handed over.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final

from sidecar.aiohttp_import import without_certificates
from sidecar.config.issuers import Issuer
from sidecar.config.load import Configuration, public_hash
from sidecar.config.policy import policies_of
from sidecar.config.signers import Signer
from sidecar.config.snapshot import build, build_signer
from sidecar.state.store import Store
from sidecar.token.keyset import KeySet
from sidecar.token.snapshot import GeneratedKeys, Snapshot

if TYPE_CHECKING:
    from sidecar.keys.fetching import Fetching
    from sidecar.keys.held import State
    from sidecar.keys.remote import RemoteKeys
    from sidecar.state.consumers.stored import StoredConsumers
    from sidecar.state.refresh_tokens import RefreshTokens
    from sidecar.subjects.directories import Directories

MOST_WAITED: Final = 5.0
"""Seconds that a reload waits for the first keys of issuers that are new."""

log = logging.getLogger(__name__)


class Generation:
    """One configuration, with the keys of this moment in `snapshot`.

    `changed` is called whenever the snapshot is another one; `now` gives seconds since the epoch,
    `steady` such that never run ahead of monotonic time.
    """

    def __init__(
        self,
        configuration: Configuration,
        changed: Callable[[], None],
        now: Callable[[], float],
        steady: Callable[[], float],
    ) -> None:
        self.configuration = configuration
        self.settings = configuration.settings
        self.policies = policies_of(self.settings)
        self.load_time = now()
        self.snapshot: Snapshot = build(self.settings, generated={})
        self.sources: dict[str, RemoteKeys] = {}
        """The issuers' remote keys, by name."""
        self.refresh_tokens: RefreshTokens | None = None
        """None where no signer issues any."""
        self.subjects: Directories | None = None
        """The subject directories, where there are any."""
        self.consumers: StoredConsumers | None = None
        """Those in the store; None where none are."""
        self._remote = {one.name: one for one in self.settings.issuers if one.keys.are_remote}
        self._changed = changed
        self._now = now
        self._steady = steady
        self._hash = ""
        self._stack = AsyncExitStack()
        self._fetching: Fetching
        """Set where any keys are remote."""

    async def prepare(self, store: Store, before: "Generation | None" = None) -> None:
        """Has keys generated, and those fetched that the generation before does not have.

        At a start, where there is none before, nothing that is fetched is waited for, and a Redis
        that is away neither: the generated keys come when it does. At a reload the fetches may take
        MOST_WAITED. Raises StoreFailed; then this generation is to be closed.
        """
        self._warn_of_loss(store)
        self._open_subjects(before)
        setting = self.settings.store
        may_wait = before is None and setting is not None and setting.url.redis is not None
        await self._start_generating(store, may_wait)
        self._open_refreshing(store)
        if not self._has_consumers_from(before):
            self._start_consumers(store)
        if self._remote:
            self._open_fetching(store)
        for one in self._remote.values():
            if not self._has_from(before, one):
                self._fetch(one, None)
        if before and self.sources:
            await asyncio.wait(
                [
                    asyncio.create_task(source.wait_for_keys(MOST_WAITED))
                    for source in self.sources.values()
                ]
            )

    def take_over(self, before: "Generation") -> None:
        """Goes on with the keys that both have, as the one before left them."""
        for name, one in self._remote.items():
            if self._has_from(before, one):
                self._fetch(one, before.sources[name].hand_over())
        if self._has_consumers_from(before):
            self.consumers, before.consumers = before.consumers, None
        if self.subjects and before.subjects:
            self.subjects.take_over(before.subjects)

    async def hash(self) -> str:
        """A hash of its settings, to compare sidecars by."""
        if not self._hash:
            self._hash = await asyncio.to_thread(public_hash, self.configuration)
        return self._hash

    async def close(self) -> None:
        """Ends all that it does; the snapshot stays as it is."""
        self._changed = _nothing
        if self.consumers:
            await self.consumers.stop()
        await self._stack.aclose()

    def _warn_of_loss(self, store: Store) -> None:
        """Says so where what is used up would not stay so."""
        for issuer in self.settings.issuers:
            if issuer.one_time and not store.is_durable:
                log.warning(
                    "issuer %s: without a store (setting store) a token that passes once "
                    "(one_time) passes once more after a restart",
                    issuer.name,
                )

    async def _start_generating(self, store: Store, may_wait: bool) -> None:
        if not any(key.generate for signer in self.settings.signers for key in signer.keys):
            return
        from sidecar.keys.rotation import generated_keys

        await self._stack.enter_async_context(
            generated_keys(
                self.settings.signers, store, self._set_signer, self._now, may_wait=may_wait
            )
        )

    def _open_refreshing(self, store: Store) -> None:
        names = [one.name for one in self.settings.signers if one.refresh]
        if not names:
            return
        from sidecar.state.refresh_tokens import RefreshTokens

        self.refresh_tokens = RefreshTokens(store, self._now, self._steady)
        for name in () if store.is_durable else names:
            log.warning(
                "signer %s: without a store (setting store) its refresh tokens end with this "
                "process",
                name,
            )

    def _open_subjects(self, before: "Generation | None") -> None:
        if not self.settings.subjects:
            return
        from sidecar.subjects.directories import Directories

        self.subjects = Directories(self.settings.subjects, self._now)
        self.subjects.open(before.subjects if before else None)
        self._stack.push_async_callback(self.subjects.close)

    def _start_consumers(self, store: Store) -> None:
        setting = self.settings.consumers
        if setting is None or not setting.store:
            return
        from sidecar.state.consumers.stored import StoredConsumers

        self.consumers = StoredConsumers(store, self.settings.store, setting.cache, self._now)
        self.consumers.start()

    def _has_consumers_from(self, before: "Generation | None") -> bool:
        """Whether the one before remembers just what this one would of those in the store."""
        if before is None:
            return False
        ours, theirs = self.settings.consumers, before.settings.consumers
        if not (ours and ours.store and theirs and theirs.store):
            return False
        return ours.cache == theirs.cache and self.settings.store == before.settings.store

    def _has_from(self, before: "Generation | None", one: Issuer) -> bool:
        """Whether the one before fetches the same keys."""
        other = before._remote.get(one.name) if before else None
        if other is None:
            return False
        from sidecar.keys.source import source_of

        return source_of(other) == source_of(one)

    def _open_fetching(self, store: Store) -> None:
        with without_certificates():
            from sidecar.keys.fetching import Fetching

        self._fetching = Fetching(self.settings.limits, store, self._set_keys, self._now)

    def _fetch(self, issuer: Issuer, initial: "State | None") -> None:
        keys = self.sources[issuer.name] = self._fetching.keys_of(issuer, initial)
        self._stack.push_async_callback(keys.stop)
        keys.start()

    def _set_keys(self, issuer_name: str, keys: KeySet | None, problem: str) -> None:
        fetch_time = self.sources[issuer_name].fetch_time
        self.snapshot = self.snapshot.with_keys(issuer_name, keys, problem, fetch_time)
        self._changed()

    def _set_signer(self, signer: Signer, generated: GeneratedKeys) -> None:
        self.snapshot = self.snapshot.with_signer(*build_signer(signer, generated))
        self._changed()


def _nothing() -> None:
    """Called where nobody is interested any more."""
