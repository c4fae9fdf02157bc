from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.authorization.path import (
    Parameters,
    Path,
    parse_path,
    problem_of_rule_path,
    shown,
)
from sidecar.token.reason import Reason, Refused


@pytest.mark.parametrize(
    ("target", "path"),
    [
        pytest.param("/", "/", id="the root"),
        pytest.param("/a/b", "/a/b", id="as it is"),
        pytest.param("/a/b/", "/a/b/", id="a slash at the end"),
        pytest.param("/a/b?x=/../c;d", "/a/b", id="without the query"),
        pytest.param("/.../.hidden", "/.../.hidden", id="dots that are no dot segments"),
        pytest.param("/.well-known/jwks.json", "/.well-known/jwks.json", id="a dot at the start"),
        pytest.param("/a.b/..c/d..", "/a.b/..c/d..", id="dots within names"),
        pytest.param("/caf%C3%A9", "/café", id="beyond ASCII"),
        pytest.param("/a%20b", "/a b", id="a space"),
        pytest.param("/a%22%3C%7B%7C", '/a"<{|', id="what must be encoded"),
        pytest.param("/A", "/A", id="case is kept"),
        pytest.param("/a@b:c,d+e=f!g$h&i'j(k)*", "/a@b:c,d+e=f!g$h&i'j(k)*", id="other characters"),
        pytest.param("/" + "a" * 4095, "/" + "a" * 4095, id="a long path"),
        pytest.param("/" + "%C3%A9" * 600, "/" + "é" * 600, id="600 letters beyond ASCII"),
        pytest.param("*", "*", id="the server itself"),
    ],
)
def test_an_ordinary_path_has_one_reading(target: str, path: str) -> None:
    assert parse_path(target) == Path(path)


@pytest.mark.parametrize(
    ("target", "readings", "mark"),
    [
        pytest.param("/a/../b", ["/b", "/a/../b"], "..", id="up"),
        pytest.param("/a/b/..", ["/a/", "/a/b/.."], "..", id="up at the end"),
        pytest.param("/a/./b/.", ["/a/b/", "/a/./b/."], ".", id="dot segments"),
        pytest.param("/a//b", ["/a/b", "/a//b"], "//", id="an empty segment"),
        pytest.param("/a//", ["/a/", "/a//"], "//", id="an empty segment at the end"),
        pytest.param("//a/b", ["/a/b", "/b", "//a/b"], "//", id="a host, to a URL parser"),
        pytest.param("///a/b", ["/a/b", "/b", "///a/b"], "//", id="a host after three slashes"),
        pytest.param("//", ["/", "//"], "//", id="nothing but slashes"),
        pytest.param("/a;v=1/b;c", ["/a/b", "/a;v=1/b;c"], ";", id="parameters"),
        pytest.param("/a;/b", ["/a/b", "/a;/b"], ";", id="an empty parameter"),
        pytest.param(
            "/a;x//b", ["/a/b", "/a;x/b", "/a//b", "/a;x//b"], "//", id="two marks: all readings"
        ),
        pytest.param("/%61dm%69n", ["/admin", "/%61dm%69n"], "%61", id="encoded letters"),
        pytest.param("/a%2Eb%7e", ["/a.b~", "/a%2Eb%7e"], "%2E", id="an encoded dot in a name"),
        pytest.param(
            "/a%40b%3A", ["/a@b:", "/a%40b%3A"], "", id="reserved characters, as clients do"
        ),
        pytest.param("/%C3%A9%61", ["/éa", "/é%61"], "%61", id="only what is needless stays"),
    ],
)
def test_a_path_has_every_reading_that_a_server_has(
    target: str, readings: list[str], mark: str
) -> None:
    own, *others = readings
    assert parse_path(target) == Path(own, tuple(others), mark)


@pytest.mark.parametrize(
    ("target", "parameters", "readings"),
    [
        pytest.param("/a;x/b", Parameters.STRIP, ["/a/b"], id="strip"),
        pytest.param("/a;x/b", Parameters.KEEP, ["/a;x/b"], id="keep"),
        pytest.param("/a;x//b", Parameters.STRIP, ["/a/b", "/a//b"], id="strip, and slashes"),
    ],
)
def test_a_setting_says_what_parameters_mean(
    target: str, parameters: Parameters, readings: list[str]
) -> None:
    path = parse_path(target, parameters)
    assert [path.text, *path.other_readings] == readings


@pytest.mark.parametrize("parameters", Parameters)
@pytest.mark.parametrize(
    ("target", "mark"),
    [
        pytest.param("/a/..;/b", '"..;"', id="up with a parameter"),
        pytest.param("/a/..;x=1/b", '"..;"', id="up with a parameter and its value"),
        pytest.param("/a/.;/b", '".;"', id="a dot with a parameter"),
        pytest.param("/a/%2e%2e;/x", '"..;"', id="up, encoded, with a parameter"),
        pytest.param("/a/..%3b/x", "%3b", id="up with an encoded parameter"),
        pytest.param("/a/%2e%2E/b", '"%2e%2E"', id="up, encoded"),
        pytest.param("/a/.%2e/b", '".%2e"', id="up, half encoded"),
        pytest.param("/a/%2E/b", '"%2E"', id="an encoded dot segment"),
        pytest.param("/a//../b", "//", id="up beside an empty segment"),
        pytest.param("/a/..//b", "//", id="an empty segment after up"),
        pytest.param("//./b", "//", id="a dot beside an empty segment"),
        pytest.param("/;/a", '";"', id="a parameter of nothing"),
        pytest.param("/a/;x/b", '";"', id="a parameter of nothing below"),
    ],
)
def test_no_client_needs_dot_segments_in_disguise(
    target: str, mark: str, parameters: Parameters
) -> None:
    with pytest.raises(Refused) as refused:
        parse_path(target, parameters)
    assert mark in refused.value.message


@pytest.mark.parametrize(
    ("target", "why"),
    [
        pytest.param("", "does not begin with a slash", id="empty"),
        pytest.param("?a", "does not begin with a slash", id="a query alone"),
        pytest.param("a/b", "does not begin with a slash", id="relative"),
        pytest.param("http://evil/a", "does not begin with a slash", id="absolute form"),
        pytest.param("/..", "leads above the root", id="above the root"),
        pytest.param("/a/../../b", "leads above the root", id="above the root in the middle"),
        pytest.param("/a%", "encodes nothing", id="a lone percent sign"),
        pytest.param("/a%2", "encodes nothing", id="half an encoding"),
        pytest.param("/a%u002f", "encodes nothing", id="another encoding"),
        pytest.param("/a%2fb", "has %2f", id="an encoded slash"),
        pytest.param("/a%2Fb", "has %2F", id="an encoded slash in capitals"),
        pytest.param("/a/..%2fb", "has %2f", id="up with an encoded slash"),
        pytest.param("/a%5Cb", "has %5C", id="an encoded backslash"),
        pytest.param("/a%3Bb", "has %3B", id="an encoded semicolon"),
        pytest.param("/a%3Fb", "has %3F", id="an encoded question mark"),
        pytest.param("/a%23b", "has %23", id="an encoded hash"),
        pytest.param("/100%25", "has %25", id="an encoded percent sign"),
        pytest.param("/a%252e%252e/", "has %25", id="dots encoded twice"),
        pytest.param("/a%25252fb", "has %25", id="encoded three times"),
        pytest.param("/a%00", "has %00", id="NUL"),
        pytest.param("/a\\b", r'has "\\\\"', id="a backslash"),
        pytest.param("/a b", 'has " "', id="a space"),
        pytest.param("/a\tb", r'has "\\t"', id="a tab"),
        pytest.param("/café", r'has "\\u00e9"', id="beyond ASCII, not encoded"),
        pytest.param("/%c0%ae/", "not UTF-8", id="an overlong dot"),
        pytest.param("/%e0%80%af", "not UTF-8", id="an overlong slash"),
        pytest.param("/%ff", "not UTF-8", id="a byte that is no UTF-8"),
        pytest.param("/%ed%a0%80", "not UTF-8", id="a surrogate"),
        pytest.param("/a%0d%0ab", "control character", id="a line break"),
        pytest.param("/a%c2%85b", "control character", id="a line break beyond ASCII"),
        pytest.param("/a%20", "has %20 at the end", id="a space at the end"),
        pytest.param("/a%20/b", "has %20 at the end", id="a space at the end of a segment"),
        pytest.param("/" + "%61" * 1400, "has more than 4096 characters", id="too long"),
        pytest.param("/a#b", "fragment", id="a fragment"),
    ],
)
def test_what_servers_disagree_on_and_nobody_needs_is_refused(target: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        parse_path(target)
    assert refused.value.reason is Reason.RULE_DENIED


SECRET = "access_token=marker"


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        pytest.param("/a/b", "/a/b", id="a path"),
        pytest.param("/%61%2Fb/../c", "/%61%2Fb/../c", id="as it was written"),
        pytest.param(f"/a?{SECRET}", "/a", id="a query"),
        pytest.param(f"/a#{SECRET}", "/a", id="a fragment"),
        pytest.param(f"/a%3F{SECRET}", "/a", id="a query that is encoded"),
        pytest.param(f"/a%3f{SECRET}", "/a", id="in lower case"),
        pytest.param(f"/a%23{SECRET}", "/a", id="a fragment that is encoded"),
        pytest.param(f"/a%25253F{SECRET}", "/a", id="three times"),
        pytest.param(f"/a;{SECRET}/b;{SECRET}?c", "/a;/b;", id="parameters"),
        pytest.param(f"https://x?{SECRET}", "https://x", id="a URL"),
        pytest.param(f"?{SECRET}", "", id="nothing but a query"),
    ],
)
def test_what_is_shown_of_a_target_has_no_token(target: str, expected: str) -> None:
    assert shown(target) == expected


@pytest.mark.parametrize(
    "target",
    [
        *(f"a?{SECRET}", f"/a#{SECRET}", f"/%?{SECRET}", f"/..?{SECRET}", f"/%0a;{SECRET}"),
        *(f"/%ff;{SECRET}", f"/..;{SECRET}/a", f"/a;{SECRET}/%2e", f"/a%3f{SECRET}"),
    ],
)
def test_a_target_that_is_refused_is_quoted_without_what_may_be_a_token(target: str) -> None:
    with pytest.raises(Refused, match="no rule can be found for the path") as refused:
        parse_path(target)
    assert "marker" not in refused.value.message


@given(
    st.text(max_size=40)
    | st.lists(st.sampled_from(list("/.;%2eEfFa\\b?#5c3B")), max_size=12).map("/".join)
)
def test_any_target_is_refused_or_normal(target: str) -> None:
    try:
        path = parse_path(target).text
    except Refused:
        return
    if path == "*":
        return
    assert path.startswith("/")
    assert "//" not in path
    assert not {"", ".", ".."} & set(path.split("/")[1:-1])
    assert path.split("/")[-1] not in {".", ".."}
    assert not {";", "\\", "#", "?"} & set(path)


ORDINARY = st.lists(
    st.text(
        st.characters(codec="utf-8", categories=["L", "N", "Pd", "Pc"]), min_size=1, max_size=5
    ),
    max_size=4,
)


@given(ORDINARY)
def test_what_a_client_encodes_by_the_book_is_an_ordinary_path(segments: list[str]) -> None:
    text = "/" + "/".join(segments)
    assert parse_path(quote(text, safe="/")) == Path(text)


@pytest.mark.parametrize(
    ("path", "problem"),
    [
        pytest.param("/a/b", "", id="a path"),
        pytest.param("/a/b/", "", id="a slash at the end"),
        pytest.param("/café", "", id="beyond ASCII"),
        pytest.param("/a b", "", id="a space"),
        pytest.param("/.well-known/x", "", id="a dot at the start"),
        pytest.param("*", "", id="the server itself"),
        pytest.param("a", "must begin with a slash", id="no slash"),
        pytest.param("/admin/*", "has *", id="a star"),
        pytest.param("/api/*/internal", "has *", id="a star in the middle"),
        pytest.param("/users/{id}", "has {", id="a template"),
        pytest.param("/users/<id>", "has <", id="another template"),
        pytest.param("/v[12]", "has [", id="a class of characters"),
        pytest.param("/a?", "has ?", id="a query, or any one character"),
        pytest.param("/a#b", "has #", id="a fragment"),
        pytest.param("/a;b", "has ;", id="parameters"),
        pytest.param("/a%20b", "has %", id="encoded"),
        pytest.param("/a\\b", "has \\", id="a backslash"),
        pytest.param("/a//b", "has //", id="an empty segment"),
        pytest.param("/a/../b", "has a dot segment", id="up"),
        pytest.param("/a/.", "has a dot segment", id="a dot segment"),
        pytest.param("/a\x85", "has a control character", id="a control character"),
    ],
)
def test_a_path_of_a_rule_is_one_that_requests_can_have(path: str, problem: str) -> None:
    found = problem_of_rule_path(path)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)
