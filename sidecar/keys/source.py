"""From an issuer's settings to what fetches its JWK Set."""

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sidecar.config.issuers import Issuer, IssuerKeys, discovery_url
from sidecar.keys.answer import Answer, Validators
from sidecar.keys.download import Access, Download, same_origin
from sidecar.keys.location import Location
from sidecar.keys.places import Places

Fetch = Callable[[Validators | None, bool], Awaitable[Answer]]
"""The JWK Set, or word that it is the one of these validators; raises DownloadFailed.

True: the fetch before failed, so that nothing found earlier is relied on."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an issuer's keys come from. What one of an equal source knows holds for the other."""

    issuer: str
    url: str | None = field(repr=False)
    """None: its discovery document has it."""
    access: Access

    @property
    def start(self) -> str:
        """The URL that the configuration gives or implies."""
        return self.url or discovery_url(self.issuer)

    @property
    def digest(self) -> str:
        """Tells it from others in the store, where no URL is to stand: its query may be secret."""
        return hashlib.sha256(self.start.encode("utf-8", "surrogatepass")).hexdigest()


def source_of(issuer: Issuer) -> Source:
    """The source that an issuer's settings name."""
    return Source(issuer.issuer, issuer.keys.url, _access(issuer.keys))


def _access(keys: IssuerKeys) -> Access:
    headers = {name: secret.material.decode("ascii") for name, secret in keys.headers.items()}
    ca_file = Path(keys.ca_file.path) if keys.ca_file else None
    return Access(keys.timeout, ca_file, keys.proxy_url, headers)


def fetcher(name: str, source: Source, download: Download, places: Places) -> Fetch:
    """What fetches a source's JWK Set for the issuer of this name, in one of the places.

    The source's headers go to the host that the configuration names, and to no other.
    """
    location = Location(source.issuer, download, source.access)
    elsewhere = replace(source.access, headers={})

    async def found(validators: Validators | None, anew: bool) -> Answer:
        if anew:
            location.forget()
        url = source.url or await location.url()
        access = source.access if same_origin(url, source.start) else elsewhere
        return await download(url, access, validators)

    async def fetch(validators: Validators | None, anew: bool) -> Answer:
        return await places.run(name, lambda: found(validators, anew))

    return fetch
