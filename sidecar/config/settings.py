"""All settings of the file. What is not here is refused as an unknown key, never ignored."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from sidecar.config.authorization import Authorization
from sidecar.config.consumers import Consumers
from sidecar.config.issuers import Issuer
from sidecar.config.listeners import Http, Listener
from sidecar.config.section import Fault, Many, Maybe, NotEmpty, Section
from sidecar.config.signers import Signer
from sidecar.config.store import Store
from sidecar.config.subjects import Subjects
from sidecar.config.units import Duration, Size, lasting, sized


class Limits(Section):
    """Bounds on what is looked at."""

    token_bytes: Annotated[Size, sized(1, "1MiB")] = Field(default="16KiB", validate_default=True)
    """Longest token."""
    json_depth: Annotated[int, Field(ge=1, le=32)] = 32
    """Deepest nesting of a header or claims set. A level is three messages in ext_authz's answer,
    and Envoy reads 100 in each other: what it can't read, failure_mode_allow lets through."""
    keys_bytes: Annotated[Size, sized(1, "64MiB")] = Field(default="1MiB", validate_default=True)
    """Largest JWK Set or discovery document that is fetched."""
    concurrent_fetches: Annotated[int, Field(ge=1, le=1000)] = 8
    """Fetches of keys at the same time."""
    concurrent_calls: Annotated[int, Field(ge=1, le=1_000_000)] = 2000
    """Calls at work at the same time, those that wait for keys, a store or a directory among them;
    more are answered RESOURCE_EXHAUSTED, and 503 at proxies. What is answered from memory does not
    count."""


class VerifiedCache(Section):
    """Tokens that were verified, so that their signatures need not be verified again."""

    entries: Annotated[int, Field(ge=0, le=10_000_000)] = 100_000
    """At most so many; 0: none. Roughly 144 MiB is the most that they may take."""
    ttl: Annotated[Duration, lasting("1s", "1d")] = Field(default="10m", validate_default=True)
    """Forgotten after this, or at `exp`."""


class RefusedCache(Section):
    """Tokens whose signatures did not hold, which never push out one whose did."""

    entries: Annotated[int, Field(ge=0, le=10_000_000)] = 10_000
    """At most so many; 0: none."""
    ttl: Annotated[Duration, lasting("1s", "1d")] = Field(default="10s", validate_default=True)
    """Forgotten after this."""


class Cache(Section):
    """What is remembered of tokens. No check is skipped because of it."""

    tokens: VerifiedCache = VerifiedCache()
    """Those that were verified."""
    refused: RefusedCache = RefusedCache()
    """Those whose signatures did not hold."""


class Log(Section):
    """What is logged."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe that is logged."""
    format: Literal["json", "text"] = "json"
    """An object or a line of text for each event."""
    decisions: Literal["none", "refused", "all"] = "refused"
    """Which decisions are logged. Refusals are limited in number, reason by reason."""


class Shutdown(Section):
    """How the sidecar stops."""

    drain: Annotated[Duration, lasting("0s", "1h")] = Field(default="5s", validate_default=True)
    """From the signal, on which health says NOT_SERVING, until no new calls are taken."""
    grace: Annotated[Duration, lasting("0s", "1h")] = Field(default="10s", validate_default=True)
    """How long running calls may then take."""


class Settings(Section):
    """The configuration of jwt-sidecar."""

    listeners: Annotated[Many[Listener], NotEmpty]
    """gRPC listeners, at least one."""
    http: Maybe[Http] = None
    """The HTTP listener."""
    issuers: Many[Issuer] = ()
    """Whose tokens are accepted."""
    consumers: Maybe[Consumers] = None
    """Callers known by a key claim and their own credential."""
    signers: Many[Signer] = ()
    """What tokens are issued with."""
    store: Maybe[Store] = None
    """What outlives a request; absent: in memory."""
    subjects: Many[Subjects] = ()
    """Directories that say whether the user exists whom a token names."""
    authorization: Maybe[Authorization] = None
    """How HTTP requests are authorized, for ext_authz."""
    limits: Limits = Limits()
    """Bounds on what is looked at."""
    cache: Cache = Cache()
    """What is remembered of tokens."""
    log: Log = Log()
    """What is logged."""
    shutdown: Shutdown = Shutdown()
    """How the sidecar stops."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that serve, for machines with cores to spare."""

    def contradictions(self) -> Iterator[Fault]:
        """What one worker does must hold in all of them, at addresses that they share."""
        if self.workers == 1:
            return
        if self.store is None or not self.store.url.is_shared:
            yield (
                ("workers",),
                "needs a store that all workers share, for generated keys and for what is revoked "
                "or used up: set store.url to sqlite:PATH or to the URL of a Redis, or remove "
                "workers",
            )
        http = () if self.http is None else ((("http", "address"), self.http.address),)
        for place, address in (
            *(
                (("listeners", index, "address"), one.address)
                for index, one in enumerate(self.listeners)
            ),
            *http,
        ):
            if not (address.is_unix or address.port):
                yield place, "has port 0, which would be another one in each worker; choose one"
