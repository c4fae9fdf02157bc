"""Which rules earlier ones hide."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.authorization.reachability import Unreachable, find_unreachable
from sidecar.authorization.rules import Match, Rule, Rules


def path(*paths: str, **more: tuple[str, ...]) -> Match:
    return Match(paths=paths, **more)  # type: ignore[arg-type]


def prefix(*prefixes: str, **more: tuple[str, ...]) -> Match:
    return Match(path_prefixes=prefixes, **more)  # type: ignore[arg-type]


def regex(text: str) -> Match:
    return Match(path_regex=re.compile(text), regex_text=text)


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        pytest.param(Match(), path("/a"), id="a path behind everything"),
        pytest.param(Match(), prefix("/a"), id="a prefix behind everything"),
        pytest.param(Match(), regex("^/a"), id="a regex behind everything"),
        pytest.param(Match(), Match(hosts=("h",)), id="a host behind everything"),
        pytest.param(Match(), Match(), id="everything behind everything"),
        pytest.param(prefix("/"), path("/a"), id="a path behind the root"),
        pytest.param(prefix("/a"), prefix("/a/b/"), id="a prefix behind a shorter one"),
        pytest.param(prefix("/a/"), path("/a"), id="a path behind its prefix"),
        pytest.param(prefix("/a"), regex("^/a/b[0-9]"), id="a regex behind a prefix"),
        pytest.param(regex("^/a[0-9]"), regex("^/a[0-9]"), id="a regex behind itself"),
        pytest.param(regex("^/a"), path("/ab"), id="a path behind a regex that matches it"),
        pytest.param(path("/a"), path("/a", methods=("GET",)), id="one method behind all"),
        pytest.param(
            path("/a", methods=("GET", "PUT")), path("/a", methods=("PUT",)), id="behind methods"
        ),
        pytest.param(
            path("/a", methods=("GET",)), path("/a", methods=("HEAD",)), id="HEAD behind GET"
        ),
        pytest.param(
            prefix("/a", hosts=("*.h",)), path("/a/b", hosts=("x.h",)), id="a host behind wildcard"
        ),
        pytest.param(
            Match(hosts=("*.h",)), Match(hosts=("*.x.h",)), id="a wildcard behind a wider one"
        ),
    ],
)
def test_a_rule_behind_a_wider_one_is_never_reached(earlier: Match, later: Match) -> None:
    assert list(find_unreachable([earlier, later])) == [Unreachable(1, 0)]


@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        pytest.param(path("/a"), prefix("/a"), id="more than the path"),
        pytest.param(prefix("/a"), prefix("/ab"), id="another segment"),
        pytest.param(prefix("/a/b"), prefix("/a"), id="a wider prefix"),
        pytest.param(regex("^/a"), prefix("/a"), id="what a regex matches is not worked out"),
        pytest.param(prefix("/v1"), regex("^/v[0-9]"), id="a regex that leads elsewhere too"),
        pytest.param(path("/a", methods=("GET",)), path("/a"), id="all methods"),
        pytest.param(
            path("/a", methods=("GET",)), path("/a", methods=("GET", "PUT")), id="one more"
        ),
        pytest.param(Match(hosts=("h",)), Match(), id="all hosts"),
        pytest.param(Match(hosts=("h",)), Match(hosts=("h", "i")), id="one more host"),
        pytest.param(Match(hosts=("*.h",)), Match(hosts=("h",)), id="the host of a wildcard"),
        pytest.param(Match(methods=("GET",)), path("/a"), id="another method"),
        pytest.param(prefix("/"), path("*"), id="the server itself is not below the root"),
    ],
)
def test_a_rule_that_matches_more_is_reached(earlier: Match, later: Match) -> None:
    assert list(find_unreachable([earlier, later])) == []


def test_several_rules_together_hide_one() -> None:
    matches = [
        path("/a", methods=("GET",)),
        path("/a", methods=("PUT",)),
        path("/a", methods=("GET", "PUT")),
    ]
    assert list(find_unreachable(matches)) == [Unreachable(2, 1)]


def test_single_paths_of_a_rule_are_named() -> None:
    matches = [prefix("/a"), path("/b", "/a/x")]
    assert list(find_unreachable(matches)) == [Unreachable(1, 0, 1)]


def test_ten_thousand_rules_are_not_compared_with_each_other() -> None:
    matches = [prefix(f"/tenant-{number}") for number in range(10_000)]
    assert list(find_unreachable([*matches, path("/tenant-77/x")])) == [Unreachable(10_000, 77)]


PATHS = st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/b"])
SOME = st.lists(PATHS, min_size=1, max_size=2, unique=True).map(tuple)
MATCHES = st.builds(
    lambda hosts, methods, how: Match(tuple(hosts), methods=tuple(methods), **how),
    st.lists(st.sampled_from(["h", "*.h", "x.h"]), max_size=2, unique=True),
    st.lists(st.sampled_from(["GET", "PUT"]), max_size=2, unique=True),
    st.one_of(
        st.just({}),
        st.builds(lambda paths: {"paths": paths}, SOME),
        st.builds(lambda paths: {"path_prefixes": paths}, SOME),
    ),
)


@given(
    st.lists(MATCHES, max_size=5),
    st.sampled_from(["GET", "PUT", "POST"]),
    st.sampled_from(["h", "x.h", "y.x.h", "o"]),
    st.sampled_from(["/", "/a", "/a/b", "/a/b/c", "/a/b/c/d", "/b", "/c"]),
)
def test_no_request_falls_under_a_rule_that_is_never_reached(
    matches: list[Match], method: str, host: str, target: str
) -> None:
    hidden = {found.rule for found in find_unreachable(matches) if found.path is None}
    rules = Rules((match, Rule(str(place))) for place, match in enumerate(matches))
    assert rules.find(method, host, target).title not in map(str, hidden)
