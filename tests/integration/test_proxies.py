"""One table of requests, through a real Envoy and a real nginx, with one sidecar behind both.

The decision is the same, and so is what the upstream sees.
"""

import asyncio
import json
import re
import shutil
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jwt
import pytest
import pytest_asyncio

from deploy.demo.stage import envoy, nginx, process, sidecar
from tests.integration.test_envoy import CONFIGURATION, ENVOY, FORWARDED, mint, unverifiable
from tests.raw_http import Arrived, send, upstream
from tests.tokens import encode

NGINX = Path("deploy/nginx/jwt-sidecar.conf").read_text()
HOST = "shop.example.com"
RULES = """
  rules:
    - match: {path: /healthz}
      allow: anonymous
    - match: {path_prefix: /static/}
      allow: optional
    - name: admin
      match: {hosts: [shop.example.com], path_prefix: /admin/, methods: [POST, DELETE]}
      require:
        issuers: [corp]
        scopes: ["admin:write"]
        claims: {realm_access.roles: [admin]}
        condition: claims.tenant == request.headers["x-tenant"]
    - match: {path_prefix: /jack/}
      require: {consumers: [jack]}
    - match: {path_prefix: /web/}
      require: {audiences: [web]}
    - match: {path_regex: "^/internal/.*"}
      deny: true
    - match: {path_prefix: /near/}
      addresses: {allow: [127.0.0.0/8]}
    - match: {path_prefix: /far/}
      addresses: {allow: [192.0.2.0/24]}
"""
SHOWN = (*FORWARDED, "authorization", "cookie")
"""What is compared of the headers at the upstream."""

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(
        shutil.which("nginx") is None, reason="needs nginx (Debian and Ubuntu: apt install nginx)"
    ),
]


@dataclass(frozen=True)
class Stage:
    """Two proxies before one upstream, and the requests that came to it."""

    urls: Mapping[str, str]
    arrived: list[Arrived]
    directory: Path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    directory = tmp_path_factory.mktemp("proxies")
    configuration = directory / "jwt-sidecar.yaml"
    text = CONFIGURATION % ("auto", "http://127.0.0.1:9/jwks.json")
    assert "\n  denied:" in text
    configuration.write_text(
        text.replace("\n  denied:", f"{RULES}  denied:")
        + "http: {address: 'unix:http.sock', serve: [check]}\n"
    )
    site = NGINX
    async with AsyncExitStack() as stack:
        port, arrived = await stack.enter_async_context(upstream())
        await stack.enter_async_context(sidecar(configuration))
        for old, new in (
            ("unix:/run/jwt-sidecar/http.sock", f"unix:{directory}/http.sock"),
            ("127.0.0.1:8080", f"127.0.0.1:{port}"),
        ):
            assert old in site
            site = site.replace(old, new)
        values = {"UPSTREAM_PORT": port, "SIDECAR_SOCKET": directory / "sidecar.sock"}
        urls = {
            "envoy": await stack.enter_async_context(envoy(ENVOY, values)),
            "nginx": await stack.enter_async_context(nginx(directory, site)),
        }
        yield Stage(urls, arrived, directory)


@dataclass(frozen=True)
class Row:
    """A request, and what is to come of it.

    `seen` is what the upstream gets of the headers in SHOWN; None: the request does not reach it.
    """

    name: str
    status: int = 200
    method: str = "GET"
    target: str = "/orders"
    headers: tuple[tuple[str, str], ...] = ()
    token: str | None = None
    seen: Mapping[str, str] = field(default_factory=dict)
    at: str = ""
    """The target at the upstream, where it is another one."""
    challenge: str = ""
    """How WWW-Authenticate begins."""

    def data(self) -> bytes:
        """The bytes that a client sends."""
        headers = [("host", HOST), *self.headers]
        if self.token is not None:
            headers.append(("authorization", f"Bearer {self.token}"))
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{self.method} {self.target} HTTP/1.1\r\n{fields}\r\n".encode()


GOOD = mint(realm_access={"roles": ["admin", "ops"]})
OF_CONSUMER = {"exp": int(time.time()) + 600, "key": "user-key"}
CONSUMER = mint(iss=None, aud=None, **OF_CONSUMER)


def told(token: str, **more: str) -> dict[str, str]:
    """What the upstream sees of alice's token, with these headers other than usual, "" for none."""
    usual = {"x-jwt-subject": "alice", "x-jwt-payload": token.split(".")[1]}
    seen = {**usual, **{name.replace("_", "-"): value for name, value in more.items()}}
    return {name: value for name, value in seen.items() if value and len(value) <= 8192}


ALICE = told(GOOD, x_jwt_roles="admin,ops")
JACK = {
    "x-jwt-payload": encode(json.dumps(OF_CONSUMER, separators=(",", ":")).encode()),
    "x-consumer": "jack",
    "x-plan": "gold",
}
"""Nothing of what the consumer says of itself: it has the `sub` of alice."""
MISSING = 'Bearer realm="shop"'
INVALID = 'Bearer realm="shop", error="invalid_token", error_description="'


def passes(name: str, seen: Mapping[str, str] = ALICE, **more: object) -> Row:
    more.setdefault("token", GOOD)
    return Row(name, seen=seen, **more)  # type: ignore[arg-type]


def refused(name: str, status: int = 401, challenge: str = INVALID, **more: object) -> Row:
    return Row(name, status, challenge=challenge, **more)  # type: ignore[arg-type]


def both(name: str, **more: Any) -> tuple[Row, Row]:
    """The same request with a token and without."""
    return (
        passes(name, **more),
        refused(f"{name}, without a token", challenge=MISSING, token=None, **more),
    )


def unsigned() -> str:
    return jwt.encode(jwt.decode(GOOD, options={"verify_signature": False}), "", "none")


TOKENS = (
    refused("no token", challenge=MISSING),
    passes("a good token"),
    passes("of a consumer", JACK, token=CONSUMER),
    refused("expired", token=mint(exp=1_700_000_000)),
    refused("not yet", token=mint(nbf=int(time.time()) + 86400)),
    refused("forged", token=GOOD[:-6] + "AAAAAA"),
    refused("unsigned", token=unsigned()),
    refused("for somebody else", token=mint(aud="web")),
    refused("from nobody we know", token=mint(iss="https://evil.example")),
    refused("without an end", token=mint(exp=None)),
    refused("of an issuer with other algorithms", token=mint(iss="https://away.example/")),
    refused("whose keys are not there", 503, "", token=unverifiable()),
    refused("too large", token="x" * 20_000),
    refused("empty", token=""),
    refused("rubbish", token="a.b.c"),
    refused("two in one header", token=f"{GOOD}, Bearer {GOOD}"),
    refused("another scheme", challenge=MISSING, headers=(("authorization", "Basic dTpw"),)),
    passes("scheme in capitals", token=None, headers=(("AUTHORIZATION", f"BEARER {GOOD}"),)),
    passes("a roomy scheme", token=None, headers=(("authorization", f"bearer   {GOOD} "),)),
)
METHODS = tuple(
    row
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PURGE")
    for row in both(f"method {method}", method=method, headers=(("content-length", "0"),))
)
PATHS = tuple(
    row
    for target in (
        *("/", "//", "//orders", "/orders//1", "/a/../orders", "/./orders", "/orders/."),
        *("/ORDERS", "/%6Frders", "/orders;a=1", "/orders/bob%40example.com", "/orders/.hidden"),
        *("/orders?a=1&b=2", "/orders?", "/orders?a=%20&b=+", "/orders?a=/../b;c//d"),
        *("/check", "/_jwt_sidecars", "/livez", "/orders,/public", "/%E2%82%AC", "/@evil.example"),
    )
    for row in both(f"target {target}", target=target)
)
QUERY = (
    passes("query alone", token=None, target=f"/a?access_token={GOOD}", at="/a"),
    passes("query first", token=None, target=f"/a?access_token={GOOD}&x=1", at="/a?x=1"),
    passes("query last", token=None, target=f"/a?x=%20&access_token={GOOD}", at="/a?x=%20"),
    passes("query, encoded", token=None, target=f"/a?x=1&access%5Ftoken={GOOD}", at="/a?x=1"),
    passes("query and header alike", target=f"/a?access_token={GOOD}&y=", at="/a?y="),
    refused("query and header that differ", target=f"/a?access_token={CONSUMER}", token=GOOD),
    refused("query twice", target=f"/a?access_token={GOOD}&access_token={GOOD}"),
    refused("query, empty", target="/a?access_token="),
)
COOKIES = (
    passes("cookie alone", token=None, headers=(("cookie", f"session={GOOD}"),)),
    passes(
        "cookie among others",
        {**ALICE, "cookie": "a=1; b=2"},
        token=None,
        headers=(("cookie", f"a=1; session={GOOD}; b=2"),),
    ),
    passes("other cookies", {**ALICE, "cookie": "a=1"}, headers=(("cookie", "a=1"),)),
    passes(
        "cookie beside another scheme",
        {**ALICE, "authorization": "Basic dTpw"},
        token=None,
        headers=(("cookie", f"session={GOOD}"), ("authorization", "Basic dTpw")),
    ),
    refused("cookie twice", headers=(("cookie", f"session={GOOD}; session={GOOD}"),)),
    refused("cookie, empty", headers=(("cookie", "session="),)),
    refused("cookie and header that differ", token=GOOD, headers=(("cookie", "session=x"),)),
)
CLAIMS = tuple(
    passes(name, told(token, **more), token=token)
    for name, token, more in (
        ("a subject over two lines", mint(sub="a\r\nx-plan: gold"), {"x_jwt_subject": ""}),
        ("a subject beyond ASCII", mint(sub="Zoë"), {"x_jwt_subject": "Zoë"}),
        ("a long subject", mint(sub="a" * 5000), {"x_jwt_subject": "a" * 5000}),
        ("a subject too long for a header", mint(sub="a" * 8193), {"x_jwt_subject": ""}),
        ("no subject", mint(sub=None), {"x_jwt_subject": ""}),
        ("a role with a comma", mint(realm_access={"roles": ["a,b"]}), {}),
        ("a role that is a number", mint(realm_access={"roles": 7}), {"x_jwt_roles": "7"}),
    )
)
SMUGGLED = tuple(
    row
    for name in FORWARDED
    for spelled in (name, name.upper(), name.replace("-", "_"), name.title().replace("-", "_"))
    for row in both(f"client sets {spelled}", headers=((spelled, "mallory"), (spelled, "eve")))
)
DESCRIBED = tuple(
    row
    for name, value in (
        ("x-original-uri", "/public"),
        ("X-Original-URL", "http://other.example/public"),
        ("x-original-method", "OPTIONS"),
        ("X-Forwarded-Uri", "/public"),
        ("x-forwarded-method", "OPTIONS"),
        ("x-forwarded-host", "other.example"),
        ("X-Forwarded-For", "127.0.0.1"),
        ("x-forwarded-uri", ""),
    )
    for row in both(f"client sets {name}: {value}", headers=((name, value), (name, value)))
)
ADMIN = mint(scope="read admin:write", realm_access={"roles": ["admin"]}, tenant="blue")
BLUE = (("x-tenant", "blue"),)
OF_ADMIN = told(ADMIN, x_jwt_roles="admin")
SCOPE = 'Bearer realm="shop", error="insufficient_scope", scope="admin:write"'
NOBODY: Mapping[str, str] = {}
FROM_FAR = (("x-forwarded-for", "192.0.2.1"), ("X-Real-IP", "192.0.2.1"))


def admin(name: str, **more: Any) -> Row:
    """A request that the rule `admin` is for, refused with 403 unless `status` says otherwise."""
    usual: dict[str, Any] = {"method": "POST", "target": "/admin/users", "headers": BLUE}
    usual["headers"] = (*more.pop("headers", BLUE), ("content-length", "0"))
    status = more.pop("status", 403)
    challenge = more.pop("challenge", "")
    return refused(f"admin: {name}", status, challenge, **{**usual, **more})


BY_RULE = (
    passes("anonymous: no token", NOBODY, token=None, target="/healthz"),
    passes("anonymous: a good token", target="/healthz"),
    refused("anonymous: a bad token", token="a.b.c", target="/healthz"),
    passes(
        "anonymous: a client that sets what is ours",
        NOBODY,
        token=None,
        target="/healthz",
        headers=tuple((name, "mallory") for name in FORWARDED),
    ),
    passes("optional: no token", NOBODY, token=None, target="/static/a.css"),
    passes("optional: a good token", target="/static/a.css"),
    passes("optional: a bad token", NOBODY, token="a.b.c", target="/static/a.css"),
    passes("optional: an expired one", NOBODY, token=mint(exp=1), target="/static/a.css"),
    passes("optional: two", NOBODY, token=f"{GOOD}, Bearer {GOOD}", target="/static/a.css"),
    passes(
        "optional: a bad one in the query",
        NOBODY,
        token=None,
        target="/static/a?access_token=x&y=1",
        at="/static/a?y=1",
    ),
    passes(
        "admin: all that is needed",
        OF_ADMIN,
        token=ADMIN,
        method="POST",
        target="/admin/users",
        headers=(*BLUE, ("content-length", "0")),
    ),
    passes("admin: another method", target="/admin/users"),
    admin("no token", status=401, challenge=MISSING),
    admin("no scope", token=GOOD, challenge=SCOPE),
    admin("no role", token=mint(scope="admin:write", tenant="blue")),
    admin("another tenant", token=ADMIN, headers=(("x-tenant", "red"),)),
    admin("no tenant", token=ADMIN, headers=()),
    admin(
        "a consumer",
        token=mint(
            iss=None,
            aud=None,
            key="user-key",
            scope="admin:write",
            realm_access={"roles": ["admin"]},
            tenant="blue",
        ),
    ),
    *(
        admin(f"by {target}", token=ADMIN, headers=(("x-tenant", "red"),), target=target)
        for target in (
            *("//admin/users", "/./admin/users", "/x/../admin/users", "/%61dmin/users"),
            *("/admin%2Fusers", "/x/..%2fadmin/users", "/x/%2E%2e/admin/users", "/admin/"),
            *("/admin;x/users", "/static/..;/admin/users", "/admin//users", "/healthz/../admin/a"),
        )
    ),
    refused("a consumer is needed", 403, "", token=GOOD, target="/jack/a"),
    passes("the consumer that is needed", JACK, token=CONSUMER, target="/jack/a"),
    refused("another audience is needed", 403, "", token=GOOD, target="/web/"),
    *(
        refused(f"denied: {target}", 403, "", token=GOOD, target=target)
        for target in (
            *("/internal/a", "//internal/a", "/internal/", "/internal%2Fa", "/x/../internal/a"),
            *("/static/../internal/a", "/static/%2e%2e/internal/a", "/healthz/..%2Finternal/a"),
        )
    ),
    *(
        refused(f"opened by {target}", 403, "", token=None, target=target)
        for target in (
            *("/x/../healthz", "/orders/..%2Fstatic/a", "/a/%2e%2e/static/a", "//healthz"),
            *("/healthz;x", "/healthz/", "/HEALTHZ", "/%68ealthz"),
        )
    ),
    *(
        refused(f"no path: {target}", 403, "", token=GOOD, target=target)
        for target in (
            *("/static/%252e%252e/internal/a", "/static/%c0%ae%c0%ae/internal/a", "/a%2Forders"),
            *("/a/%2e%2e/orders", "/a/..;/orders", "/a/..%3b/orders", "/orders%3Fa"),
            *("/a//../orders", "/orders%5Ca", "/;/orders", "/orders%23a", "/orders%25"),
        )
    ),
    passes("denied elsewhere", target="/internals"),
    passes("from near", target="/near/a"),
    passes("from near, and said to be far", target="/near/a", headers=FROM_FAR),
    refused("from far", 403, "", token=GOOD, target="/far/a"),
    refused("said to be far", 403, "", token=GOOD, target="/far/a", headers=FROM_FAR),
    refused("from far without a token", 403, "", token=None, target="/far/a"),
)
ROWS = (*TOKENS, *METHODS, *PATHS, *QUERY, *COOKIES, *CLAIMS, *SMUGGLED, *DESCRIBED, *BY_RULE)


async def test_the_table_is_long_enough() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 100


@pytest.mark.parametrize("proxy", ["envoy", "nginx"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_request_is_decided_alike(stage: Stage, row: Row, proxy: str) -> None:
    stage.arrived.clear()
    response = await send(stage.urls[proxy], row.data())
    assert response.status == row.status
    challenge = response.headers.get("www-authenticate", "")
    assert challenge.startswith(row.challenge)
    assert bool(challenge) == bool(row.challenge)
    if row.status != 200:
        assert stage.arrived == []
        return
    (seen,) = stage.arrived
    assert (seen.method, seen.target) == (row.method, row.at or row.target)
    assert {name: seen.headers.getall(name) for name in SHOWN if name in seen.headers} == {
        name: [value] for name, value in row.seen.items()
    }
    assert not {"mallory", "eve"} & set(seen.headers.values())


@pytest.mark.parametrize(
    ("method", "status"),
    [("POST", "403"), ("post", "403"), ("Post", "403"), ("PURGE", "200"), ("purge", "403")],
)
async def test_a_method_over_http2_falls_under_the_rule_of_its_capitals(
    stage: Stage, method: str, status: str
) -> None:
    """Some servers, such as Flask's, take `post` for `POST`; over HTTP/1.1 Envoy refuses it."""
    stage.arrived.clear()
    async with process(
        *("curl", "--silent", "--http2-prior-knowledge", "--output", str(stage.directory / "body")),
        *("--write-out", "%{http_code} %{http_version}", "--request", method),
        *("--header", f"Authorization: Bearer {GOOD}", "--header", "Host: shop.example.com"),
        f"{stage.urls['envoy']}/admin/users",
        stdout=asyncio.subprocess.PIPE,
    ) as curl:
        written, _ = await curl.communicate()
    assert written.decode() == f"{status} 2"
    assert [seen.method for seen in stage.arrived] == (["PURGE"] if status == "200" else [])


AUTHORIZED = f"Host: {HOST}\r\nAuthorization: Bearer {GOOD}\r\n"
ODD = {
    "a second Host": f"GET / HTTP/1.1\r\nHost: evil.example\r\n{AUTHORIZED}\r\n",
    "a line break in a value": f"GET / HTTP/1.1\r\n{AUTHORIZED}X-A: a\r\n X-Plan: mallory\r\n\r\n",
    "a bare LF in a value": f"GET / HTTP/1.1\r\n{AUTHORIZED}X-A: a\nX-Plan: mallory\r\n\r\n",
    "a bare CR in a value": f"GET / HTTP/1.1\r\n{AUTHORIZED}X-A: a\rX-Plan: mallory\r\n\r\n",
    "a NUL in a value": f"GET / HTTP/1.1\r\n{AUTHORIZED}X-A: a\0\r\nX-Plan: mallory\r\n\r\n",
    "a space before the colon": f"GET / HTTP/1.1\r\n{AUTHORIZED}X-Plan : mallory\r\n\r\n",
    "a tab before the colon": f"GET / HTTP/1.1\r\n{AUTHORIZED}X-Plan\t: mallory\r\n\r\n",
    "a space before the name": f"GET / HTTP/1.1\r\n X-Plan: mallory\r\n{AUTHORIZED}\r\n",
    "a header without a name": f"GET / HTTP/1.1\r\n{AUTHORIZED}: mallory\r\n\r\n",
    "a name beyond ASCII": f"GET / HTTP/1.1\r\n{AUTHORIZED}X-Pl\u00e4n: mallory\r\n\r\n",
    "a header in the target": f"GET /a%0d%0aX-Plan:%20mallory HTTP/1.1\r\n{AUTHORIZED}\r\n",
    "a space in the target": f"GET /a b HTTP/1.1\r\n{AUTHORIZED}\r\n",
    "a target without a slash": f"GET orders HTTP/1.1\r\n{AUTHORIZED}\r\n",
    "a NUL in the target": f"GET /a%00b HTTP/1.1\r\n{AUTHORIZED}X-Plan: mallory\r\n\r\n",
    "a target above the root": f"GET /../b HTTP/1.1\r\n{AUTHORIZED}X-Plan: mallory\r\n\r\n",
    "a bad escape": f"GET /a%zzb HTTP/1.1\r\n{AUTHORIZED}X-Plan: mallory\r\n\r\n",
    "the target of a tunnel": f"CONNECT evil.example:443 HTTP/1.1\r\n{AUTHORIZED}\r\n",
    "both ways of a body": (
        f"POST / HTTP/1.1\r\n{AUTHORIZED}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        f"0\r\n\r\nGET /mallory HTTP/1.1\r\n{AUTHORIZED}\r\n"
    ),
    "two lengths": (
        f"POST / HTTP/1.1\r\n{AUTHORIZED}Content-Length: 0\r\nContent-Length: 60\r\n\r\n"
        f"GET /mallory HTTP/1.1\r\n{AUTHORIZED}\r\n"
    ),
    "an encoding that is none": (
        f"POST / HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: xchunked\r\n\r\n"
        f"0\r\n\r\nGET /mallory HTTP/1.1\r\n{AUTHORIZED}\r\n"
    ),
    "a request in a body": (
        f"POST / HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\n\r\n"
        f"1c\r\nGET /mallory HTTP/1.1\r\nx: y\r\n\r\n0\r\n\r\n"
    ),
    "a header behind the body": (
        f"POST / HTTP/1.1\r\n{AUTHORIZED}Transfer-Encoding: chunked\r\nTrailer: X-Plan\r\n\r\n"
        "0\r\nX-Plan: mallory\r\n\r\n"
    ),
    "a header that the connection is to drop": (
        f"GET / HTTP/1.1\r\n{AUTHORIZED}Connection: x-jwt-subject, x-original-uri\r\n\r\n"
    ),
    "HTTP/1.0": f"GET / HTTP/1.0\r\n{AUTHORIZED}X-Plan: mallory\r\n\r\n",
    "HTTP/0.9": "GET /\r\n\r\n",
}


@pytest.mark.parametrize("proxy", ["envoy", "nginx"])
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_request_brings_nothing_in(stage: Stage, name: str, proxy: str) -> None:
    """It is kept out, or reaches the upstream once, with the token's headers and no other."""
    stage.arrived.clear()
    response = await send(stage.urls[proxy], ODD[name].encode())
    assert response.status in {0, 200, 400, 401, 403, 404, 405, 426, 501}
    for seen in stage.arrived:
        assert "GET /mallory" not in f"{seen.method} {seen.target}"
        assert {name.lower() for name, value in seen.headers.items() if "mallory" in value} <= {
            "x-a"
        }
        assert seen.headers.getall("x-jwt-subject") == ["alice"]
    assert len(stage.arrived) == (response.status == 200)


@pytest.mark.parametrize("proxy", ["envoy", "nginx"])
@pytest.mark.parametrize("name", ODD)
async def test_an_odd_request_without_a_token_is_kept_out(
    stage: Stage, name: str, proxy: str
) -> None:
    stage.arrived.clear()
    data = ODD[name].replace(f"Authorization: Bearer {GOOD}\r\n", "")
    assert (await send(stage.urls[proxy], data.encode())).status != 200
    assert stage.arrived == []


@pytest.mark.parametrize("proxy", ["envoy", "nginx"])
async def test_the_target_of_an_absolute_form_is_what_is_decided_and_sent_on(
    stage: Stage, proxy: str
) -> None:
    """RFC 9112, section 3.2.2: the Host header does not count then."""
    stage.arrived.clear()
    target = f"http://{HOST}/orders?a=1"
    data = f"GET {target} HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer {GOOD}\r\n\r\n"
    assert (await send(stage.urls[proxy], data.encode())).status == 200
    (seen,) = stage.arrived
    assert (seen.target, seen.headers["host"]) == ("/orders?a=1", HOST)


CLEARED = ("X-Original-URL", "X-Forwarded-Method", "X-Forwarded-Uri")


async def test_an_nginx_that_clears_nothing_lets_no_other_request_be_described(
    stage: Stage, tmp_path: Path
) -> None:
    """Its operator forgot lines of the ready-made configuration."""
    text = (stage.directory / "site.conf").read_text()
    for name in CLEARED:
        assert f'proxy_set_header {name} "";' in text
        text = text.replace(f'proxy_set_header {name} "";', "")
    text = re.sub(r"listen .*;", "listen 80;", text)
    async with nginx(tmp_path, text) as url:
        for name, value, status in (
            ("X-Plain", "/", 401),
            ("X-Forwarded-Uri", "/healthz", 400),
            ("X-Forwarded-Method", "OPTIONS", 400),
            ("X-Original-URL", f"http://{HOST}/healthz", 400),
        ):
            stage.arrived.clear()
            row = refused(name, target="/orders", headers=((name, value),))
            assert (await send(url, row.data())).status == status
            assert stage.arrived == []
