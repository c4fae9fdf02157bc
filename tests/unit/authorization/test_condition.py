from typing import Any

import pytest

from sidecar.authorization.condition import Expression, InvalidCondition
from sidecar.authorization.http_request import HttpRequest
from tests.unit.parties import consumer

REQUEST = HttpRequest(
    "POST",
    "shop.example.com",
    "/a//b?tenant=blue&x=1&x=2&y=%2F",
    {"x-tenant": ("blue",), "x-many": ("a", "b")},
    client_certificate_names=("spiffe://prod/ns/shop/sa/web",),
)
CLAIMS: dict[str, Any] = {
    "sub": "alice",
    "tenant": "blue",
    "level": 3,
    "ratio": 0.5,
    "admin": True,
    "roles": ["ops", "dev"],
    "org": {"id": 7},
    "nothing": None,
}
HEADER = {"alg": "ES256", "typ": "at+jwt"}


def why_not(
    text: str, claims: dict[str, Any] | None = None, by: Any = None, request: HttpRequest = REQUEST
) -> str:
    bound = Expression.compiled(text).about(request, "/a/b", "192.0.2.7")
    return bound.why_not(HEADER, CLAIMS if claims is None else claims, by)


@pytest.mark.parametrize(
    "text",
    [
        'claims.tenant == request.headers["x-tenant"]',
        'request.headers["x-many"] == "a,b"',
        "claims.level >= 3 && claims.ratio < 1.0",
        "claims.admin",
        '"ops" in claims.roles',
        'claims.roles.exists(role, role.startsWith("d"))',
        "claims.org.id == 7",
        "claims.nothing == null",
        "has(claims.sub) && !has(claims.email)",
        'header.typ == "at+jwt"',
        'request.method == "POST" && request.host == "shop.example.com"',
        'request.path == "/a/b"',
        'request.query.tenant == claims.tenant && request.query.y == "/"',
        'request.query.x == ["1", "2"]',
        "consumer == null",
        'request.client_address == "192.0.2.7"',
        '"spiffe://prod/ns/shop/sa/web" in request.client_certificate.names',
        'claims.sub.matches("^al.*")',
        "true",
    ],
)
def test_what_is_met(text: str) -> None:
    assert why_not(text) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param('claims.tenant == "red"', 'not met: "claims.tenant ==', id="false"),
        pytest.param('claims.email == "a"', 'Key not found in map : "email"', id="no such claim"),
        pytest.param("claims.sub > 1", "can't be evaluated", id="types that do not compare"),
        pytest.param("claims.level / 0 == 1", "divide by zero", id="division by zero"),
        pytest.param("claims.sub", "of type string", id="no boolean"),
        pytest.param("claims.nothing", "of type null", id="null"),
        pytest.param('consumer.name == "jack"', "can't be evaluated", id="no consumer"),
        pytest.param('request.headers["x-other"] == ""', "x-other", id="no such header"),
    ],
)
def test_what_is_not_met_or_fails(text: str, words: str) -> None:
    assert words in why_not(text)


def test_a_consumer_and_its_labels() -> None:
    by = consumer("jack", plan="gold")
    assert why_not('consumer.name == "jack" && consumer.labels.plan == "gold"', by=by) == ""
    assert "not met" in why_not('consumer.labels.plan == "free"', by=by)


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"sub": 10**40}, id="an integer of more than 64 bits"),
        pytest.param({"sub": "\ud800"}, id="half a surrogate pair"),
        pytest.param({"sub": 1e400}, id="infinity"),
    ],
)
def test_claims_that_the_runtime_can_not_hold_are_no_error(claims: dict[str, Any]) -> None:
    assert why_not('claims.sub == "a"', claims) != ""


def test_loops_are_bounded() -> None:
    claims = {"list": list(range(1000))}
    text = "claims.list.all(a, claims.list.all(b, a + b >= 0))"
    assert "budget exceeded" in why_not(text, claims)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("claims.a = 1", "column 10: Syntax error", id="a syntax error"),
        pytest.param("claims.", "column 8: Syntax error", id="a sudden end"),
        pytest.param("true &&\n foo", "line 2, column 2: undeclared reference", id="a second line"),
        pytest.param("token.sub == 'a'", "undeclared reference to 'token.sub'", id="no variable"),
        pytest.param("1 + 1", "must be true or false; its type is int", id="a number"),
        pytest.param("'true'", "must be true or false; its type is string", id="text"),
        pytest.param("(" * 300 + "true" + ")" * 300, "recursion limit", id="too deep"),
        pytest.param("true || " * 600 + "true", "at most 4096", id="too long"),
    ],
)
def test_an_expression_that_is_none_names_the_column(text: str, words: str) -> None:
    with pytest.raises(InvalidCondition) as invalid:
        Expression.compiled(text)
    assert words in str(invalid.value)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        pytest.param(
            {"x-tenant": ("blue",), "x.tenant": ("red",)},
            'request.headers["x-tenant"] == "blue,red"',
            id="beside the name with hyphens",
        ),
        pytest.param({"x_admin": ("1",)}, '"x-admin" in request.headers', id="alone"),
        pytest.param(
            {"x-a": ("1",), "x~a": ("2",)},
            'request.headers["x~a"] == "1,2"',
            id="under its own name",
        ),
        pytest.param({"x_a": ("1",)}, 'request.headers["x_a"] == "1"', id="as it was sent"),
    ],
)
def test_a_header_has_what_was_sent_under_other_spellings(
    sent: dict[str, tuple[str, ...]], text: str
) -> None:
    """As an upstream may see it."""
    assert why_not(text, request=HttpRequest("GET", "h", "/", sent)) == ""


def test_only_what_is_named_is_made() -> None:
    class Untouched(HttpRequest):
        @property
        def query(self) -> str:
            raise AssertionError("the query was read")

    request = Untouched("GET", "h", "/?a=b")
    assert why_not('claims.sub == "alice"', request=request) == ""


@pytest.mark.parametrize(
    ("query", "is_met"),
    [
        pytest.param("user=alice", True, id="once"),
        pytest.param("user=alice&user=bob", False, id="twice"),
        pytest.param("user[]=bob&user=alice", False, id="an array to PHP and Express"),
        pytest.param("user=alice&%75ser%5B0%5D=bob", False, id="an element, encoded"),
        pytest.param("%20user=bob&user=alice", False, id="a space before it, to PHP"),
        pytest.param("user=alice&user%00x=bob", False, id="NUL behind it, to PHP"),
        pytest.param("User=bob&user=alice", False, id="another case, to .NET"),
        pytest.param("x=1;user=bob&user=alice", False, id="behind a semicolon"),
        pytest.param("user=alice&filter[a]=1&filter[b]=2&x=1;y", True, id="others"),
        pytest.param("user=alice&users=bob&%C3%A9=1&%C3%A0=2", True, id="other names"),
    ],
)
def test_a_parameter_has_the_values_of_all_its_spellings(query: str, is_met: bool) -> None:
    condition = Expression.compiled(
        'request.query.user == "alice" && (!has(request.query.filter) || '
        'request.query["filter[a]"] == "1")'
    )
    request = HttpRequest("GET", "h", f"/?{query}")
    assert (condition.about(request, "/", "").why_not({}, {}, None) == "") is is_met


def test_an_array_is_there_under_its_plain_name_too() -> None:
    condition = Expression.compiled("!has(request.query.user)")
    bound = condition.about(HttpRequest("GET", "h", "/?user[]=bob"), "/", "")
    assert bound.why_not({}, {}, None) != ""
