"""Directories that say whether the user exists whom a token names, and how each is asked."""

from collections.abc import Iterator
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from sidecar.config.http_access import PLACEHOLDER, HttpUrl, ProxyUrl, RequestHeaders
from sidecar.config.keyfiles import CertificateFile
from sidecar.config.secrets import Secret
from sidecar.config.section import Fault, Maybe, Name, Section, Text, fault
from sidecar.config.sql import SqlQuery, SqlUrl
from sidecar.config.subject_file import SubjectFile
from sidecar.config.units import Duration, lasting

_Timeout = Annotated[Duration, lasting("1ms", "10s")]
"""No call waits longer than 10 s for an answer."""


def _with_placeholder(url: str) -> str:
    """Only the path and the query may depend on a token: the host is the configuration's."""
    parts = urlsplit(url)
    if url.count(PLACEHOLDER) != 1 or PLACEHOLDER not in parts.path + parts.query:
        raise fault(
            f"must have {PLACEHOLDER} once, in its path or query, where the subject is to stand, "
            f"such as https://users.internal/users/{PLACEHOLDER}"
        )
    return url


class SqlDirectory(Section):
    """A table of users in a database."""

    url: SqlUrl
    """`sqlite:PATH`, or the URL of a database and its asynchronous driver."""
    query: SqlQuery
    """A SELECT with the parameter `:sub`. No row: unknown; else its first column says whether the
    user is enabled."""
    password: Maybe[Secret] = None
    """Password of the user in `url`."""
    timeout: _Timeout = Field(default="1s", validate_default=True)
    """For one question, the connection included."""

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """A file has no password."""
        if self.url.path:
            yield "password", "the URL of a server"


class HttpDirectory(Section):
    """A service that knows users."""

    url: Annotated[HttpUrl, AfterValidator(_with_placeholder)]
    """URL with `{sub}` where the subject stands. 2xx: exists, 404: unknown, 403, 410: disabled."""
    timeout: _Timeout = Field(default="1s", validate_default=True)
    """For one question, the connection included."""
    ca_file: Maybe[CertificateFile] = None
    """Certificates that the server is trusted by, instead of the system's."""
    proxy_url: Maybe[ProxyUrl] = None
    """HTTP proxy to the server; absent: none, whatever the environment says."""
    headers: RequestHeaders = Field(default_factory=dict)
    """Headers that the server is sent, and where their values are."""


class SubjectCache(Section):
    """What is remembered of a directory's answers."""

    entries: Annotated[int, Field(ge=0, le=10_000_000)] = 100_000
    """Users who exist, or are disabled: at most so many; 0: nothing is remembered."""
    ttl: Annotated[Duration, lasting("1s", "1d")] = Field(default="60s", validate_default=True)
    """Asked about again after this, spread by ±10 %."""
    missing_ttl: Annotated[Duration, lasting("1s", "1d")] = Field(
        default="10s", validate_default=True
    )
    """The same for those who are unknown."""


class Subjects(Section):
    """One directory: exactly one of `sql`, `http` and `file`."""

    name: Name
    """For issuers, logs and messages."""
    claim: Text = "sub"
    """The claim, by dotted path, by which it knows users."""
    sql: Maybe[SqlDirectory] = None
    """A database."""
    http: Maybe[HttpDirectory] = None
    """A service."""
    file: Maybe[SubjectFile] = None
    """A file of one subject a line: those who exist."""
    cache: SubjectCache = SubjectCache()
    """What is remembered of its answers."""
    on_outage: Literal["deny", "allow"] = "deny"
    """While it gives no answer. `deny`: refused; `allow`: its last answer counts, and without one
    the token passes."""

    def contradictions(self) -> Iterator[Fault]:
        """One place to ask."""
        yield from self.not_exactly_one("sql", "http", "file")

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """A file is in memory: it always answers, and at once."""
        if self.file is not None:
            yield from (("cache", "sql or http"), ("on_outage", "sql or http"))
