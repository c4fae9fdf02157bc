"""The consumers of the configuration and of the store, as AdminService lists and changes them."""

import heapq
import logging
import time
from base64 import b64encode
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from pydantic import ValidationError

from sidecar.config import consumers as settings
from sidecar.config.surroundings import Surroundings
from sidecar.config.wording import faults_of
from sidecar.state.consumers.record import (
    MOST_BYTES,
    KeptConsumer,
    NewConsumer,
    UnreadableConsumer,
    dump,
    parse,
)
from sidecar.state.consumers.registry import Taken
from sidecar.state.consumers.seal import Unsealable
from sidecar.state.consumers.stored import StoredConsumers
from sidecar.state.store import StoreFailed
from sidecar.token.algorithms import SYMMETRIC
from sidecar.token.reason import CallFailed, ErrorReason
from sidecar.token.words import quoted

_NOT_STORED: Final = (
    "consumers are not kept in the store: set consumers.store: true to create and change them here"
)
_ROUNDS: Final = 10
"""How often another caller may be faster."""

log = logging.getLogger(__name__)


class Catalog:
    """All consumers. Those of the configuration can't be changed, and go before others.

    `stored` is None where none are kept in the store. No consumer may have a key in `hidden`: its
    tokens would be taken for somebody else's. Every method raises CallFailed.
    """

    def __init__(
        self,
        configured: Sequence[settings.Consumer],
        stored: StoredConsumers | None,
        hidden: Collection[str],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._configured = {one.name: one for one in configured}
        self._configured_keys = {one.key for one in configured}
        self._stored = stored
        self._hidden = hidden
        self._now = now

    async def get(self, name: str) -> KeptConsumer:
        """The consumer of this name."""
        if name in self._configured:
            return _written(self._configured[name])
        found = None
        if self._stored:
            with _failing():
                found = await self._stored.registry.get(name)
        if found is None:
            raise _not_there(name)
        return found[0]

    async def page(self, after: str, size: int) -> tuple[list[KeptConsumer], bool]:
        """The first consumers behind a name, by name, and whether there are more.

        One whose record can't be read is left out, and named in the log.
        """
        stored: list[tuple[str, bytes]] = []
        if self._stored:
            with _failing():
                stored = await self._stored.registry.page(after, size + 1, self._configured)
        written = sorted((name, b"") for name in self._configured if name > after)
        found = list(islice(heapq.merge(written, stored), size + 1))
        return list(self._read(found[:size])), len(found) > size

    async def create(self, wanted: NewConsumer) -> KeptConsumer:
        """Keeps a new consumer."""
        stored = self._store()
        if wanted.name in self._configured:
            raise _taken("name", wanted.name)
        if wanted.secret is None and wanted.public_key is None:
            needed = "secret" if wanted.algorithm in SYMMETRIC else "public_key"
            raise _invalid(needed, f"is missing; {quoted(wanted.algorithm)} needs one")
        self._check(wanted)
        now = self._now()
        with _failing():
            kept = _sealed(wanted, stored, KeptConsumer("", "", "", create_time=now), now)
            await stored.registry.create(kept)
            stored.lookup.forget(kept.name, kept.key)
        log.info("consumer %s was created", kept.name)
        return kept

    async def update(self, wanted: NewConsumer) -> KeptConsumer:
        """Keeps this in place of the consumer of that name; with no credential, it keeps its own.

        A secret that is kept is encrypted anew, with the key of now.
        """
        stored = self._writable(wanted.name)
        for _ in range(_ROUNDS):
            with _failing():
                found = await stored.registry.get(wanted.name)
                if found is None:
                    raise _not_there(wanted.name)
                before, version = found
                full = _with_credential(wanted, before, stored)
                self._check(full)
                kept = _sealed(full, stored, before, self._now())
                if await stored.registry.replace(kept, before, version):
                    stored.lookup.forget(kept.name, kept.key, before.key)
                    log.info("consumer %s was changed", kept.name)
                    return kept
        raise CallFailed(
            ErrorReason.STORE_UNAVAILABLE, f"others change consumer {wanted.name}; try again"
        )

    async def delete(self, name: str) -> None:
        """Removes a consumer."""
        stored = self._writable(name)
        with _failing():
            key = await stored.registry.delete(name)
        if key is None:
            raise _not_there(name)
        stored.lookup.forget(name, key)
        log.info("consumer %s was deleted", name)

    def _writable(self, name: str) -> StoredConsumers:
        if name in self._configured:
            raise CallFailed(
                ErrorReason.READ_ONLY,
                f"consumer {name} is one of the configuration; change it there",
                "consumer.name",
            )
        return self._store()

    def _store(self) -> StoredConsumers:
        if self._stored is None:
            raise CallFailed(ErrorReason.NOT_CONFIGURED, _NOT_STORED)
        return self._stored

    def _check(self, wanted: NewConsumer) -> None:
        """What holds for the configuration's consumers holds for this one."""
        try:
            settings.Consumer.model_validate(_members(wanted), context=Surroundings("", {}))
        except ValidationError as error:
            place, message = next(iter(faults_of(error, settings.Consumer)))
            raise _invalid(".".join(map(str, place[:1])), message) from None
        if wanted.key in self._configured_keys:
            raise _taken("key", wanted.key)
        if wanted.key in self._hidden:
            raise _invalid("key", "is the iss of an issuer, whose tokens those would be taken for")

    def _read(self, found: Sequence[tuple[str, bytes]]) -> Iterator[KeptConsumer]:
        for name, data in found:
            if name in self._configured:
                yield _written(self._configured[name])
                continue
            try:
                yield parse(name, data)
            except UnreadableConsumer as problem:
                log.warning("%s", problem)


def _written(setting: settings.Consumer) -> KeptConsumer:
    public_key = (
        setting.public_key.material.decode("ascii", "replace") if setting.public_key else ""
    )
    return KeptConsumer(
        setting.name,
        setting.key,
        setting.algorithm,
        public_key=public_key,
        labels=setting.labels,
        disabled=setting.disabled,
        grants=setting.grants,
    )


def _members(wanted: NewConsumer) -> dict[str, Any]:
    """The consumer as the configuration would have it."""
    members: dict[str, Any] = {
        "name": wanted.name,
        "key": wanted.key,
        "algorithm": wanted.algorithm,
        "labels": wanted.labels,
        "disabled": wanted.disabled,
        "scopes": wanted.grants.scopes,
        "claims": wanted.grants.claims,
        "claims_from_token": wanted.grants.from_token,
    }
    if wanted.secret is not None:
        members["secret"] = {"value": b64encode(wanted.secret).decode(), "encoding": "base64"}
    if wanted.public_key is not None:
        members["public_key"] = {"value": wanted.public_key}
    return members


def _with_credential(
    wanted: NewConsumer, before: KeptConsumer, stored: StoredConsumers
) -> NewConsumer:
    if wanted.secret is not None or wanted.public_key is not None:
        return wanted
    if before.sealed_secret:
        secret = stored.seal.open(before.name, before.sealed_secret)
        return replace(wanted, secret=secret)
    return replace(wanted, public_key=before.public_key)


def _sealed(
    wanted: NewConsumer, stored: StoredConsumers, before: KeptConsumer, now: float
) -> KeptConsumer:
    try:
        sealed = b"" if wanted.secret is None else stored.seal.close(wanted.name, wanted.secret)
    except Unsealable as problem:
        raise CallFailed(ErrorReason.NOT_CONFIGURED, str(problem), "consumer.secret") from None
    kept = KeptConsumer(
        wanted.name,
        wanted.key,
        wanted.algorithm,
        sealed,
        wanted.public_key or "",
        wanted.labels,
        wanted.disabled,
        before.create_time,
        now,
        wanted.grants,
    )
    if (size := len(dump(kept))) > MOST_BYTES:
        raise CallFailed(
            ErrorReason.LIMIT_EXCEEDED,
            f"consumer {kept.name} would take {size} bytes; at most {MOST_BYTES} are kept of one",
        )
    return kept


@contextmanager
def _failing() -> Iterator[None]:
    try:
        yield
    except Taken as taken:
        raise CallFailed(
            ErrorReason.ALREADY_EXISTS,
            f"another consumer has this {taken.field}; choose another",
            f"consumer.{taken.field}",
        ) from None
    except StoreFailed as failure:
        raise CallFailed(ErrorReason.STORE_UNAVAILABLE, str(failure)) from failure
    except UnreadableConsumer as problem:
        raise CallFailed(ErrorReason.NOT_CONFIGURED, str(problem)) from None


def _invalid(field: str, message: str) -> CallFailed:
    """Of a request with an unfit credential or a wrong field."""
    unfit = field in {"secret", "public_key"} and not message.startswith("is missing")
    reason = ErrorReason.KEY_UNFIT if unfit else ErrorReason.FIELD_INVALID
    field = "claims_json" if field == "claims" else field
    path = f"consumer.{field}" if field else "consumer"
    return CallFailed(reason, f"{path}: {message}", path)


def _taken(field: str, value: str) -> CallFailed:
    return CallFailed(
        ErrorReason.ALREADY_EXISTS,
        f"{field} {quoted(value)} is that of a consumer of the configuration; choose another",
        f"consumer.{field}",
    )


def _not_there(name: str) -> CallFailed:
    return CallFailed(
        ErrorReason.NOT_CONFIGURED,
        f"no consumer named {quoted(name)} is configured, or in the store",
        "name",
    )
