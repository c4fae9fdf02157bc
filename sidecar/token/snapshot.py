"""All that a decision reads: issuers, consumers, signers and limits, in one immutable value."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, Final

from sidecar.token.addresses import AddressRules
from sidecar.token.claims import RequiredClaim
from sidecar.token.key import Key
from sidecar.token.keyset import KeySet
from sidecar.token.subject import SubjectRule


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what is looked at."""

    token_bytes: int = 16 * 1024
    json_depth: int = 32


class Binding(Enum):
    """Whether a token must come with a proof that its presenter holds a key (claim `cnf`)."""

    WHEN_BOUND = "when_bound"
    REQUIRED = "required"
    IGNORED = "ignore"


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """What the claims and the header of a token must say; times in seconds."""

    audiences: frozenset[str] | None
    """Accepted in `aud`; None accepts any, and none."""
    types: frozenset[str] | None = frozenset({"jwt", "at+jwt"})
    """Accepted `typ` beside an absent one, as `normalized_type` gives them; None accepts any."""
    type_required: bool = False
    """Whether an absent `typ` is refused."""
    texts: tuple[str, ...] = ("iss", "sub", "jti")
    """Claims that must be strings where they are there."""
    required: tuple[str, ...] = ("exp",)
    claims: tuple[RequiredClaim, ...] = ()
    clock_skew: float = 30.0
    max_age: float | None = None
    max_lifetime: float | None = None
    critical_headers: frozenset[str] = frozenset()
    scope_claims: tuple[str, ...] = ("scope", "scp")
    proof: Binding = Binding.WHEN_BOUND
    addresses: AddressRules | None = None
    """Which clients' addresses may come; None: any, known or not."""
    one_time: bool = False
    """Whether each token passes once."""
    subjects: SubjectRule | None = None
    """None: nobody asks whether the subject exists."""


@dataclass(frozen=True, slots=True)
class Issuer:
    """A party whose tokens are accepted, and its keys."""

    name: str
    issuer: str | None
    """Must equal `iss`; None: not checked, and the issuer serves only where it is named."""
    rules: ClaimRules
    keys: KeySet | None
    """None while the keys are not there; `problem` then says why."""
    algorithms: frozenset[str] | None = None
    """Accepted `alg`; None accepts every asymmetric one that fits a key."""
    source: str = "the configuration"
    """Where the keys come from, for messages: a URL, a file."""
    problem: str = ""
    fetch_time: float | None = None
    """When the keys were fetched, in seconds since the epoch; None where they never are."""

    @property
    def title(self) -> str:
        """The issuer in a sentence."""
        return f"issuer {self.name}"


@dataclass(frozen=True, slots=True)
class Grants:
    """What a consumer's record makes of the claims that the consumer signs for itself."""

    scopes: tuple[str, ...] = ()
    """Those that its tokens have; one that states scopes has of these the stated ones."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    """Claims that its tokens have, whatever they say."""
    from_token: tuple[str, ...] = ()
    """Dotted paths of the claims that a token may state."""


NO_GRANTS: Final = Grants()


@dataclass(frozen=True, slots=True)
class Consumer:
    """A party known by a key claim in its tokens and its own credential."""

    name: str
    key: str
    """Value of the key claim."""
    algorithm: str
    credential: Key
    labels: Mapping[str, str] = field(default_factory=dict)
    rules: ClaimRules | None = None
    """What its tokens must say; None: what all consumers' must."""
    disabled: bool = False
    """Its tokens are refused."""
    grants: Grants = NO_GRANTS

    @property
    def title(self) -> str:
        """The consumer in a sentence."""
        return f"consumer {self.name}"


@dataclass(frozen=True, slots=True)
class Consumers:
    """The consumers by the value of their key claim, and what holds for all of them."""

    key_claim: str
    rules: ClaimRules
    by_key: Mapping[str, Consumer]
    by_name: Mapping[str, Consumer]
    are_stored: bool = False
    """Whether there may be more outside (`sidecar.token.stored`), to be asked for."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key or secret that tokens are signed with, and its public half."""

    key_id: str
    algorithm: str
    material: Any = field(repr=False)
    public: Key | None
    """What is published; None for a secret."""


@dataclass(frozen=True, slots=True)
class Refreshing:
    """How long a signer's refresh tokens work, in seconds."""

    lifetime: float
    """From the first one of a family."""
    idle_lifetime: float | None = None
    """From the last use of the family; None: as long as the lifetime lasts."""
    grace: float = 10.0
    """For which a token that was used gets its answer again; 0: never."""


@dataclass(frozen=True, slots=True)
class Signer:
    """What tokens are minted with; times in seconds."""

    name: str
    issuer: str
    keys: tuple[SigningKey, ...]
    """The first signs."""
    audiences: tuple[str, ...] = ()
    lifetime: float = 900.0
    max_lifetime: float = 3600.0
    scopes: frozenset[str] | None = None
    """What may be granted; None: anything."""
    claims: Mapping[str, Any] = field(default_factory=dict)
    type: str = "JWT"
    refresh: Refreshing | None = None
    """None: it issues no refresh tokens."""
    other_keys: tuple[SigningKey, ...] = ()
    """Published, but not signed with: the next one, and those whose tokens have not expired."""


@dataclass(frozen=True, slots=True)
class GeneratedKeys:
    """The keys that the sidecar has made for one signer."""

    signing: Mapping[str, SigningKey] = field(default_factory=dict)
    """Those that sign, by algorithm."""
    others: tuple[SigningKey, ...] = ()
    """Those that are only published."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One configuration with the keys of one moment. A change makes a new one."""

    issuers: Mapping[str, Issuer]
    """By name."""
    issuers_by_iss: Mapping[str, Issuer]
    consumers: Consumers | None = None
    signers: Mapping[str, Signer] = field(default_factory=dict)
    limits: Limits = Limits()
    mark: object = field(default_factory=object, init=False, repr=False, compare=False)
    """What passed by this snapshot is known by it, without keeping all of it. Its own, but for that
    of one with the very same keys."""

    @classmethod
    def of(
        cls,
        issuers: tuple[Issuer, ...] = (),
        consumers: Consumers | None = None,
        signers: tuple[Signer, ...] = (),
        limits: Limits | None = None,
    ) -> "Snapshot":
        """A snapshot of these parties, whose names and `iss` are distinct."""
        return cls(
            {one.name: one for one in issuers},
            {one.issuer: one for one in issuers if one.issuer is not None},
            consumers,
            {one.name: one for one in signers},
            limits or Limits(),
        )

    def with_keys(
        self, name: str, keys: KeySet | None, problem: str, fetch_time: float | None = None
    ) -> "Snapshot":
        """The same configuration with other keys for one issuer, or with news of the same."""
        before = self.issuers[name]
        issuer = replace(before, keys=keys, problem=problem, fetch_time=fetch_time)
        other = self._with_issuer(issuer)
        if keys is before.keys:
            # What passes by the one passes by the other; refusals alone tell of the rest.
            object.__setattr__(other, "mark", self.mark)
        return other

    def with_signer(self, signer: Signer, accepted: Issuer | None) -> "Snapshot":
        """The same configuration with other keys for one signer, and for the issuer that it is."""
        other = self if accepted is None else self._with_issuer(accepted)
        return replace(other, signers={**self.signers, signer.name: signer})

    def _with_issuer(self, issuer: Issuer) -> "Snapshot":
        by_iss = self.issuers_by_iss
        if issuer.issuer is not None:
            by_iss = {**by_iss, issuer.issuer: issuer}
        return replace(self, issuers={**self.issuers, issuer.name: issuer}, issuers_by_iss=by_iss)
