"""The rules of the setting `authorization`: which requests, and what they need."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field

from sidecar.authorization.condition import Expression, InvalidCondition
from sidecar.authorization.path import ASTERISK, normalized
from sidecar.authorization.rules import WILDCARD, Pattern, bare_host
from sidecar.config.client_addresses import Addresses
from sidecar.config.issuers import ClaimValues
from sidecar.config.section import (
    Fault,
    Matching,
    Maybe,
    Name,
    OneOrMore,
    Section,
    Text,
    Written,
    fault,
)
from sidecar.config.signers import Scope
from sidecar.config.surroundings import Surroundings
from sidecar.token.reason import Refused
from sidecar.token.words import quoted

_HOST: Final = r"^(\*\.)?[A-Za-z0-9_.:\[\]-]{1,253}$"
_METHOD: Final = r"^[A-Z][A-Z0-9_-]{0,30}$"


def _host(name: str) -> str:
    bare = bare_host(name.removeprefix(WILDCARD))
    if bare != name.lower().removeprefix(WILDCARD):
        raise fault(f"must be a host without port and final dot; write {bare}")
    return name.lower()


def _is_normal(path: str) -> bool:
    try:
        return normalized(path).text == path
    except Refused:
        return False


def _path(path: str) -> str:
    if path == ASTERISK or (path.startswith("/") and _is_normal(path)):
        return path
    raise fault(
        f"is {quoted(path)}, which no path is once it is normalized: write it with a slash first, "
        "decoded, and without //, /./, /../, query and parameters (;)"
    )


def _prefix(path: str) -> str:
    # A prefix may end anywhere: "/a." is the beginning of "/a.b".
    if path.startswith("/") and (_is_normal(path) or _is_normal(f"{path}x")):
        return path
    return _path(path)


@dataclass(frozen=True, slots=True)
class Regex(Written):
    """A regular expression (RE2) for a path, from its beginning."""

    text: str
    pattern: Pattern = field(repr=False, compare=False)

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """Raises a fault where it is none, or not tied to the beginning of the path."""
        if not text.startswith("^"):
            raise fault('must begin with ^, so that it is plain where it matches, as "^/v[0-9]+/"')
        try:
            import re2
        except ImportError:
            raise fault(
                "needs RE2, which is not installed: pip install 'jwt-sidecar[re2]'"
            ) from None
        options = re2.Options()
        options.log_errors = False
        try:
            return cls(text, re2.compile(text, options))
        except re2.error as error:
            problem = error.args[0] if error.args else ""
            words = problem.decode("utf-8", "replace") if isinstance(problem, bytes) else problem
            raise fault(f"is no regular expression in RE2's syntax: {words}") from None

    def __str__(self) -> str:
        """As it stands in the file."""
        return self.text


class Match(Section):
    """Which requests a rule is for. What is absent holds for all."""

    hosts: Maybe[
        OneOrMore[
            Annotated[
                str,
                Matching(_HOST, "a host, or one after *. for all below it"),
                AfterValidator(_host),
            ]
        ]
    ] = None
    """One of these, without port; `*.example.com` for all below it."""
    path: Maybe[Annotated[Text, AfterValidator(_path)]] = None
    """The whole path."""
    path_prefix: Maybe[Annotated[Text, AfterValidator(_prefix)]] = None
    """What the path begins with."""
    path_regex: Maybe[Regex] = None
    """A regular expression for the path, from its beginning (`^`)."""
    methods: Maybe[
        OneOrMore[Annotated[str, Matching(_METHOD, "a method in capitals, such as GET")]]
    ] = None
    """One of these."""

    def contradictions(self) -> Iterator[Fault]:
        """The path is matched in one way."""
        given = [
            name for name in ("path", "path_prefix", "path_regex") if name in self.model_fields_set
        ]
        if len(given) > 1:
            yield (), f"has {' and '.join(given)}, which are each a way to match the path; keep one"


@dataclass(frozen=True, slots=True)
class Condition(Written):
    """A condition in CEL."""

    expression: Expression

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """Raises a fault that names the column."""
        try:
            return cls(Expression.compiled(text))
        except InvalidCondition as invalid:
            raise fault(str(invalid)) from None

    def __str__(self) -> str:
        """As it stands in the file."""
        return self.expression.text


_ConsumerName = Annotated[
    str, Matching(r"^([a-z0-9._-]{1,100}|\*)$", 'the name of a consumer, or "*" for any')
]


class Require(Section):
    """What the token of a request must be."""

    issuers: Maybe[OneOrMore[Name]] = None
    """Names of issuers, one of which it is from; absent: any, unless there are `consumers`."""
    consumers: Maybe[OneOrMore[_ConsumerName]] = None
    """Names of consumers, one of which it is from, or `"*"` for any; absent: any, unless there are
    `issuers`."""
    audiences: Maybe[OneOrMore[Text]] = None
    """One of these is in `aud`; they replace those of the issuer."""
    scopes: Maybe[OneOrMore[Scope]] = None
    """All of these are granted."""
    claims: ClaimValues = Field(default_factory=dict)
    """Claims by dotted path, and the value or values that they must have."""
    condition: Maybe[Condition] = None
    """An expression in CEL over `claims`, `header`, `request` and `consumer`."""


class Rule(Section):
    """A rule."""

    name: Maybe[Name] = None
    """For messages, and for routes of a proxy that name it."""
    match: Match = Match()
    """Which requests it is for; absent: all."""
    allow: Maybe[Literal["anonymous", "optional"]] = None
    """`anonymous`: no token is needed, but one that is there must be good. `optional`: one that is
    refused counts as none."""
    deny: Maybe[Literal[True]] = None
    """Nothing passes."""
    require: Maybe[Require] = None
    """What the token must be; absent: of any issuer or consumer."""
    addresses: Maybe[Addresses] = None
    """Which clients' addresses may come, with a token or without."""

    def contradictions(self) -> Iterator[Fault]:
        """A rule does one thing."""
        given = [name for name in ("allow", "deny", "require") if name in self.model_fields_set]
        if len(given) > 1:
            yield (), f"has {' and '.join(given)}, of which a rule does one; make two rules of it"
        if self.allow and "match" not in self.model_fields_set:
            yield (
                ("allow",),
                "would let every request pass without a token; say for which (match), or "
                "match: {} if that is meant",
            )
