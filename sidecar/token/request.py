"""What is asked about a token, and what is answered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Protocol

from sidecar.token import base64url
from sidecar.token.again import Grounds
from sidecar.token.claims import RequiredClaim
from sidecar.token.jws import Jws
from sidecar.token.reason import DpopError, Reason, Refused
from sidecar.token.snapshot import Consumer
from sidecar.token.words import listed

ANY_CONSUMER: Final = "*"
"""Stands for every consumer where consumers are named."""


class Scheme(Enum):
    """How an HTTP request presents its token (RFC 9110, section 11.4)."""

    UNKNOWN = ""
    """Elsewhere than in an Authorization header, or the caller does not say."""
    BEARER = "bearer"
    DPOP = "dpop"


@dataclass(frozen=True, slots=True)
class Proof:
    """What shows that the presenter of a token holds a key."""

    dpop: str = field(default="", repr=False)
    """A DPoP proof JWT (RFC 9449)."""
    http_method: str = ""
    """Of the request that carried it."""
    http_uri: str = ""
    """Target of that request: an absolute http or https URI."""
    client_certificate_sha256: bytes = b""
    """SHA-256 of the client certificate in DER (RFC 8705)."""
    scheme: Scheme = Scheme.UNKNOWN
    """The scheme that the token came under."""


NO_PROOF: Final = Proof()


class Condition(Protocol):
    """What must be true of a token and of the HTTP request that carries it."""

    def why_not(
        self, header: Mapping[str, Any], claims: Mapping[str, Any], consumer: Consumer | None
    ) -> str:
        """Why it is not met, in a sentence; empty where it is. Never raises."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a rule requires beyond a valid token.

    If it names issuers or consumers, it takes only their tokens.
    """

    rule: str
    """What the rule is called, for messages."""
    issuers: frozenset[str] | None = None
    """Names of issuers; None: any, unless it names consumers."""
    consumers: frozenset[str] | None = None
    """Names of consumers, `*` for any; None: any, unless it names issuers."""
    open_issuer: str = ""
    """Which of the issuers takes any `iss`; empty where none does."""
    audiences: tuple[str, ...] = ()
    """At least one must be in `aud`; they replace the issuer's audiences."""
    scopes: tuple[str, ...] = ()
    """All must be granted."""
    claims: tuple[RequiredClaim, ...] = ()
    condition: Condition | None = None

    @property
    def names_parties(self) -> bool:
        """Whether it takes the tokens of some only."""
        return self.issuers is not None or self.consumers is not None

    def takes_issuer(self, name: str) -> bool:
        """Whether it takes the tokens of this issuer."""
        return name in self.issuers if self.issuers is not None else not self.names_parties

    def takes_consumer(self, name: str) -> bool:
        """Whether it takes the tokens of this consumer."""
        if self.consumers is None:
            return not self.names_parties
        return name in self.consumers or ANY_CONSUMER in self.consumers

    def parties(self) -> str:
        """Whose tokens it takes, in words."""
        groups = (("issuer", self.issuers), ("consumer", self.consumers))
        named = [f"{what} {listed(sorted(which))}" for what, which in groups if which is not None]
        return " or ".join(named) or "any"

    def takes_others(self, title: str) -> Refused:
        """Return the refusal of a token from a party that the rule does not name."""
        return self.unmet(
            f"the token is of {title}, and the rule takes those of {self.parties()}; present such "
            "a token, or add this party to the rule's require"
        )

    def unmet(self, problem: str) -> Refused:
        """Return the refusal of a token that lacks what the rule requires."""
        return Refused(Reason.RULE_DENIED, f"{self.rule}: {problem}", insufficient=True)


@dataclass(frozen=True, slots=True)
class Request:
    """A token, and what its caller or the rule of its HTTP request requires of it."""

    token: str = field(repr=False)
    issuer_name: str = ""
    """The configured issuer that it must come from; empty: any issuer or consumer."""
    audiences: tuple[str, ...] = ()
    """Replaces the issuer's audiences."""
    scopes: tuple[str, ...] = ()
    """All of these must be granted."""
    claims: tuple[RequiredClaim, ...] = ()
    """The caller requires these; the rule's own are in `demand`, and so are its scopes."""
    proof: Proof = NO_PROOF
    client_address: str = ""
    """Of the client that presents the token, in text; empty where it is not known."""
    demand: Demand | None = None
    """Of the rule that the HTTP request falls under."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A token that passed every check. Only the validator makes one."""

    issuer_name: str
    """Empty for a consumer's token."""
    consumer: Consumer | None
    key_id: str
    algorithm: str
    claims: Mapping[str, Any]
    """Those that count: of a consumer's token, what its record grants or allows."""
    payload: str = field(repr=False)
    """The same in base64url: an issuer's exactly as signed."""
    audiences: tuple[str, ...]
    scopes: tuple[str, ...]
    scope_claims: tuple[str, ...]
    """The claims that the scopes were looked for in."""
    issue_time: float | None
    not_before_time: float | None
    expire_time: float | None
    grounds: Grounds | None = field(default=None, repr=False, compare=False)
    """Why the same answer may be given again; None where the checks must run again."""

    @property
    def claims_json(self) -> bytes:
        """The claims that count, in UTF-8: an issuer's exactly as signed."""
        return base64url.decode(self.payload.encode("ascii"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """A token that may not pass: why, in a code and in a sentence."""

    reason: Reason
    message: str
    issuer_name: str = ""
    """The configured issuer that was chosen, empty where none was."""
    scopes: tuple[str, ...] = ()
    """The scopes that were needed, where these are the reason."""
    key_id: str | None = None
    """The `kid` that the issuer's keys lack, where that is the reason."""
    dpop: DpopError | None = None
    """Set where the client is to use DPoP, or to use it in another way."""
    insufficient: bool = False
    """Whether the request requires what the token lacks, not the issuer or consumer."""
    token: Jws | None = field(default=None, repr=False, compare=False)
    """What was refused; None where it could not be read."""
    is_verified: bool = field(default=False, repr=False, compare=False)
    """Whether its signature held."""
    consumer: str = field(default="", compare=False)
    """Name of the consumer that the token says to be from; empty if that is none."""
    claims: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """What it says, for the log; of a consumer's token what counts of that."""


Verdict = Verified | Refusal
