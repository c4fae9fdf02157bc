"""Find rules that no request falls under, because an earlier rule matches all that they match."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sidecar.authorization.rules import NO_RULE, Match, RuleIndex

_ANY_METHOD = ""
"""Found for rules without methods only: no method is empty."""


@dataclass(frozen=True, slots=True)
class Unreachable:
    """A rule, or one of its paths, that an earlier rule hides; rules by their place."""

    rule: int
    hidden_by: int
    path: int | None = None
    """Place of the path or prefix among those of the rule; None: all of the rule is hidden."""


def find_unreachable(matches: Iterable[Match]) -> Iterator[Unreachable]:
    """Yield the rules, in order, that earlier rules hide, and single paths that they hide."""
    index = RuleIndex()
    for place, match in enumerate(matches):
        hiders = [_hider(match, single, index) for single in _single_paths(match)]
        if None not in hiders:
            yield Unreachable(place, max(hider for hider in hiders if hider is not None))
        else:
            for path, hider in enumerate(hiders):
                if hider is not None:
                    yield Unreachable(place, hider, path)
        index.add(match, place)


def _single_paths(match: Match) -> Iterator[Match]:
    """Yield a match for each path, prefix or regular expression."""
    for path in match.paths:
        yield Match(paths=(path,))
    for prefix in match.path_prefixes:
        yield Match(path_prefixes=(prefix,))
    if match.path_regex is not None or match.is_for_all_paths:
        yield match


def _hider(match: Match, single: Match, index: RuleIndex) -> int | None:
    """Return the last of the rules that together match all of this, None if none do."""
    found = [
        index.find_covering(method, host, single)
        for host in match.hosts or ("",)
        for method in match.methods or (_ANY_METHOD,)
    ]
    return None if NO_RULE in found else max(found)
