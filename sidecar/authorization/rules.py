"""Which rule an HTTP request falls under: the first that matches.

The look-up costs what the host's labels and the path's length cost, and not more for more rules:
hosts, paths and prefixes are looked up, and of the regular expressions those are tried whose fixed
beginning the path has.
"""

import re
from bisect import insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Generic, Protocol, TypeVar

from sidecar.authorization.condition import Expression
from sidecar.token.addresses import AddressRules
from sidecar.token.request import Demand

WILDCARD: Final = "*."
"""Before a host: all below it."""
_META: Final = frozenset(".[](){}*+?|\\^$")
_OPTIONAL: Final = frozenset("*?{")
T = TypeVar("T")


class Passage(Enum):
    """How a request may pass under a rule."""

    TOKEN = "token"
    """With a token that the rule takes."""
    ANONYMOUS = "anonymous"
    """Without a token; one that is there must be good."""
    OPTIONAL = "optional"
    """Without a token, or with one that counts as none where it is refused."""
    NONE = "none"
    """Not at all."""


@dataclass(frozen=True, slots=True)
class Rule:
    """What is demanded of the requests that fall under it."""

    title: str
    """What it is called in messages."""
    name: str = ""
    """By which a proxy's route names it; empty where it has none."""
    passage: Passage = Passage.TOKEN
    demand: Demand | None = None
    """What it requires beyond a valid token, except its condition."""
    condition: Expression | None = None
    addresses: AddressRules | None = None
    """Of the clients, whose request has a token or has none."""
    mark: object = field(default_factory=object, init=False, repr=False, compare=False)
    """Its own: what was answered under this rule is known by it."""


DEFAULT: Final = Rule("the default rule")
"""Where no rule matches: a token of any issuer or consumer."""


class Pattern(Protocol):
    """A compiled regular expression."""

    def match(self, text: str) -> object | None:
        """Whether the text begins with it."""


@dataclass(frozen=True, slots=True)
class Match:
    """Which requests a rule is for; what is empty holds for all."""

    hosts: tuple[str, ...] = ()
    """In lower case, without port; `*.` before one stands for all below it."""
    path: str | None = None
    path_prefix: str | None = None
    path_regex: Pattern | None = field(default=None, compare=False)
    regex_text: str = ""
    """What `path_regex` was compiled from."""
    methods: tuple[str, ...] = ()


class Rules:
    """Rules in order. Immutable once made."""

    def __init__(self, rules: Iterable[tuple[Match, Rule]] = ()) -> None:
        self._rules: list[Rule] = []
        self._by_name: dict[str, Rule] = {}
        self._hosts: dict[str, _Paths] = {}
        for index, (match, rule) in enumerate(rules):
            self._rules.append(rule)
            if rule.name:
                self._by_name[rule.name] = rule
            for host in match.hosts or ("",):
                self._hosts.setdefault(host, _Paths()).add(match, index)

    def __bool__(self) -> bool:
        """Whether there is one."""
        return bool(self._rules)

    @property
    def names(self) -> Iterable[str]:
        """The names of those that have one."""
        return self._by_name

    def named(self, name: str) -> Rule | None:
        """The rule of this name."""
        return self._by_name.get(name)

    def find(self, method: str, host: str, path: str) -> Rule:
        """The first rule that matches; the path is in its normal form."""
        first = _NEVER
        for one in _candidates(host):
            paths = self._hosts.get(one)
            if paths is not None:
                first = paths.find(path, method, first)
        return self._rules[first] if first < len(self._rules) else DEFAULT


_LONGEST_HOST: Final = 253
"""Characters of a name in DNS."""
_NEVER: Final = 1 << 62
"""Behind every rule."""


class _Methods:
    """The first rule for each method, of those with the same host and path."""

    __slots__ = ("_any", "_first")

    def __init__(self) -> None:
        self._any = _NEVER
        self._first: dict[str, int] = {}

    def add(self, methods: tuple[str, ...], index: int) -> None:
        """Rules come in order, so what is there stays."""
        for method in methods:
            self._first.setdefault(method, index)
        if not methods:
            self._any = min(self._any, index)

    def find(self, method: str) -> int:
        """The first rule."""
        return min(self._any, self._first.get(method, _NEVER))


class _Beginnings(Generic[T]):
    """Things by what a path begins with."""

    def __init__(self) -> None:
        self._things: dict[str, T] = {}
        self._lengths: list[int] = []

    def setdefault(self, beginning: str, thing: T) -> T:
        """What is there under this beginning, which is this thing where nothing was."""
        if len(beginning) not in self._lengths:
            insort(self._lengths, len(beginning))
        return self._things.setdefault(beginning, thing)

    def of(self, path: str) -> Iterator[T]:
        """All things that the path begins with."""
        for length in self._lengths:
            if length > len(path):
                return
            thing = self._things.get(path[:length])
            if thing is not None:
                yield thing


class _Paths:
    """The rules for one host, by what they say of the path."""

    def __init__(self) -> None:
        self._exact: dict[str, _Methods] = {}
        self._prefixes: _Beginnings[_Methods] = _Beginnings()
        self._regexes: _Beginnings[dict[str, tuple[Pattern, _Methods]]] = _Beginnings()

    def add(self, match: Match, index: int) -> None:
        """Rules come in order."""
        if match.path_regex is not None:
            same = self._regexes.setdefault(fixed_beginning(match.regex_text), {})
            methods = same.setdefault(match.regex_text, (match.path_regex, _Methods()))[1]
        elif match.path is not None:
            methods = self._exact.setdefault(match.path, _Methods())
        else:
            methods = self._prefixes.setdefault(match.path_prefix or "", _Methods())
        methods.add(match.methods, index)

    def find(self, path: str, method: str, first: int) -> int:
        """The first rule, where it comes before `first`."""
        exact = self._exact.get(path)
        if exact is not None:
            first = min(first, exact.find(method))
        for methods in self._prefixes.of(path):
            first = min(first, methods.find(method))
        for regexes in self._regexes.of(path):
            for pattern, methods in regexes.values():
                index = methods.find(method)
                if index < first and pattern.match(path):
                    first = index
        return first


def _candidates(host: str) -> Iterator[str]:
    """The host as rules name it, and everything else that stands for it."""
    yield ""
    name = bare_host(host)
    if len(name) > _LONGEST_HOST:
        return
    yield name
    while "." in name:
        name = name.partition(".")[2]
        yield WILDCARD + name


def bare_host(host: str) -> str:
    """A host without its port and the root's dot, in lower case (RFC 9110, section 7.2)."""
    name = host.lower()
    if name.endswith("]") or ":" not in name:
        return name.removesuffix(".")
    return name.rpartition(":")[0].removesuffix(".")


_ONE_HOST: Final = re.compile(r"(?:[^\s:@,/?#\[\]]*|\[[0-9A-Za-z:.%]+\])(?::[0-9]*)?")


def is_one_host(host: str) -> bool:
    """Whether all who read a request's host take the same name from it."""
    return _ONE_HOST.fullmatch(host) is not None


def fixed_beginning(regex: str) -> str:
    """What every text begins with that matches a regular expression from its start (`^`)."""
    if "|" in regex:
        return ""
    text = regex.removeprefix("^")
    length = next((place for place, one in enumerate(text) if one in _META), len(text))
    repeated = text[length : length + 1] in _OPTIONAL
    return text[: length - 1] if repeated and length else text[:length]
