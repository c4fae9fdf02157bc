from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.authorization.path import Path, normalized, shown
from sidecar.token.reason import Reason, Refused


@pytest.mark.parametrize(
    ("target", "path"),
    [
        pytest.param("/", "/", id="the root"),
        pytest.param("/a/b", "/a/b", id="as it is"),
        pytest.param("/a/b/", "/a/b/", id="a slash at the end stays"),
        pytest.param("/a/b?x=/../c", "/a/b", id="without the query"),
        pytest.param("//a///b", "/a/b", id="empty segments"),
        pytest.param("/a/./b/.", "/a/b/", id="dot segments"),
        pytest.param("/%61dm%69n", "/admin", id="encoded letters"),
        pytest.param("/a%2fb%2Fc", "/a/b/c", id="encoded slashes, in either case"),
        pytest.param("/a\\b%5Cc", "/a/b/c", id="backslashes, plain and encoded"),
        pytest.param("/a;v=1/b;c", "/a/b", id="parameters of segments"),
        pytest.param("/a/%2E/b", "/a/b", id="an encoded dot segment"),
        pytest.param("/.../.hidden", "/.../.hidden", id="dots that are no dot segments"),
        pytest.param("/caf%C3%A9", "/café", id="beyond ASCII"),
        pytest.param("/café", "/café", id="beyond ASCII, as it is"),
        pytest.param("/a%20b", "/a b", id="a space"),
        pytest.param("/100%25", "/100%", id="a percent sign"),
        pytest.param("/A", "/A", id="case is kept"),
        pytest.param("*", "*", id="the server itself"),
    ],
)
def test_a_path_in_its_normal_form(target: str, path: str) -> None:
    assert normalized(target) == Path(path)


@pytest.mark.parametrize(
    ("target", "path"),
    [
        pytest.param("/a/../b", "/b", id="up"),
        pytest.param("/a/%2e%2E/b", "/b", id="up, encoded"),
        pytest.param("/a/.%2e/b", "/b", id="up, half encoded"),
        pytest.param("/a/..%2fb", "/b", id="up, with an encoded slash"),
        pytest.param("/a/..\\b", "/b", id="up, with a backslash"),
        pytest.param("/a/..;x/b", "/b", id="up, with a parameter"),
        pytest.param("/a/..", "/", id="up to the root"),
        pytest.param("/a/b/..", "/a/", id="up at the end"),
    ],
)
def test_a_path_that_climbs_is_resolved_and_told(target: str, path: str) -> None:
    assert normalized(target) == Path(path, climbs=True)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        pytest.param("", "does not begin with a slash", id="empty"),
        pytest.param("?a", "does not begin with a slash", id="a query alone"),
        pytest.param("a/b", "does not begin with a slash", id="relative"),
        pytest.param("http://evil/a", "does not begin with a slash", id="absolute form"),
        pytest.param("/..", "leads above the root", id="above the root"),
        pytest.param("/a/../../b", "leads above the root", id="above the root in the middle"),
        pytest.param("/%2e%2e/a", "leads above the root", id="above the root, encoded"),
        pytest.param("/a%", "encodes nothing", id="a lone percent sign"),
        pytest.param("/a%2", "encodes nothing", id="half an encoding"),
        pytest.param("/a%u002f", "encodes nothing", id="another encoding"),
        pytest.param("/a%252e%252e/", "encoded twice", id="dots encoded twice"),
        pytest.param("/a%252Fb", "encoded twice", id="a slash encoded twice"),
        pytest.param("/a%255cb", "encoded twice", id="a backslash encoded twice"),
        pytest.param("/a%25252fb", "encoded twice", id="encoded three times"),
        pytest.param("/%2569nternal", "encoded twice", id="a letter encoded twice"),
        pytest.param("/%c0%ae/", "not UTF-8", id="an overlong dot"),
        pytest.param("/%ff", "not UTF-8", id="a byte that is no UTF-8"),
        pytest.param("/a%00", "control characters", id="NUL"),
        pytest.param("/a%0d%0ab", "control characters", id="a line break"),
        pytest.param("/a\tb", "control characters", id="a tab"),
        pytest.param("/a#b", "fragment", id="a fragment"),
    ],
)
def test_what_has_no_one_meaning_is_refused(target: str, why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        normalized(target)
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
    [f"a?{SECRET}", f"/a#{SECRET}", f"/%?{SECRET}", f"/..?{SECRET}", f"/%0a;{SECRET}"],
)
def test_a_target_that_is_refused_is_quoted_without_what_may_be_a_token(target: str) -> None:
    with pytest.raises(Refused, match="no rule can be found for the path") as refused:
        normalized(target)
    assert "marker" not in refused.value.message


@given(st.text(max_size=40))
def test_any_target_is_refused_or_normal(target: str) -> None:
    try:
        path = normalized(target).text
    except Refused:
        return
    if path == "*":
        return
    assert path.startswith("/")
    assert "//" not in path
    assert not {"", ".", ".."} & set(path.split("/")[1:-1])
    assert path.split("/")[-1] not in {".", ".."}


SEGMENTS = st.lists(st.sampled_from(["a", "b", ".", "..", "", "c;d", "%2e", "x y"]), max_size=6)


@given(SEGMENTS, st.sampled_from(["/", "%2f", "%2F", "\\", "//"]), st.booleans())
def test_spellings_of_one_path_have_one_form(
    segments: list[str], slash: str, encoded: bool
) -> None:
    plain = "/" + "/".join(segments)
    spelled = "/" + slash.join(
        quote(one).replace("%25", "%").replace("%3B", ";") if encoded else one for one in segments
    )
    assert outcome(spelled) == outcome(plain)


def outcome(target: str) -> str:
    try:
        return normalized(target).text
    except Refused:
        return "refused"
