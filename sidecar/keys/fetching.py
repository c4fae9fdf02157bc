"""The remote keys of one configuration's issuers, and what they share in fetching them."""

import random
from collections.abc import Callable

from sidecar.config.issuers import Issuer
from sidecar.config.settings import Limits
from sidecar.keys.download import downloader
from sidecar.keys.held import State
from sidecar.keys.places import Places
from sidecar.keys.remote import Publish, RemoteKeys
from sidecar.keys.schedule import schedule_of
from sidecar.keys.source import fetcher, source_of
from sidecar.keys.stored import StoredSet
from sidecar.state.store import Store


class Fetching:
    """Makes the remote keys of issuers, which share the limits on what is fetched.

    `publish` is called whenever the keys of one are others; `now` gives seconds since the epoch.
    """

    def __init__(
        self, limits: Limits, store: Store, publish: Publish, now: Callable[[], float]
    ) -> None:
        self._download = downloader(limits.keys_bytes)
        self._places = Places(limits.concurrent_fetches)
        self._store = store
        self._publish = publish
        self._now = now

    def keys_of(self, issuer: Issuer, initial: State | None) -> RemoteKeys:
        """An issuer's keys, yet to be started; `initial` is what another one knows of the same."""
        source = source_of(issuer)
        keeps = issuer.keys.snapshot and self._store.is_durable
        return RemoteKeys(
            issuer.name,
            schedule_of(issuer.keys),
            fetcher(issuer.name, source, self._download, self._places),
            self._publish,
            random.random,
            now=self._now,
            initial=initial,
            snapshots=StoredSet(self._store, issuer.name) if keeps else None,
            source=source.digest,
        )
