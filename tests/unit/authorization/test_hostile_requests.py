"""Whatever a client sends: a token that it showed, or a refusal."""

from collections.abc import Mapping
from urllib.parse import unquote_plus

from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.authorization.credentials import Credential, Removal, find_credential
from sidecar.authorization.http_request import HttpRequest
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
