import re
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.authorization.rules import DEFAULT, Match, Rule, Rules, bare_host, fixed_beginning


def regex(text: str) -> Match:
    caseless = re.compile(text, re.IGNORECASE)
    return Match(path_regex=re.compile(text), regex_text=text, caseless_regex=caseless)


def named(*matches: Match) -> Rules:
    """Rules that are called by their place."""
    return Rules((match, Rule(str(index))) for index, match in enumerate(matches))


@pytest.mark.parametrize(
    ("match", "method", "host", "path", "matches"),
    [
        pytest.param(Match(), "GET", "a", "/x", True, id="nothing said: everything"),
        pytest.param(Match(paths=("/a",)), "GET", "", "/a", True, id="path"),
        pytest.param(Match(paths=("/a",)), "GET", "", "/a/", False, id="path with more"),
        pytest.param(Match(paths=("/a",)), "GET", "", "/A", False, id="path in another case"),
        pytest.param(Match(path_prefixes=("/a/",)), "GET", "", "/a/b", True, id="prefix"),
        pytest.param(Match(path_prefixes=("/a/",)), "GET", "", "/a/", True, id="prefix alone"),
        pytest.param(
            Match(path_prefixes=("/a/",)), "GET", "", "/a", True, id="prefix without its slash"
        ),
        pytest.param(
            Match(path_prefixes=("/a",)), "GET", "", "/a/b", True, id="prefix, a segment more"
        ),
        pytest.param(Match(path_prefixes=("/a",)), "GET", "", "/ab", False, id="part of a segment"),
        pytest.param(Match(path_prefixes=("/",)), "GET", "", "/x", True, id="the root as a prefix"),
        pytest.param(
            Match(path_prefixes=("/a", "/b/c")), "GET", "", "/b/c/d", True, id="one of the prefixes"
        ),
        pytest.param(Match(paths=("/a", "/b")), "GET", "", "/b", True, id="one of the paths"),
        pytest.param(Match(), "OPTIONS", "a", "*", True, id="nothing said: the server itself too"),
        pytest.param(regex("^/a/.*"), "GET", "", "/a/b", True, id="regex"),
        pytest.param(regex("^/a/"), "GET", "", "/b/a/", False, id="regex further on"),
        pytest.param(regex("^/v[0-9]+/x$"), "GET", "", "/v12/x", True, id="regex to the end"),
        pytest.param(regex("^/v[0-9]+/x$"), "GET", "", "/v12/xy", False, id="regex, and more"),
        pytest.param(Match(methods=("GET", "PUT")), "PUT", "", "/", True, id="one of the methods"),
        pytest.param(Match(methods=("GET",)), "POST", "", "/", False, id="another method"),
        pytest.param(Match(methods=("GET",)), "HEAD", "", "/", True, id="HEAD is a GET"),
        pytest.param(Match(methods=("HEAD",)), "GET", "", "/", False, id="GET is no HEAD"),
        pytest.param(Match(methods=("GET",)), "get", "", "/", False, id="methods have a case"),
        pytest.param(Match(hosts=("a.b",)), "GET", "a.b", "/", True, id="host"),
        pytest.param(Match(hosts=("a.b",)), "GET", "A.B:8080", "/", True, id="host with a port"),
        pytest.param(Match(hosts=("a.b",)), "GET", "a.b.", "/", True, id="host with a final dot"),
        pytest.param(Match(hosts=("a.b",)), "GET", "x.a.b", "/", False, id="below the host"),
        pytest.param(Match(hosts=("a.b",)), "GET", "a.b.:80", "/", True, id="dot and port"),
        pytest.param(Match(hosts=("*.a.b",)), "GET", "x.y.a.b", "/", True, id="wildcard"),
        pytest.param(Match(hosts=("*.a.b",)), "GET", "a.b", "/", False, id="wildcard, the host"),
        pytest.param(Match(hosts=("*.b",)), "GET", "a.bb", "/", False, id="wildcard, another"),
        pytest.param(Match(hosts=("[::1]",)), "GET", "[::1]:80", "/", True, id="an IPv6 address"),
        pytest.param(Match(hosts=("[::1]",)), "GET", "[::1]", "/", True, id="one without a port"),
        pytest.param(Match(hosts=("a", "b")), "GET", "b", "/", True, id="one of the hosts"),
        pytest.param(
            Match(hosts=("a",)), "GET", "a" * 300, "/", False, id="a host that is no name"
        ),
        pytest.param(
            Match(hosts=("*.a",)), "GET", "x." * 126 + "a", "/", True, id="the longest name"
        ),
        pytest.param(
            Match(hosts=("*.a",)), "GET", "x." * 127 + "a", "/", False, id="one that is longer"
        ),
    ],
)
def test_what_a_rule_matches(
    match: Match, method: str, host: str, path: str, matches: bool
) -> None:
    assert named(match).find(method, host, path).title == ("0" if matches else DEFAULT.title)


def test_the_first_that_matches_decides() -> None:
    rules = named(
        Match(paths=("/a",), methods=("GET",)),
        regex("^/a"),
        Match(path_prefixes=("/",)),
        Match(paths=("/b",)),
        Match(hosts=("h",)),
    )
    assert rules.find("GET", "h", "/a").title == "0"
    assert rules.find("PUT", "h", "/a").title == "1"
    assert rules.find("GET", "h", "/b").title == "2"


def test_none_is_the_default_rule() -> None:
    assert Rules().find("GET", "h", "/") is DEFAULT
    assert not Rules()
    assert named(Match())


def test_rules_are_found_by_name() -> None:
    rules = Rules([(Match(paths=("/a",)), Rule("rule admin", "admin")), (Match(), Rule("1"))])
    found = rules.named("admin")
    assert found is not None
    assert found.title == "rule admin"
    assert rules.named("") is None
    assert rules.named("other") is None
    assert list(rules.names) == ["admin"]


@pytest.mark.parametrize(
    ("text", "beginning"),
    [
        pytest.param("^/a/b", "/a/b", id="all of it"),
        pytest.param("^/a/.*", "/a/", id="up to a dot"),
        pytest.param("^/ab*", "/a", id="what may be absent does not count"),
        pytest.param("^/ab?", "/a", id="nor does what is optional"),
        pytest.param("^/ab{0,2}", "/a", id="nor what has a count"),
        pytest.param("^/ab+", "/ab", id="what is there at least once does"),
        pytest.param("^/a|/b", "", id="nothing is fixed with an alternative"),
        pytest.param("^(?i)/a", "", id="nor where case is ignored"),
        pytest.param(r"^/a\.b", "/a", id="up to an escape"),
        pytest.param("^*", "", id="nothing"),
        pytest.param("^*/a", "", id="nothing, and then more"),
    ],
)
def test_what_a_regular_expression_begins_with(text: str, beginning: str) -> None:
    assert fixed_beginning(text) == beginning


PATHS = st.sampled_from(["/", "/a", "/a/", "/a/b", "/ab", "/b", "/b/a"])
HOSTS = st.sampled_from(["h", "x.h", "y.x.h", "o", "h:80"])
METHODS = st.sampled_from(["GET", "PUT"])
MATCHES = st.builds(
    lambda hosts, methods, how: Match(tuple(hosts), **how, methods=tuple(methods)),
    st.lists(st.sampled_from(["h", "*.h", "x.h"]), max_size=2),
    st.lists(METHODS, max_size=1),
    st.one_of(
        st.just({}),
        st.builds(lambda path: {"paths": (path,)}, PATHS),
        st.builds(lambda path: {"path_prefixes": (path,)}, PATHS),
        st.builds(
            lambda text: {
                "path_regex": re.compile(text),
                "regex_text": text,
                "caseless_regex": re.compile(text, re.IGNORECASE),
            },
            st.sampled_from(["^/a", "^/a/?$", "^/(a|b)", "^/[ab]/", "^/ab*", "^/"]),
        ),
    ),
)


@given(st.lists(MATCHES, max_size=8), METHODS, HOSTS, PATHS)
def test_the_look_up_finds_what_a_walk_through_all_rules_finds(
    matches: list[Match], method: str, host: str, path: str
) -> None:
    expected = next(
        (
            str(index)
            for index, match in enumerate(matches)
            if matches_plainly(match, method, host, path)
        ),
        DEFAULT.title,
    )
    assert named(*matches).find(method, host, path).title == expected


def matches_plainly(match: Match, method: str, host: str, path: str) -> bool:
    return (
        (not match.methods or method in match.methods)
        and (not match.hosts or any(is_host(one, bare_host(host)) for one in match.hosts))
        and (not match.paths or path in match.paths)
        and (not match.path_prefixes or any(begins(one, path) for one in match.path_prefixes))
        and (match.path_regex is None or match.path_regex.match(path) is not None)
    )


def begins(prefix: str, path: str) -> bool:
    return f"{path}/".startswith(f"{prefix.rstrip('/')}/")


def is_host(rule: str, host: str) -> bool:
    return host.endswith(rule[1:]) if rule.startswith("*.") else host == rule


class Counting(str):
    """A path that counts how often it is cut or compared."""

    __slots__ = ("looks",)
    looks: int

    def __getitem__(self, key: object) -> str:
        self.looks += 1
        return str.__getitem__(self, key)  # type: ignore[index]


def looks(rules: Rules) -> int:
    path = Counting("/tenant-77/orders/1")
    path.looks = 0
    assert rules.find("GET", "h", path).title == "77"
    return path.looks


def tenants(count: int) -> Sequence[Match]:
    return [Match(path_prefixes=(f"/tenant-{index}/",)) for index in range(count)]


def test_ten_thousand_rules_are_not_walked_through() -> None:
    assert looks(named(*tenants(10_000))) <= looks(named(*tenants(100))) + 4


@pytest.mark.parametrize(
    ("match", "path", "matches"),
    [
        pytest.param(Match(paths=("/admin",)), "/ADMIN", True, id="case"),
        pytest.param(Match(paths=("/Admin",)), "/admin", True, id="case of the rule"),
        pytest.param(Match(paths=("/admin",)), "/admin/", True, id="a slash more"),
        pytest.param(Match(paths=("/admin/",)), "/admin", True, id="a slash less"),
        pytest.param(Match(paths=("/admin",)), "/admin/x", False, id="another path"),
        pytest.param(Match(path_prefixes=("/admin/",)), "/Admin/x", True, id="case of a prefix"),
        pytest.param(Match(path_prefixes=("/admin",)), "/ADMINS", False, id="another segment"),
        pytest.param(Match(paths=("/u\u017fers",)), "/users", True, id="case beyond ASCII"),
        pytest.param(regex("^/v1/x$"), "/v1/x/", True, id="a slash more than a regex has"),
        pytest.param(regex("^/v1/$"), "/v1", True, id="a slash less than a regex has"),
        pytest.param(regex("^/v1/"), "/V1/x", True, id="case of a regex"),
        pytest.param(regex(r"^/\S+/x"), "/a/x", True, id="an escape in capitals"),
        pytest.param(Match(), "/A/", True, id="every path"),
        pytest.param(Match(paths=("*",)), "*", True, id="the server itself"),
    ],
)
def test_what_a_rule_matches_if_case_and_a_slash_at_the_end_make_no_difference(
    match: Match, path: str, matches: bool
) -> None:
    rules = named(match)
    found = rules.find_folded("GET", "h", path, rules.find("GET", "h", path))
    assert found.title == ("0" if matches else DEFAULT.title)


@given(st.lists(MATCHES, max_size=6), METHODS, HOSTS, PATHS)
def test_what_is_found_in_one_spelling_is_found_in_all_if_they_make_no_difference(
    matches: list[Match], method: str, host: str, path: str
) -> None:
    rules = named(*matches)

    def folded(spelling: str) -> Rule:
        return rules.find_folded(method, host, spelling, rules.find(method, host, spelling))

    assert folded(path) is folded(path.upper()) is folded(path.rstrip("/") or "/")
