"""Find the rule that an HTTP request falls under: the first that matches.

The lookup costs what the host's labels and the path's length cost, and not more for more rules:
hosts, paths and prefixes are looked up, and only regular expressions whose fixed beginning the path
has are tried.
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
    """Which requests a rule is for; an empty field matches everything."""

    hosts: tuple[str, ...] = ()
    """In lower case, without port; `*.` before a host stands for all below it."""
    paths: tuple[str, ...] = ()
    """The whole path, decoded."""
    path_prefixes: tuple[str, ...] = ()
    """Whole segments that the path begins with; a slash at the end makes no difference."""
    path_regex: Pattern | None = field(default=None, compare=False)
    regex_text: str = ""
    """What `path_regex` was compiled from."""
    caseless_regex: Pattern | None = field(default=None, compare=False)
    """The same, compiled to ignore case."""
    methods: tuple[str, ...] = ()

    @property
    def is_for_all_paths(self) -> bool:
        """Tell if it says nothing of the path."""
        return not self.paths and not self.path_prefixes and self.path_regex is None


class Rules:
    """Rules in order. Immutable once made."""

    def __init__(self, rules: Iterable[tuple[Match, Rule]] = ()) -> None:
        self._rules: list[Rule] = []
        self._by_name: dict[str, Rule] = {}
        self._index = RuleIndex()
        self._folded = RuleIndex(folds=True)
        self._folding_matters = False
        for index, (match, rule) in enumerate(rules):
            self._rules.append(rule)
            if rule.name:
                self._by_name[rule.name] = rule
            self._index.add(match, index)
            self._folded.add(match, index)
            if match.path_regex or any(
                fold(path) != path
                for path in (*match.paths, *(one.rstrip("/") or "/" for one in match.path_prefixes))
            ):
                self._folding_matters = True

    def __bool__(self) -> bool:
        """Tell if any exist."""
        return bool(self._rules)

    @property
    def names(self) -> Iterable[str]:
        """The names of those that have one."""
        return self._by_name

    def named(self, name: str) -> Rule | None:
        """Return the rule of this name."""
        return self._by_name.get(name)

    def find(self, method: str, host: str, path: str) -> Rule:
        """Return the first rule that matches a path, decoded and without parameters."""
        return self._rule(self._index.find(method, host, path))

    def find_folded(self, method: str, host: str, path: str, found: Rule) -> Rule:
        """Return what `find` finds if neither case nor a slash at the end makes a difference.

        Routers such as those of .NET and Express ignore both. `found` is what `find` returned.
        """
        if not self._folding_matters and path[-1:] != "/" and path == path.casefold():
            return found
        return self._rule(self._folded.find(method, host, fold(path)))

    def _rule(self, index: int) -> Rule:
        return self._rules[index] if index < len(self._rules) else DEFAULT


def fold(path: str) -> str:
    """Return the path without case and without a slash at the end."""
    return path.casefold().rstrip("/") or "/"


MAX_HOST_LENGTH: Final = 253
"""Characters of a name in DNS; requests for longer ones are refused, so no rule misses one."""
NO_RULE: Final = 1 << 62
"""A place behind every rule."""


class _Methods:
    """The first rule for each method, of those with the same host and path."""

    __slots__ = ("_any", "_first")

    def __init__(self) -> None:
        self._any = NO_RULE
        self._first: dict[str, int] = {}

    def add(self, methods: tuple[str, ...], index: int) -> None:
        """Add a rule; rules come in order, so what is there stays."""
        for method in methods:
            self._first.setdefault(method, index)
        if "GET" in methods:
            # Servers answer HEAD with the handler for GET (RFC 9110, section 9.3.2).
            self._first.setdefault("HEAD", index)
        if not methods:
            self._any = min(self._any, index)

    def find(self, method: str) -> int:
        """The first rule."""
        return min(self._any, self._first.get(method, NO_RULE))


class _Beginnings(Generic[T]):
    """Things by what a path begins with."""

    def __init__(self) -> None:
        self._things: dict[str, T] = {}
        self._lengths: list[int] = []

    def setdefault(self, beginning: str, thing: T) -> T:
        """Return what this beginning has, which is this thing if it had nothing."""
        if len(beginning) not in self._lengths:
            insort(self._lengths, len(beginning))
        return self._things.setdefault(beginning, thing)

    def of(self, path: str) -> Iterator[T]:
        """Return all things that the path begins with."""
        for length in self._lengths:
            if length > len(path):
                return
            thing = self._things.get(path[:length])
            if thing is not None:
                yield thing

    def of_segments(self, path: str) -> Iterator[T]:
        """Return all things that the path begins with as whole segments."""
        size = len(path)
        for length in self._lengths:
            if length > size:
                return
            # "/public" begins "/public" and "/public/x", but not "/publicity".
            if length == size or path[length] == "/":
                thing = self._things.get(path[:length])
                if thing is not None:
                    yield thing


class _Paths:
    """The rules for one host, by what they say of the path."""

    def __init__(self, folds: bool) -> None:
        self._folds = folds
        self._all = _Methods()
        self._exact: dict[str, _Methods] = {}
        self._prefixes: _Beginnings[_Methods] = _Beginnings()
        self._regexes: _Beginnings[dict[str, tuple[Pattern, _Methods]]] = _Beginnings()

    def add(self, match: Match, index: int) -> None:
        """Add a rule; rules come in order."""
        for path in match.paths:
            exact = self._exact.setdefault(fold(path) if self._folds else path, _Methods())
            exact.add(match.methods, index)
        for prefix in match.path_prefixes:
            beginning = (prefix.casefold() if self._folds else prefix).rstrip("/")
            self._prefixes.setdefault(beginning, _Methods()).add(match.methods, index)
        if match.path_regex is not None:
            self._add_regex(match, match.path_regex, index)
        if match.is_for_all_paths:
            self._all.add(match.methods, index)

    def _add_regex(self, match: Match, pattern: Pattern, index: int) -> None:
        beginning = fixed_beginning(match.regex_text)
        if self._folds:
            pattern = _OptionalSlash(match.caseless_regex or pattern)
            beginning = beginning.casefold().rstrip("/")
        same = self._regexes.setdefault(beginning, {})
        same.setdefault(match.regex_text, (pattern, _Methods()))[1].add(match.methods, index)

    def find(self, path: str, method: str, first: int) -> int:
        """Return the first rule, if it comes before `first`."""
        first = min(first, self._all.find(method))
        exact = self._exact.get(path)
        if exact is not None:
            first = min(first, exact.find(method))
        for methods in self._prefixes.of_segments(path):
            first = min(first, methods.find(method))
        for regexes in self._regexes.of(path):
            for pattern, methods in regexes.values():
                index = methods.find(method)
                if index < first and pattern.match(path):
                    first = index
        return first

    def find_covering(self, match: Match, method: str) -> int:
        """Return the first rule that matches whatever a match of one path matches."""
        first = self._all.find(method)
        if match.paths:
            return self.find(match.paths[0], method, first)
        beginning = ""
        if match.path_prefixes:
            beginning = match.path_prefixes[0].rstrip("/")
        elif match.path_regex is not None:
            for same in self._regexes.of(fixed_beginning(match.regex_text)):
                if match.regex_text in same:
                    first = min(first, same[match.regex_text][1].find(method))
            # Only whole segments count: "^/v[0-9]" may lead to "/v1" and to "/v2".
            beginning = fixed_beginning(match.regex_text).rpartition("/")[0]
        else:
            return first
        for methods in self._prefixes.of_segments(beginning):
            first = min(first, methods.find(method))
        return first


@dataclass(frozen=True, slots=True)
class _OptionalSlash:
    """A pattern for paths that may have lost the slash at their end."""

    pattern: Pattern

    def match(self, text: str) -> object | None:
        """Match the path, or the path with a slash at its end."""
        return self.pattern.match(text) or self.pattern.match(f"{text}/")


class RuleIndex:
    """Places of rules by host, path and method."""

    def __init__(self, folds: bool = False) -> None:
        self._folds = folds
        self._hosts: dict[str, _Paths] = {}

    def add(self, match: Match, index: int) -> None:
        """Add a rule; rules come in order."""
        for host in match.hosts or ("",):
            self._hosts.setdefault(host, _Paths(self._folds)).add(match, index)

    def find(self, method: str, host: str, path: str) -> int:
        """Return the place of the first rule that matches, NO_RULE if none does.

        A folding index takes paths that went through `fold`.
        """
        first = NO_RULE
        for candidate in _candidates(host):
            paths = self._hosts.get(candidate)
            if paths is not None:
                first = paths.find(path, method, first)
        return first

    def find_covering(self, method: str, host: str, match: Match) -> int:
        """Return the place of the first rule that matches all that a match of one path does.

        NO_RULE if none does. A method or host that is empty stands for all.
        """
        found = (
            self._hosts[candidate].find_covering(match, method)
            for candidate in _candidates(host)
            if candidate in self._hosts
        )
        return min(found, default=NO_RULE)


def _candidates(host: str) -> Iterator[str]:
    """The host as rules name it, and everything else that stands for it."""
    yield ""
    name = bare_host(host)
    if len(name) > MAX_HOST_LENGTH:
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


_ONE_HOST: Final = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+;=|-]*|\[[0-9A-Za-z:.%]+\])(?::[0-9]*)?")
"""A name has no percent-encoding and nothing beyond ASCII: some servers decode these."""


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
