"""What tokens are issued with."""

from collections.abc import Iterator
from math import ceil
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, PrivateAttr

from sidecar.config.algorithms import AlgorithmName
from sidecar.config.secrets import PrivateKey, Secret
from sidecar.config.section import (
    Fault,
    Many,
    Matching,
    Maybe,
    Name,
    NotEmpty,
    Section,
    Text,
    Texts,
    distinct,
    fault,
)
from sidecar.config.units import Duration, format_duration, lasting
from sidecar.token.algorithms import ASYMMETRIC, SYMMETRIC
from sidecar.token.key import UnusableKey
from sidecar.token.mint import REGISTERED_CLAIMS, SCOPE_CLAIMS
from sidecar.token.signing import from_private_pem, from_secret
from sidecar.token.snapshot import SigningKey
from sidecar.token.words import names

_MOST_PUBLISHED: Final = 20
"""Generated keys of one algorithm at once: verifiers read a JWK Set of a bounded size."""
Scope = Annotated[
    str,
    Matching(
        r"^[\x21\x23-\x5b\x5d-\x7e]+$",
        "a scope (RFC 6749, section 3.3): printable ASCII without spaces, quotes and backslashes",
    ),
]
"""One scope."""


def _asymmetric(name: str) -> str:
    if name in SYMMETRIC:
        raise fault(f"{name} has a secret and no key pair; generate one of {names(ASYMMETRIC)}")
    return name


class SignerKey(Section):
    """One key: a private key, a secret, or one that the sidecar makes."""

    key_id: Maybe[Text] = None
    """`kid`; a key that is made gets its thumbprint (RFC 7638) where this is absent."""
    algorithm: Maybe[AlgorithmName] = None
    """`alg`."""
    private_key: Maybe[PrivateKey] = None
    """A private key in PEM, whose public half is published."""
    secret: Maybe[Secret] = None
    """A secret for an HS algorithm, which is never published."""
    generate: Maybe[Annotated[AlgorithmName, AfterValidator(_asymmetric)]] = None
    """Algorithm of a key that the sidecar makes and keeps in the store."""
    rotate: Maybe[Annotated[Duration, lasting("1h", "3650d")]] = None
    """How long a generated key signs before the next one does; absent: for ever."""
    _signing_key: SigningKey | None = PrivateAttr(default=None)

    @property
    def signing_key(self) -> SigningKey | None:
        """The key, None where it is to be made."""
        return self._signing_key

    def contradictions(self) -> Iterator[Fault]:
        """The three forms, and whether the key fits its algorithm."""
        ambiguous = tuple(self.not_exactly_one("private_key", "secret", "generate"))
        if ambiguous:
            yield from ambiguous
            return
        if self.generate is not None:
            if self.rotate is not None and self.key_id is not None:
                yield (
                    ("key_id",),
                    "can't name the keys that rotate makes: each gets its thumbprint; remove it",
                )
            return
        for name in ("key_id", "algorithm"):
            if getattr(self, name) is None:
                yield (), f"needs {name} beside private_key or secret"
        if self.key_id is None or self.algorithm is None:
            return
        if self.private_key is not None:
            yield from self._load_private_key(self.private_key, self.algorithm, self.key_id)
        elif self.secret is not None:
            yield from self._load_secret(self.secret, self.algorithm, self.key_id)

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """A key that is made has its algorithm beside `generate`; no other one is made again."""
        if self.generate is not None:
            yield "algorithm", "private_key or secret"
        else:
            yield "rotate", "generate"

    def _load_private_key(
        self, private_key: PrivateKey, algorithm: str, key_id: str
    ) -> Iterator[Fault]:
        if algorithm in SYMMETRIC:
            yield ("private_key",), f"does not go with {algorithm}, which needs a secret"
            return
        password = private_key.password.material if private_key.password else None
        try:
            self._signing_key = from_private_pem(private_key.material, password, algorithm, key_id)
        except UnusableKey as problem:
            yield ("private_key",), problem.message

    def _load_secret(self, secret: Secret, algorithm: str, key_id: str) -> Iterator[Fault]:
        if algorithm not in SYMMETRIC:
            yield ("secret",), f"does not go with {algorithm}, which needs a private_key"
            return
        try:
            self._signing_key = from_secret(secret.material, algorithm, key_id)
        except UnusableKey as problem:
            yield ("secret",), problem.message


class Refresh(Section):
    """How long a signer's refresh tokens work."""

    lifetime: Annotated[Duration, lasting("1m")]
    """From the first one on, however often they are traded."""
    idle_lifetime: Maybe[Annotated[Duration, lasting("1m")]] = None
    """One that is not used for so long works no more; absent: it works for the whole lifetime."""
    grace: Annotated[Duration, lasting("0s", "5m")] = Field(default="10s", validate_default=True)
    """How long one that was used gets the same answer again, for a client that lost it."""

    def contradictions(self) -> Iterator[Fault]:
        """The idle lifetime ends no later than the lifetime does."""
        if self.idle_lifetime is None:
            return
        if self.idle_lifetime > self.lifetime:
            longest = format_duration(self.lifetime)
            yield ("idle_lifetime",), f"must be at most lifetime, which is {longest}"


class Signer(Section):
    """Issues tokens of one issuer."""

    name: Name
    """For logs, metrics and requests."""
    issuer: Text
    """`iss` of its tokens."""
    keys: Annotated[Many[SignerKey], NotEmpty]
    """The first signs; the public halves of all are published."""
    audiences: Texts = ()
    """`aud` where a request names none."""
    lifetime: Annotated[Duration, lasting("1s")] = Field(default="15m", validate_default=True)
    """From issue to `exp` where a request asks for none."""
    max_lifetime: Annotated[Duration, lasting("1s")] = Field(default="1h", validate_default=True)
    """The longest that a request may ask for."""
    scopes: Maybe[Annotated[Many[Scope], AfterValidator(distinct)]] = None
    """What may be granted; absent: anything."""
    claims: dict[str, Any] = Field(default_factory=dict)
    """Always added."""
    type: Text = "JWT"
    """`typ` of its tokens."""
    refresh: Maybe[Refresh] = None
    """Refresh tokens beside its tokens; absent: none."""
    accept: bool = False
    """Whether this sidecar accepts what it issues, as an issuer of this name."""

    def contradictions(self) -> Iterator[Fault]:
        """The fixed claims, the lifetimes and the keys must leave room for each other."""
        if self.lifetime > self.max_lifetime:
            longest = format_duration(self.max_lifetime)
            yield ("lifetime",), f"must be at most max_lifetime, which is {longest}"
        for name in self.claims:
            if name in REGISTERED_CLAIMS:
                yield ("claims", name), "is set for each token by the sidecar; remove it"
            if self.scopes is not None and name in SCOPE_CLAIMS:
                yield ("claims", name), "would grant what scopes limits; remove one of the two"
        yield from self._generated_contradictions()

    def _generated_contradictions(self) -> Iterator[Fault]:
        seen: dict[str, int] = {}
        shortest = self.max_lifetime / _MOST_PUBLISHED
        for index, key in enumerate(self.keys):
            if key.generate is None:
                continue
            first = seen.setdefault(key.generate, index)
            if first != index:
                yield (
                    ("keys", index, "generate"),
                    f"{key.generate} is generated by keys[{first}] already; remove one, and for a "
                    "next key set rotate",
                )
            if key.rotate is not None and key.rotate < shortest:
                yield (
                    ("keys", index, "rotate"),
                    f"would publish more than {_MOST_PUBLISHED} keys at once, as each stays until "
                    f"its last token has expired (max_lifetime); it must be at least "
                    f"{format_duration(ceil(shortest))}",
                )
