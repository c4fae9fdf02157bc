"""Whose tokens are accepted, where their keys are, and what the tokens must say."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    Field,
    field_serializer,
)

from sidecar.config.algorithms import AlgorithmName
from sidecar.config.client_addresses import Addresses
from sidecar.config.http_access import HttpUrl, ProxyUrl, RequestHeaders, wrong_with_url
from sidecar.config.keyfiles import CertificateFile, KeyFile, inline_keys
from sidecar.config.secrets import Secret
from sidecar.config.section import (
    ANY,
    Fault,
    Many,
    Maybe,
    Name,
    OneOrMore,
    Section,
    Text,
    Texts,
    TextsOrAny,
    fault,
)
from sidecar.config.units import Duration, lasting
from sidecar.token.algorithms import ASYMMETRIC, SYMMETRIC
from sidecar.token.claims import required_claims
from sidecar.token.key import UnusableKey, from_secret
from sidecar.token.keyset import KeySet
from sidecar.token.words import names

_REGISTERED_HEADERS: Final = frozenset(
    {"alg", "jku", "jwk", "kid", "x5u", "x5c", "x5t", "x5t#S256", "typ", "cty", "crit"}
    | {"enc", "zip"}  # RFC 7516, section 4.1
    | {"epk", "apu", "apv", "iv", "tag", "p2s", "p2c"}  # RFC 7518, section 4
    | {"b64"}  # RFC 7797, which no JWT may use
)
_PUBLIC_MEMBERS: Final = frozenset(
    {"kty", "kid", "use", "key_ops", "alg", "crv", "x", "y", "n", "e", "pub"}
    | {"x5u", "x5c", "x5t", "x5t#S256"}
)
_REMOTE: Final = (
    *("refresh", "timeout", "unknown_key_interval", "max_stale", "snapshot", "required"),
    *("ca_file", "proxy_url", "headers"),
)


def discovery_url(issuer: str) -> str:
    """Where an issuer's discovery document is (OpenID Connect Discovery 1.0, section 4)."""
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"


def _inline(jwks: dict[str, Any]) -> dict[str, Any]:
    try:
        inline_keys(jwks)
    except ValueError as error:
        raise fault(str(error)) from None
    return jwks


def _claims(claims: dict[str, Any]) -> dict[str, Any]:
    try:
        required_claims(claims)
    except ValueError as error:
        raise fault(str(error)) from None
    return claims


def _critical_header(name: str) -> str:
    if name in _REGISTERED_HEADERS:
        raise fault(
            f"{name} is a registered header parameter, which crit may not name (RFC 7515, "
            "section 4.1.11); remove it"
        )
    return name


ClaimValues = Annotated[dict[str, Any], AfterValidator(_claims)]
"""Path of a claim to the value that it must have, or a list of these."""


class IssuerKeys(Section):
    """Where an issuer's keys come from: exactly one of the first five."""

    discovery: Maybe[Literal[True]] = None
    """The `jwks_uri` of the issuer's OpenID Connect discovery document."""
    url: Maybe[HttpUrl] = None
    """URL of a JWK Set."""
    file: Maybe[KeyFile] = None
    """File with a JWK Set, or with PEM public keys or certificates."""
    inline: Maybe[Annotated[dict[str, Any], AfterValidator(_inline)]] = Field(
        default=None, repr=False
    )
    """A JWK Set, right here."""
    secret: Maybe[Secret] = None
    """A secret shared with the issuer, for HS algorithms."""
    key_id: Maybe[Text] = None
    """`kid` of the secret; absent: it serves tokens with any `kid`."""
    refresh: Annotated[Duration, lasting("1s")] = Field(default="10m", validate_default=True)
    """Fetched again this often."""
    timeout: Annotated[Duration, lasting("1ms", "60s")] = Field(default="5s", validate_default=True)
    """For one fetch."""
    unknown_key_interval: Duration = Field(default="10s", validate_default=True)
    """An unknown `kid` fetches at once, at most this often."""
    max_stale: Duration = Field(default="24h", validate_default=True)
    """How long keys serve while they can't be fetched."""
    snapshot: bool = True
    """Whether the last good set is kept in the store, for a start while they can't be fetched."""
    required: bool = True
    """Whether the sidecar is ready only with these keys."""
    ca_file: Maybe[CertificateFile] = None
    """Certificates that the server is trusted by, instead of the system's."""
    proxy_url: Maybe[ProxyUrl] = None
    """HTTP proxy to the server; absent: none, whatever the environment says."""
    headers: RequestHeaders = Field(default_factory=dict)
    """Headers that the server is sent, and where their values are."""

    @property
    def are_remote(self) -> bool:
        """Whether they are fetched."""
        return self.discovery is not None or self.url is not None

    def contradictions(self) -> Iterator[Fault]:
        """One source."""
        yield from self.not_exactly_one("discovery", "url", "file", "inline", "secret")

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """Only remote keys are fetched, and only a secret has no name of its own."""
        if not self.are_remote:
            yield from ((name, "discovery or url") for name in _REMOTE)
        if self.secret is None:
            yield "key_id", "secret"

    @field_serializer("inline", when_used="unless-none")
    def _masked(self, jwks: dict[str, Any]) -> dict[str, Any]:
        keys = jwks["keys"]
        return {**jwks, "keys": [_public(key) if isinstance(key, dict) else key for key in keys]}


class Issuer(Section):
    """A party whose tokens are accepted."""

    name: Name
    """For logs, metrics and requests."""
    issuer: Text
    """Must equal `iss`. `"*"`: not checked; then it serves only where a request names it."""
    keys: IssuerKeys
    """Where its keys come from."""
    algorithms: Maybe[OneOrMore[AlgorithmName]] = None
    """Accepted `alg`; absent: every asymmetric one that fits a key."""
    audiences: TextsOrAny
    """Accepted in `aud`; `"*"` for any."""
    types: TextsOrAny = ("JWT", "at+jwt")
    """Accepted `typ` beside an absent one; `"*"` for any."""
    required: Texts = ("exp",)
    """Claims that must be there, by dotted path."""
    claims: ClaimValues = Field(default_factory=dict)
    """Claims that must have a value, or one of several."""
    clock_skew: Annotated[Duration, lasting("0s", "10m")] = Field(
        default="30s", validate_default=True
    )
    """How far the clocks may differ."""
    max_age: Maybe[Annotated[Duration, lasting("1ms")]] = None
    """Longest time since `iat`."""
    max_lifetime: Maybe[Annotated[Duration, lasting("1ms")]] = None
    """Longest time from `iat` to `exp`."""
    critical_headers: Many[Annotated[Text, AfterValidator(_critical_header)]] = ()
    """Names in `crit` that are understood."""
    scope_claims: OneOrMore[Text] = ("scope", "scp")
    """Claims that hold the scopes; the first that is there counts."""
    profile: Maybe[Literal["access_token"]] = None
    """`access_token`: the rules of RFC 9068 hold; absent: none beside the others here."""
    proof: Literal["when_bound", "required", "ignore"] = "when_bound"
    """Whether a proof is needed that the presenter holds the token's key (claim `cnf`)."""
    subjects: Maybe[Name] = None
    """Name of the subject directory in which the token's subject must exist; absent: none."""
    addresses: Maybe[Addresses] = None
    """Which clients' addresses may come with its tokens; absent: any."""
    one_time: bool = False
    """Whether each token, known by its `jti`, passes once."""

    @property
    def local_keys(self) -> KeySet | None:
        """The keys, None where they are fetched."""
        if self.keys.secret is not None:
            algorithms = frozenset(self.algorithms or ())
            return KeySet((from_secret(self.keys.secret.material, algorithms, self.keys.key_id),))
        if self.keys.inline is not None:
            return inline_keys(self.keys.inline)
        return self.keys.file.keys if self.keys.file else None

    def contradictions(self) -> Iterator[Fault]:
        """The keys must fit the issuer and its algorithms, and the rest the profile."""
        if self.profile is not None:
            yield from self._too_wide_for_a_profile()
        if self.keys.discovery:
            yield from self._not_discoverable()
        if self.keys.secret is not None:
            yield from self._secret_unfit(self.keys.secret)
        else:
            yield from self._keys_unfit()

    def _too_wide_for_a_profile(self) -> Iterator[Fault]:
        """Section 4 of RFC 9068 has both compared exactly."""
        if self.audiences == ANY:
            yield ("audiences",), 'must name this service with profile: access_token; it is "*"'
        if self.issuer == "*":
            yield ("issuer",), 'must be that of the tokens with profile: access_token; it is "*"'

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """The profile has a `typ` of its own."""
        if self.profile is not None:
            yield "types", "no profile, which has a typ of its own"

    def _not_discoverable(self) -> Iterator[Fault]:
        """Section 3 of OpenID Connect Discovery 1.0 has issuers without query and fragment."""
        wrong = wrong_with_url(self.issuer)
        if wrong is None and "?" in self.issuer:
            wrong = "must be a URL without a query (?…)"
        if wrong is not None:
            yield ("issuer",), f"{wrong}; keys.discovery starts from it"

    def _secret_unfit(self, secret: Secret) -> Iterator[Fault]:
        if self.algorithms is None:
            yield (
                ("keys", "secret"),
                f"needs the algorithms that it serves: add algorithms with some of "
                f"{names(SYMMETRIC)}",
            )
            return
        for index, name in enumerate(self.algorithms):
            if name in ASYMMETRIC:
                yield (
                    ("algorithms", index),
                    f"{name} needs public keys, and keys has a secret, which serves "
                    f"{names(SYMMETRIC)}",
                )
        try:
            from_secret(secret.material, SYMMETRIC & set(self.algorithms))
        except UnusableKey as problem:
            yield ("keys", "secret"), problem.message

    def _keys_unfit(self) -> Iterator[Fault]:
        local = self.local_keys
        for index, name in enumerate(self.algorithms or ()):
            if name in SYMMETRIC:
                yield ("algorithms", index), f"{name} needs keys.secret; remove it"
            elif local is not None and name not in local.algorithms:
                yield (
                    ("algorithms", index),
                    f"{name} fits none of the keys, which are for {names(local.algorithms)}",
                )


def _public(jwk: dict[str, Any]) -> dict[str, Any]:
    """A key that was published whole by mistake is not shown whole."""
    return {name: jwk[name] if name in _PUBLIC_MEMBERS else "***" for name in jwk}
