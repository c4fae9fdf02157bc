"""A FastAPI service answers as the table says, and describes what it needs."""

from typing import Annotated, Any

import httpx2
import pytest
from fastapi import APIRouter, Depends, FastAPI, Security, WebSocket
from fastapi.openapi.models import OAuth2, OAuthFlowClientCredentials, OAuthFlows
from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse

from jwt_sidecar_client import AsyncClient, Client, Token
from jwt_sidecar_client.fastapi import BearerToken, answer_denials
from tests import sidecars
from tests.table import CASES, HEADERS, REALM, seconds_for


def application(signed_in: BearerToken, scopes: list[str] | None = None) -> FastAPI:
    app = FastAPI()
    answer_denials(app)

    @app.get("/orders")
    def orders(token: Annotated[Token, Security(signed_in, scopes=scopes)]) -> str:
        return token.subject or token.consumer

    return app


async def answer_of(app: FastAPI, *authorization: str, path: str = "/orders") -> httpx2.Response:
    headers = [(b"Authorization", one.encode()) for one in authorization]
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shop") as browser:
        answer: httpx2.Response = await browser.get(path, headers=headers)
        return answer


@pytest.mark.parametrize("case", [pytest.param(one, id=one["name"]) for one in CASES])
async def test_a_request_ends_as_the_table_says(scripted: str, case: dict[str, Any]) -> None:
    expected = case["client"]
    async with AsyncClient(scripted, timeout=seconds_for(case)) as client:
        app = application(BearerToken(client, realm=REALM), case.get("request", {}).get("scopes"))
        answer = await answer_of(app, f"Bearer {case['name']}~fastapi")
    if expected["outcome"] == "token":
        token = expected["token"]
        assert (answer.status_code, answer.json()) == (200, token["subject"] or token["consumer"])
        return
    assert answer.status_code == expected["http_status"]
    assert answer.headers.get("retry-after") == ("1" if answer.status_code == 503 else None)
    assert (
        answer.json()
        == {
            "refused": {
                "error": expected.get("reason", "").lower(),
                "reason": f"REASON_{expected.get('reason')}",
                "message": expected.get("message"),
            },
            "unavailable": {
                "error": "sidecar_unavailable",
                "message": "the token can't be checked now",
            },
            "rejected": {"error": "internal_error", "message": "the token can't be checked"},
        }[expected["outcome"]]
    )
    challenge = answer.headers.get("www-authenticate", "")
    if "dpop" in case.get("request", {}):
        # Of a request only its Bearer token is looked at, so the client is told nothing of DPoP.
        assert challenge == 'Bearer realm="shop", error="invalid_token", error_description="why"'
    else:
        assert challenge == expected.get("www_authenticate", "")


@pytest.mark.parametrize("row", [pytest.param(one, id=one["name"]) for one in HEADERS])
async def test_the_header_is_read_as_the_table_says(scripted: str, row: dict[str, Any]) -> None:
    async with AsyncClient(scripted, timeout=10) as client:
        answer = await answer_of(application(BearerToken(client)), *row["authorization"])
    if not row["reason"]:
        assert (answer.status_code, answer.json()) == (200, "alice")
        return
    assert answer.status_code == 401
    assert answer.json()["reason"] == f"REASON_{row['reason']}"
    assert answer.headers["www-authenticate"].startswith("Bearer realm=")


async def test_a_header_without_a_token_asks_no_sidecar() -> None:
    async with AsyncClient(sidecars.free_address()) as client:
        app = application(BearerToken(client))
        assert (await answer_of(app)).status_code == 401
        assert (await answer_of(app, "Bearer valid")).status_code == 503


async def test_without_answer_denials_a_request_is_denied_too(scripted: str) -> None:
    app = FastAPI()
    async with AsyncClient(scripted, timeout=10) as client:
        app.add_api_route("/orders", lambda: "in", dependencies=[Depends(BearerToken(client))])
        answer = await answer_of(app)
        assert (await answer_of(app, "Bearer valid")).json() == "in"
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="jwt-sidecar"'
    assert answer.json()["detail"]["reason"] == "REASON_TOKEN_MISSING"


def test_a_websocket_is_let_in_with_a_token_alone(scripted: str) -> None:
    signed_in = BearerToken(AsyncClient(scripted, timeout=10))
    app = FastAPI()
    answer_denials(app)

    @app.websocket("/feed")
    async def feed(socket: WebSocket, token: Annotated[Token, Security(signed_in)]) -> None:
        await socket.accept()
        await socket.send_text(token.subject)

    browser = TestClient(app)
    with browser.websocket_connect("/feed", headers={"Authorization": "Bearer valid"}) as socket:
        assert socket.receive_text() == "alice"
    with pytest.raises(WebSocketDenialResponse) as caught, browser.websocket_connect("/feed"):
        pass
    assert caught.value.status_code == 401


async def test_scopes_around_an_endpoint_are_demanded_too(real: str, real_client: Client) -> None:
    def bearing(*scopes: str) -> str:
        return f"Bearer {real_client.issue(subject='alice', scopes=scopes).token}"

    async with AsyncClient(real, timeout=10) as client:
        signed_in = BearerToken(client)

        def reader(token: Annotated[Token, Security(signed_in, scopes=["orders:read"])]) -> str:
            return token.subject

        router = APIRouter(dependencies=[Security(signed_in, scopes=["orders:read"])])

        @router.get("/written")
        def written(name: Annotated[str, Security(reader, scopes=["orders:write"])]) -> str:
            return name

        app = FastAPI()
        answer_denials(app)
        app.include_router(router)
        both = await answer_of(app, bearing("orders:read", "orders:write"), path="/written")
        assert (both.status_code, both.json()) == (200, "alice")
        for one in ("orders:read", "orders:write"):
            answer = await answer_of(app, bearing(one), path="/written")
            assert answer.status_code == 403
            assert "insufficient_scope" in answer.headers["www-authenticate"]


async def test_audiences_and_claims_are_demanded_of_every_request(
    real: str, real_client: Client
) -> None:
    token = real_client.issue(subject="alice", claims={"tier": "gold"}).token
    async with AsyncClient(real, timeout=10) as client:
        for options, status in (
            ({"audiences": iter(["orders"]), "required_claims": {"tier": "gold"}}, 200),
            ({"audiences": iter(["billing"])}, 403),
            ({"required_claims": {"tier": "lead"}}, 403),
            ({"issuer_name": "internal"}, 200),
        ):
            app = application(BearerToken(client, **options))
            for _ in range(2):
                assert (await answer_of(app, f"Bearer {token}")).status_code == status


async def test_nothing_of_the_inside_is_told_but_logged(
    scripted: str, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "no-case-has-this.name-so.the-peer-quotes-it"
    async with AsyncClient(scripted, timeout=10) as client:
        answer = await answer_of(application(BearerToken(client)), f"Bearer {secret}")
    assert answer.json() == {
        "error": "sidecar_unavailable",
        "message": "the token can't be checked now",
    }
    assert [(one.name, one.levelname) for one in caplog.records if "UNKNOWN" in one.message] == [
        ("jwt_sidecar_client", "ERROR")
    ]
    assert secret not in caplog.text


def test_the_openapi_document_says_what_an_endpoint_needs() -> None:
    document = application(BearerToken(AsyncClient()), ["orders:read"]).openapi()
    assert document["components"]["securitySchemes"] == {
        "BearerToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    }
    assert document["paths"]["/orders"]["get"]["security"] == [{"BearerToken": ["orders:read"]}]
    assert "parameters" not in document["paths"]["/orders"]["get"]


def test_the_openapi_document_can_list_the_scopes() -> None:
    flow = OAuthFlowClientCredentials(
        tokenUrl="https://login.example.com/token", scopes={"orders:read": "Read orders"}
    )
    scheme = OAuth2(flows=OAuthFlows(clientCredentials=flow))
    signed_in = BearerToken(AsyncClient(), scheme=scheme, scheme_name="corp")
    document = application(signed_in, ["orders:read"]).openapi()
    described = document["components"]["securitySchemes"]["corp"]
    assert described["flows"]["clientCredentials"]["scopes"] == {"orders:read": "Read orders"}
    assert document["paths"]["/orders"]["get"]["security"] == [{"corp": ["orders:read"]}]


def test_a_service_is_tested_without_a_sidecar() -> None:
    signed_in = BearerToken(AsyncClient())
    app = application(signed_in)
    app.dependency_overrides[signed_in] = lambda: Token(subject="alice")
    assert TestClient(app).get("/orders").json() == "alice"


def test_a_service_is_tested_with_a_sidecar(scripted: str) -> None:
    browser = TestClient(application(BearerToken(AsyncClient(scripted, timeout=10))))
    for _ in range(2):  # each in an event loop of its own
        answer = browser.get("/orders", headers={"Authorization": "Bearer valid"})
        assert answer.json() == "alice"
