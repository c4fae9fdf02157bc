"""Comparing http URIs as RFC 3986, section 6.2 says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.token.uri import LONGEST_URI, normalized_uri


@pytest.mark.parametrize(
    ("uri", "normal"),
    [
        ("https://shop.example", "https://shop.example/"),
        ("https://shop.example/", "https://shop.example/"),
        ("HTTPS://Shop.Example/A", "https://shop.example/A"),
        ("https://shop.example:443/a", "https://shop.example/a"),
        ("http://shop.example:80/a", "http://shop.example/a"),
        ("https://shop.example:80/a", "https://shop.example:80/a"),
        ("https://shop.example:0443/a", "https://shop.example/a"),
        ("https://shop.example:/a", "https://shop.example/a"),
        ("https://[2001:DB8::1]:8443/a", "https://[2001:db8::1]:8443/a"),
        ("https://shop.example/%7euser/%2f", "https://shop.example/~user/%2F"),
        ("https://shop.example/a/./b/../c", "https://shop.example/a/c"),
        ("https://shop.example/a/%2e%2E/c", "https://shop.example/c"),
        ("https://shop.example/../../c", "https://shop.example/c"),
        ("https://shop.example/a/b/..", "https://shop.example/a/"),
        ("https://shop.example/a/.", "https://shop.example/a/"),
        ("https://shop.example/..", "https://shop.example/"),
        ("https://shop.example/a//b", "https://shop.example/a//b"),
        ("https://shop.example/a/", "https://shop.example/a/"),
        ("https://shop.example/a?q=1", "https://shop.example/a"),
        ("https://shop.example/a#f", "https://shop.example/a"),
        ('https://shop.example/a?q="ö"|%', "https://shop.example/a"),
        ("https://shop.example/a?" + "q" * LONGEST_URI, "https://shop.example/a"),
    ],
)
def test_equal_uris_have_one_form(uri: str, normal: str) -> None:
    assert normalized_uri(uri) == normal
    assert normalized_uri(normal) == normal


@pytest.mark.parametrize(
    "uri",
    [
        *("", "/orders", "shop.example/orders", "//shop.example/", "ftp://shop.example/"),
        *("https://", "https:///a", "https://user@shop.example/", "https://a:b@shop.example/"),
        *("https://shop.example/a b", "https://shop.example\\a", "https://shop.example/\n"),
        *(" https://shop.example/", "https://shop.example/%zz", "https://shop.example/%2"),
        *("https://shop.example:x/", "https://shop.example:70000/", "https://shöp.example/"),
        *("https://[::1/", "https://shop.example/" + "a" * LONGEST_URI),
        *("https://evil.example[::1]/", "https://[::1]evil.example/", "https://[::1]]/"),
        *("https://[::1].evil.example:443/", "https://[v1.shop.example]/", "https://[::1%25x]/"),
    ],
)
def test_what_is_no_http_uri_is_told(uri: str) -> None:
    with pytest.raises(ValueError, match=r"^it (?:is|has) "):
        normalized_uri(uri)


def test_a_uri_may_be_as_long_as_it_says() -> None:
    longest = "https://shop.example/".ljust(LONGEST_URI, "a")
    assert normalized_uri(longest) == longest


@given(st.text(alphabet="ab./%2eE:?#@[]", max_size=40))
def test_the_form_is_stable(rest: str) -> None:
    try:
        normal = normalized_uri(f"https://shop.example/{rest}")
    except ValueError:
        return
    assert normalized_uri(normal) == normal
