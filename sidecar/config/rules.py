"""The rules of the setting `authorization`: which requests, and what they need."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, WithJsonSchema

from sidecar.authorization import rules
from sidecar.authorization.condition import Expression, InvalidCondition
from sidecar.authorization.path import problem_of_rule_path
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
from sidecar.token.words import quoted

_HOST: Final = r"^(\*\.)?[A-Za-z0-9_.:\[\]-]{1,253}$"
_METHOD: Final = r"^[!#$%&'*+.^_`|~0-9A-Z-]{1,32}$"
"""A token (RFC 9110, section 5.6.2) without lower-case letters: no other method gets to a rule."""


def _host(name: str) -> str:
    bare = bare_host(name.removeprefix(WILDCARD))
    if bare != name.lower().removeprefix(WILDCARD):
        raise fault(f"must be a host without port and final dot; write {bare}")
    return name.lower()


def _path(path: str) -> str:
    if problem := problem_of_rule_path(path):
        raise fault(f"is {quoted(path)}; it {problem}")
    return path


def _as_list(value: object) -> object:
    return [_path(value)] if isinstance(value, str) else value


Paths = Annotated[
    OneOrMore[Annotated[Text, AfterValidator(_path)]],
    BeforeValidator(_as_list),
    PlainSerializer(lambda paths: paths[0] if len(paths) == 1 else list(paths), when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ]
        }
    ),
]
"""One path, or a list of paths, none twice."""


@dataclass(frozen=True, slots=True)
class Regex(Written):
    """A regular expression (RE2) for a path, from its beginning."""

    text: str
    pattern: Pattern = field(repr=False, compare=False)
    caseless: Pattern = field(repr=False, compare=False)

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
        caseless = re2.Options()
        caseless.log_errors = False
        caseless.case_sensitive = False
        try:
            return cls(text, re2.compile(text, options), re2.compile(text, caseless))
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
    path: Maybe[Paths] = None
    """The whole path, or a list of paths."""
    path_prefix: Maybe[Paths] = None
    """The first segments of the path, or a list of them: `/admin` for `/admin` and all below it."""
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

    def to_match(self) -> rules.Match:
        """Return the same for the lookup of rules."""
        return rules.Match(
            self.hosts or (),
            self.path or (),
            self.path_prefix or (),
            self.path_regex.pattern if self.path_regex else None,
            self.path_regex.text if self.path_regex else "",
            self.path_regex.caseless if self.path_regex else None,
            self.methods or (),
        )


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
