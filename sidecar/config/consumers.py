"""Callers that are known by a key claim in their tokens and their own credential."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, Field, PrivateAttr, TypeAdapter, ValidationError

from sidecar.config.algorithms import AlgorithmName
from sidecar.config.client_addresses import Addresses
from sidecar.config.document import MOST_BYTES, parse
from sidecar.config.problems import InvalidConfiguration
from sidecar.config.secrets import Secret
from sidecar.config.section import (
    Fault,
    Many,
    Matching,
    Maybe,
    Name,
    Section,
    Text,
    Texts,
    TextsOrAny,
    Written,
    came,
    distinct,
    fault,
)
from sidecar.config.signers import Scope
from sidecar.config.surroundings import Surroundings, Unreadable
from sidecar.config.units import Duration, lasting
from sidecar.config.wording import problems_of
from sidecar.token.algorithms import ALGORITHMS, SYMMETRIC
from sidecar.token.grants import OWN_CLAIMS, SCOPE_CLAIMS, overlap, problems
from sidecar.token.key import Key, UnusableKey, from_pem, from_secret
from sidecar.token.snapshot import Grants
from sidecar.token.words import quoted

_KeyText = Annotated[
    str,
    Matching(
        r"^[^\x00-\x1f\x7f]{1,1024}$", "text of 1 to 1024 characters, none of them for control"
    ),
]


_NO_KEY: Final = frozenset({"aud", *OWN_CLAIMS, *SCOPE_CLAIMS})
_ClockSkew = Annotated[Duration, lasting("0s", "10m")]


def credential(algorithm: str, material: bytes) -> Key:
    """The key of a secret, or of a public key in PEM, for one algorithm; raises UnusableKey."""
    if algorithm in SYMMETRIC:
        return from_secret(material, frozenset({algorithm}))
    key = from_pem(material)
    if algorithm not in key.algorithms:
        needed = ALGORITHMS[algorithm].describe_keys()
        raise UnusableKey(f"it is {key.describe()}; {algorithm} needs {needed}")
    return key


class Consumer(Section):
    """One caller."""

    name: Name
    """For logs, requests and headers."""
    key: _KeyText
    """Value of the key claim in its tokens."""
    algorithm: AlgorithmName
    """The one `alg` that it signs with."""
    secret: Maybe[Secret] = None
    """Its secret, for an HS algorithm."""
    public_key: Maybe[Secret] = None
    """Its public key or certificate in PEM, for every other algorithm."""
    labels: dict[str, Text] = Field(default_factory=dict)
    """What else is known about it, for headers to the upstream."""
    scopes: Annotated[Many[Scope], AfterValidator(distinct)] = ()
    """The scopes of its tokens; a token that states scopes has of these the stated ones."""
    claims: dict[str, Any] = Field(default_factory=dict)
    """Claims of its tokens, whatever these say."""
    claims_from_token: Texts = ()
    """Claims, by dotted path, that its tokens may state; all others count for nothing."""
    disabled: bool = False
    """Whether its tokens are refused, and none are issued for it."""
    audiences: Maybe[TextsOrAny] = None
    """Accepted in `aud` in place of the consumers' `audiences`."""
    required: Maybe[Texts] = None
    """Claims that must be there in place of the consumers' `required`."""
    clock_skew: Maybe[_ClockSkew] = None
    """In place of the consumers' `clock_skew`."""
    addresses: Maybe[Addresses] = None
    """In place of the consumers' `addresses`."""
    _credential: Key = PrivateAttr()

    @property
    def credential(self) -> Key:
        """What its tokens are verified with."""
        return self._credential

    @property
    def grants(self) -> Grants:
        """What its record makes of the claims that it signs."""
        return Grants(self.scopes, self.claims, self.claims_from_token)

    def contradictions(self) -> Iterator[Fault]:
        """The credential must fit the algorithm, and no claim be granted in two ways."""
        yield from problems(self.grants)
        needed, other = "public_key", "secret"
        if self.algorithm in SYMMETRIC:
            needed, other = other, needed
        if getattr(self, other) is not None:
            yield (other,), f"does not go with {self.algorithm}, which needs a {needed}"
        reference: Secret | None = getattr(self, needed)
        if reference is None:
            if getattr(self, other) is None:
                yield (), f"needs a {needed} for {self.algorithm}"
            return
        try:
            self._credential = credential(self.algorithm, reference.material)
        except UnusableKey as problem:
            yield (needed,), problem.message


@dataclass(frozen=True, slots=True)
class ConsumerFile(Written):
    """A YAML file whose top level is a list of consumers."""

    path: str
    consumers: tuple[Consumer, ...] = field(repr=False)

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """Raises a fault where the file can't be read; its other problems have their own lines."""
        path = surroundings.absolute(text)
        try:
            document = parse(surroundings.read(path, MOST_BYTES), path, list)
        except Unreadable as error:
            raise fault(str(error)) from None
        except InvalidConfiguration as invalid:
            surroundings.problems += invalid.problems
            return cls(path, ())
        surroundings.consumers = document
        surroundings.problems += document.problems
        try:
            consumers = _CONSUMERS.validate_python(document.tree, context=surroundings)
        except ValidationError as error:
            surroundings.problems += problems_of(error, document, Many[Consumer])
            consumers = ()
        return cls(path, consumers)

    def __str__(self) -> str:
        """Its absolute path."""
        return self.path


def _key_claim(path: str) -> str:
    if path in _NO_KEY:
        raise fault(f"must be a claim that names a party; {path} has another meaning")
    if not all(path.split(".")):
        raise fault(f"must be the path of a claim, such as key or app.key; it is {came(path)}")
    return path


class ConsumerCache(Section):
    """What is remembered of the consumers in the store."""

    entries: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """At most so many consumers, and so many keys that nobody has."""
    ttl: Annotated[Duration, lasting("1s", "1d")] = Field(default="5m", validate_default=True)
    """A consumer is read again after this, or up to a fifth earlier."""
    missing_ttl: Annotated[Duration, lasting("0s", "1h")] = Field(
        default="10s", validate_default=True
    )
    """A key that nobody has is looked for again after this."""


class Consumers(Section):
    """All consumers, and what holds for their tokens."""

    key_claim: Annotated[Text, AfterValidator(_key_claim)] = "key"
    """The claim, by dotted path, that holds a consumer's key."""
    audiences: TextsOrAny = ("*",)
    """Accepted in `aud`; `"*"` for any."""
    required: Texts = ("exp",)
    """Claims that must be there, by dotted path."""
    clock_skew: _ClockSkew = Field(default="30s", validate_default=True)
    """How far the clocks may differ."""
    addresses: Maybe[Addresses] = None
    """Which clients' addresses may come with their tokens; absent: any."""
    list: Many[Consumer] = ()
    """The consumers."""
    file: Maybe[ConsumerFile] = None
    """YAML file with more: a list in the same form."""
    store: bool = False
    """Whether there are more in the store, which AdminService keeps."""
    cache: ConsumerCache = ConsumerCache()
    """What is remembered of those in the store."""

    @property
    def all(self) -> tuple[Consumer, ...]:
        """Those of the list and those of the file."""
        return self.list + (self.file.consumers if self.file else ())

    def contradictions(self) -> Iterator[Fault]:
        """Rules for nobody would be ignored, and so would a key that a token may state."""
        if not self.list and self.file is None and not self.store:
            yield (), "has no consumers: add them to list, name a file of them, or set store: true"
        for one in self.all:
            for path in one.claims_from_token:
                if overlap(path, self.key_claim):
                    yield (
                        ("key_claim",),
                        f"is {quoted(self.key_claim)}, so {quoted(path)} in claims_from_token of "
                        f"consumer {one.name} would be ignored; remove it there",
                    )

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """Those of the configuration are all in memory."""
        if not self.store:
            yield "cache", "store: true"


_CONSUMERS: Final[TypeAdapter[Any]] = TypeAdapter(Many[Consumer])
