"""What a provider of keys answered, or why its answer is of no use."""

from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """How a fetch ended; the names are for metrics."""

    FETCHED = "fetched"
    NOT_MODIFIED = "not_modified"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    """No address, no connection, or one that broke."""
    TLS = "tls"
    STATUS = "status"
    """Any status but 200, and a 304 that was not asked for."""
    REDIRECT = "redirect"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    """No proper HTTP, another content than JSON, JSON that is no such document, or one that leads
    where it may not."""
    NO_KEYS = "no_keys"
    """A JWK Set without any usable key."""
    WRONG_ISSUER = "wrong_issuer"
    """A discovery document that is another issuer's."""
    INTERNAL = "internal"
    """An error of ours."""


class DownloadFailed(Exception):
    """A document could not be had. The message says why and never holds its content.

    `status` is that of the answer where the status is what was wrong, else 0.
    """

    def __init__(self, message: str, outcome: Outcome, status: int = 0) -> None:
        super().__init__(message)
        self.outcome = outcome
        self.status = status


@dataclass(frozen=True, slots=True)
class Validators:
    """What makes the next request for the same URL a conditional one (RFC 9110, section 8.8)."""

    url: str = field(repr=False)
    """The one that was asked; its query may hold a secret."""
    etag: str = ""
    last_modified: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """A document, or word that the one we have is still the latest."""

    body: bytes | None = field(repr=False)
    """None: not modified since the validators that were sent."""
    lifetime: float | None = None
    """Seconds that it is fresh for another while; None where the provider doesn't say."""
    validators: Validators | None = None
    """None where the answer has none."""
    url: str = ""
    """Where the document is, as messages have it."""
