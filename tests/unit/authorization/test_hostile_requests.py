"""Whatever a client sends: a token that it showed, or a refusal."""

from collections.abc import Mapping
from time import process_time
from urllib.parse import unquote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.authorization.authorizer import looked_at
from sidecar.authorization.credentials import Credential, Removal, find_credential
from sidecar.authorization.http_request import HttpRequest
from sidecar.authorization.policy import Policy, QuerySource
from sidecar.authorization.rules import Match, Rule, Rules
from sidecar.token.reason import Reason, Refused
from tests.unit.authorization.places import EVERYWHERE

FRAGMENTS = st.sampled_from(
    [
        *("Bearer", "bearer ", "Basic ", "session", "access_token", "access%5Ftoken", "a.b.c"),
        *("=", ";", "; ", ",", ", ", "&", "?", "#", "%", "%2", "%ff", "+", '"', '""', " ", "\t"),
        *("tok", "\x00", "\r\n", "\ufffd", "\u212a", "\u0130", "\ud800"),
    ]
)
TEXT = st.lists(FRAGMENTS | st.text(max_size=3), max_size=8).map("".join)
HEADERS = st.dictionaries(
    st.sampled_from(["authorization", "x-token", "cookie", "accept"]),
    st.lists(TEXT, max_size=3).map(tuple),
)


@given(TEXT, HEADERS)
@example("/?access_token=%ff", {})
@example("/", {"authorization": ("B\u0130EARER tok",)})
def test_only_refused_is_raised_and_only_what_was_shown_is_found(
    target: str, headers: Mapping[str, tuple[str, ...]]
) -> None:
    credential = find_or_refuse(HttpRequest("GET", "", target, headers))
    if isinstance(credential, Credential):
        shown = [unquote_plus(target), *(value for values in headers.values() for value in values)]
        assert any(credential.token in one for one in shown)
    else:
        assert credential is Reason.TOKEN_MALFORMED


@given(TEXT, HEADERS)
@example("/?access%5Ftoken=tok", {})
@example("/", {"cookie": ("session=tok; x=1",)})
def test_a_token_that_is_found_is_taken_out(
    target: str, headers: Mapping[str, tuple[str, ...]]
) -> None:
    request = HttpRequest("GET", "", target, headers)
    credential = find_or_refuse(request)
    if isinstance(credential, Credential):
        assert find_or_refuse(without(request, credential.removal)) == Credential()


@given(
    st.text(st.sampled_from("aB_&=+ .é"), min_size=1, max_size=4),
    st.lists(
        st.sampled_from(["a", "%61", "B", "_", "%5f", "%5F", "&", "%26", "=", "%3d", "+", "%20"])
        | st.sampled_from(["%2B", "%25", "%", "#", "%23", ".", "é", "%c3%a9", "%C3", " ", "x"])
    ).map("".join),
)
@example("access_token", "x=1&acc%65ss%5Ftoken=%61+b&y")
def test_a_parameter_is_found_however_its_name_is_written(name: str, query: str) -> None:
    request = HttpRequest("GET", "", f"/?{query}")
    pairs = [one.partition("=") for one in request.query.split("&") if one]
    expected = [unquote_plus(value) for key, _, value in pairs if unquote_plus(key) == name]
    try:
        found = find_credential(request, (QuerySource(name),)).token
    except Refused:
        assert len(expected) > 1 or expected == [""]
    else:
        assert [found] == (expected or [""])


LARGE = 60_000


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(HttpRequest("GET", "", "/?" + "&access_toke%6e" * (LARGE // 15)), id="query"),
        pytest.param(HttpRequest("GET", "", "/?" + "&%78" * (LARGE // 4)), id="other parameters"),
        pytest.param(HttpRequest("GET", "", "/" + "%61" * (LARGE // 3)), id="encoded path"),
        pytest.param(HttpRequest("GET", "", "/" + "%40/" * (LARGE // 4)), id="encoded segments"),
        pytest.param(HttpRequest("GET", "", "/" * LARGE), id="slashes"),
        pytest.param(
            HttpRequest("GET", "", "/", {"authorization": ("," * LARGE,)}), id="fields of a header"
        ),
        pytest.param(
            HttpRequest("GET", "", "/", {"authorization": (",\xa0" * (LARGE // 2),)}), id="no text"
        ),
        pytest.param(
            HttpRequest("GET", "", "/", {"cookie": (",session" * (LARGE // 8),)}), id="commas"
        ),
        pytest.param(
            HttpRequest("GET", "", "/", {"cookie": ("session;" * (LARGE // 8),)}), id="cookies"
        ),
    ],
)
def test_the_largest_request_takes_little_time(request_: HttpRequest) -> None:
    policy = Policy(token_from=EVERYWHERE, rules=Rules([(Match(), Rule("rule"))]))
    seconds = []
    for _ in range(5):
        began = process_time()
        looked_at(request_, policy)
        seconds.append(process_time() - began)
    # A few times what it takes; without bounds it is 25 to 200 ms.
    assert min(seconds) < 0.01


def find_or_refuse(request: HttpRequest) -> Credential | Reason:
    """What is found, or why the request is refused."""
    try:
        return find_credential(request, EVERYWHERE)
    except Refused as refused:
        return refused.reason


def without(request: HttpRequest, removal: Removal) -> HttpRequest:
    """The request as a proxy passes it on, which compares parameters' names as they are written."""
    path, _, query = request.target.partition("#")[0].partition("?")
    parameters = [
        one for one in query.split("&") if one.partition("=")[0] not in removal.query_parameters
    ]
    kept = {name: values for name, values in request.headers.items() if name not in removal.headers}
    replaced = {name: (value,) for name, value in removal.set_headers.items()}
    return HttpRequest("GET", "", f"{path}?{'&'.join(parameters)}", {**kept, **replaced})
