"""Subject directories of a sidecar that serves: real files, databases, servers and calls."""

import asyncio
import json
import sqlite3
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web

from deploy.demo.stage import free_port
from sidecar.subjects.directory import PATIENCE
from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.postgres import postgres
from tests.running import SECRET, Running, assert_refused, assert_valid, running
from tests.unit.keys.servers import http, raw

QUERY = "SELECT enabled FROM users WHERE id = :sub"
SQL = {"url": "sqlite:users.db", "query": QUERY, "timeout": "5s"}


def configured(directory: dict[str, Any], **issuer: Any) -> str:
    document = {
        "listeners": [{"address": "unix:s.sock", "services": ["validate", "admin"]}],
        "issuers": [
            {
                "name": "corp",
                "issuer": "https://login.example",
                "keys": {"secret": {"value": SECRET}},
                "algorithms": ["HS256"],
                "audiences": "*",
                "subjects": "users",
                **issuer,
            }
        ],
        "subjects": [{"name": "users", **directory}],
        "shutdown": {"drain": "0s", "grace": "2s"},
    }
    return json.dumps(document)


def of(subject: object, key: str = SECRET, **claims: Any) -> str:
    """A token of this subject."""
    members = {"iss": "https://login.example", "exp": int(time.time()) + 600, **claims}
    return jwt.encode({**members, "sub": subject}, key, "HS256")


def database(path: Path, **users: Any) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE users (id TEXT PRIMARY KEY, enabled)")
        connection.executemany("INSERT INTO users VALUES (?, ?)", users.items())
        connection.commit()


async def cache(one: Running) -> admin.CacheStatus:
    status = await AdminServiceStub(one.channel).GetStatus(admin.GetStatusRequest())
    (found,) = (cache for cache in status.caches if cache.name == "subjects.users")
    return found


class Service:
    """A service of users whose answers the test sets; it counts who was asked for."""

    def __init__(self, status: int = 200, **headers: str) -> None:
        self.status = status
        self.headers = headers
        self.asked: Counter[str] = Counter()
        self.hold: asyncio.Event | None = None

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        self.asked[request.raw_path if hasattr(request, "raw_path") else request.path] += 1
        if self.hold is not None:
            await self.hold.wait()
        return web.Response(status=self.status, headers=self.headers)


def at(url: str, **settings: Any) -> dict[str, Any]:
    return {"url": url.replace("/jwks", "/users/{sub}"), "timeout": "10s", **settings}


@pytest.mark.parametrize(
    ("enabled", "reason"),
    [
        pytest.param(True, None, id="true"),
        pytest.param(1, None, id="1"),
        pytest.param("true", None, id="the text true"),
        pytest.param("Y", None, id="the text Y"),
        pytest.param(False, "SUBJECT_DISABLED", id="false"),
        pytest.param(0, "SUBJECT_DISABLED", id="0"),
        pytest.param(2, "SUBJECT_DISABLED", id="2"),
        pytest.param(None, "SUBJECT_DISABLED", id="null"),
        pytest.param("no", "SUBJECT_DISABLED", id="the text no"),
        pytest.param("active", "SUBJECT_DISABLED", id="any other text"),
    ],
)
async def test_the_first_column_says_whether_the_user_is_enabled(
    tmp_path: Path, enabled: Any, reason: str | None
) -> None:
    database(tmp_path / "users.db", alice=enabled)
    async with running(tmp_path, configured({"sql": SQL})) as one:
        answer = await one.validate(of("alice"))
        if reason is None:
            assert_valid(answer)
        else:
            assert_refused(answer, reason, '"alice"', "users", "disabled")


async def test_an_unknown_user_is_refused_with_directory_claim_and_age(tmp_path: Path) -> None:
    database(tmp_path / "users.db", alice=True)
    async with running(tmp_path, configured({"sql": SQL})) as one:
        refused = await one.validate(of("auth0|bob' OR '1'='1"))
        words = ('claim "sub" is "auth0|bob', "subject directory users", "just now")
        assert_refused(refused, "SUBJECT_UNKNOWN", *words)


async def test_several_rows_are_nobody(tmp_path: Path) -> None:
    database(tmp_path / "users.db", alice=True, bob=True)
    query = "SELECT enabled FROM users WHERE :sub = :sub"
    async with running(tmp_path, configured({"sql": {**SQL, "query": query}})) as one:
        assert_refused(await one.validate(of("alice")), "SUBJECT_DISABLED", "several rows")


async def test_a_claim_of_another_name_is_looked_up(tmp_path: Path) -> None:
    database(tmp_path / "users.db", **{"a@x.example": True})
    async with running(tmp_path, configured({"sql": SQL, "claim": "user.email"})) as one:
        assert_valid(await one.validate(of("1", user={"email": "a@x.example"})))
        assert_refused(await one.validate(of("1")), "CLAIM_MISSING", '"user.email"')
        refused = await one.validate(of("1", user={"email": ["a@x.example"]}))
        assert_refused(refused, "CLAIM_MISMATCH", "an array")
        assert_refused(await one.validate(of("1", user={"email": ""})), "CLAIM_MISMATCH", "empty")


async def test_nothing_is_asked_for_a_token_that_is_forged(tmp_path: Path) -> None:
    service = Service()
    async with (
        http(service.handle) as url,
        running(tmp_path, configured({"http": at(url)})) as one,
    ):
        forged = of("mallory", key="another-secret-of-at-least-32-bytes")
        assert_refused(await one.validate(forged), "SIGNATURE_INVALID")
        request = messages.ExplainTokenRequest(request=messages.ValidateTokenRequest(token=forged))
        explained = await one.tokens.ExplainToken(request)
        assert [c.outcome for c in explained.checks if c.name == "subject"] == [3]
        assert "/users/mallory" not in service.asked


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        pytest.param(200, None, id="200"),
        pytest.param(204, None, id="204"),
        pytest.param(404, "SUBJECT_UNKNOWN", id="404"),
        pytest.param(400, "SUBJECT_UNKNOWN", id="400"),
        pytest.param(414, "SUBJECT_UNKNOWN", id="414"),
        pytest.param(403, "SUBJECT_DISABLED", id="403"),
        pytest.param(410, "SUBJECT_DISABLED", id="410"),
        pytest.param(401, "STATE_UNAVAILABLE", id="401"),
        pytest.param(500, "STATE_UNAVAILABLE", id="500"),
        pytest.param(302, "STATE_UNAVAILABLE", id="a redirect"),
    ],
)
async def test_the_status_is_the_answer(tmp_path: Path, status: int, reason: str | None) -> None:
    service = Service(status, location="/users/alice2") if status == 302 else Service(status)
    async with (
        http(service.handle) as url,
        running(tmp_path, configured({"http": at(url)})) as one,
    ):
        answer = await one.validate(of("alice"))
        if reason is None:
            assert_valid(answer)
        else:
            assert_refused(answer, reason, "subject directory users")
    assert service.asked["/users/alice"] == 1
    assert "/users/alice2" not in service.asked


async def test_a_subject_can_not_leave_its_place_in_the_path(tmp_path: Path) -> None:
    service = Service()
    async with (
        http(service.handle) as url,
        running(tmp_path, configured({"http": at(url)})) as one,
    ):
        for subject in ("..", ".", "a/../admin", "..\\admin"):
            assert_refused(await one.validate(of(subject)), "SUBJECT_UNKNOWN")
        for subject in ("a/b", "a?b=c#d", "a\r\nx-evil: 1", "auth0|ä%2F"):
            assert_valid(await one.validate(of(subject)))
    del service.asked["/users/jwt-sidecar-start"]
    assert set(service.asked) == {
        "/users/a%2Fb",
        "/users/a%3Fb%3Dc%23d",
        "/users/a%0D%0Ax-evil%3A%201",
        "/users/auth0%7C%C3%A4%252F",
    }


async def test_a_subject_that_the_server_can_not_take_is_no_outage_for_others(
    tmp_path: Path,
) -> None:
    service = Service()
    async with (
        http(service.handle) as url,
        running(tmp_path, configured({"http": at(url), "on_outage": "allow"})) as one,
    ):
        for number in range(2 * PATIENCE):
            too_long = of(str(number) + "\N{GRINNING FACE}" * 1000)  # 12 KB, where aiohttp takes 8
            assert_refused(await one.validate(too_long), "SUBJECT_UNKNOWN")
        service.status = 403
        assert_refused(await one.validate(of("mallory")), "SUBJECT_DISABLED")


async def test_fifty_calls_with_one_subject_make_one_query(tmp_path: Path) -> None:
    service = Service()
    service.hold = asyncio.Event()
    async with (
        http(service.handle) as url,
        running(tmp_path, configured({"http": at(url)})) as one,
    ):
        calls = [asyncio.create_task(one.validate(of("alice"))) for _ in range(50)]
        async with asyncio.timeout(20):
            while not service.asked["/users/alice"]:  # noqa: ASYNC110 - the state of another party
                await asyncio.sleep(0.01)
        service.hold.set()
        for answer in await asyncio.gather(*calls):
            assert_valid(answer)
        assert service.asked["/users/alice"] == 1
        assert_valid(await one.validate(of("alice")))
        assert service.asked["/users/alice"] == 1
        assert (await cache(one)).hits >= 1


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 99999 x\r\n\r\n", b"\x00" * 99])
@pytest.mark.parametrize("on_outage", ["deny", "allow"])
async def test_a_server_that_gives_no_answer(
    tmp_path: Path, answer: bytes | None, on_outage: str
) -> None:
    async with raw(answer) as url:
        directory = {"http": at(url, timeout="200ms"), "on_outage": on_outage}
        async with running(tmp_path, configured(directory)) as one:
            assert not one.sidecar.missing()
            verdict = await one.validate(of("alice"))
            if on_outage == "allow":
                assert_valid(verdict)
            else:
                assert_refused(verdict, "STATE_UNAVAILABLE", "subject directory users")


async def test_an_outage_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = {"http": {"url": f"http://127.0.0.1:{free_port()}/{{sub}}"}}
    async with running(tmp_path, configured(directory)) as one:
        for number in range(20):
            assert_refused(await one.validate(of(f"u{number}")), "STATE_UNAVAILABLE")
    told = [one for one in caplog.records if one.name.startswith("sidecar.subjects")]
    assert len(told) == 1
    assert "Connection refused" in told[0].getMessage()


async def test_a_file_takes_effect_when_it_changes(tmp_path: Path) -> None:
    (tmp_path / "users.txt").write_text("# who may come\n\nalice\r\n  bob\n")
    async with running(tmp_path, configured({"file": "users.txt"})) as one:
        for subject in ("alice", "bob"):
            assert_valid(await one.validate(of(subject)))
        for subject in ("# who may come", "alice\nbob", "ALICE", "ali"):
            assert_refused(await one.validate(of(subject)), "SUBJECT_UNKNOWN", "users")
        (tmp_path / "users.txt").write_text("bob\n")
        assert await one.sidecar.reload()
        assert_refused(await one.validate(of("alice")), "SUBJECT_UNKNOWN")
        assert_valid(await one.validate(of("bob")))


async def test_a_reload_keeps_what_is_remembered_unless_the_settings_differ(tmp_path: Path) -> None:
    database(tmp_path / "users.db", alice=True)
    async with running(tmp_path, configured({"sql": SQL})) as one:
        assert_valid(await one.validate(of("alice")))
        async with asyncio.timeout(20):
            # Alice, and nobody, who is asked about at the start.
            while (await cache(one)).entries < 2:
                pass
        (tmp_path / "jwt-sidecar.yaml").write_text(configured({"sql": SQL}, max_age="1h"))
        assert await one.sidecar.reload()
        assert (await cache(one)).entries == 2
        other = configured({"sql": SQL, "cache": {"entries": 7}})
        (tmp_path / "jwt-sidecar.yaml").write_text(other)
        assert await one.sidecar.reload()
        assert (await cache(one)).capacity == 14
        (tmp_path / "users.db").unlink()
        (tmp_path / "jwt-sidecar.yaml").write_text(other.replace('"entries": 7', '"entries": 8'))
        assert await one.sidecar.reload()
        assert_refused(await one.validate(of("alice")), "STATE_UNAVAILABLE", "users")


async def test_a_query_that_never_ends_holds_up_nobody(tmp_path: Path) -> None:
    database(tmp_path / "users.db", alice=True)
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE :sub = 'mallory' OR i < 1) SELECT max(i) FROM n"
    )
    sql = {**SQL, "query": endless, "timeout": "3s"}
    async with running(tmp_path, configured({"sql": sql})) as one:
        slow = asyncio.create_task(one.validate(of("mallory")))
        assert_valid(await one.validate(of("alice")))
        assert_refused(await slow, "STATE_UNAVAILABLE", "did not answer within 3 s")


async def test_postgres_that_dies_and_comes_back(tmp_path: Path) -> None:
    with postgres() as server:
        server.execute(
            "CREATE TABLE users (id uuid PRIMARY KEY, enabled boolean);"
            "INSERT INTO users VALUES ('11111111-1111-1111-1111-111111111111', true),"
            "('22222222-2222-2222-2222-222222222222', false);"
            "CREATE USER reader; GRANT SELECT ON users TO reader"
        )
        query = "SELECT enabled FROM users WHERE id = CAST(:sub AS uuid)"
        sql = {"url": server.url, "query": query, "timeout": "5s", "password": {"value": "x"}}
        async with running(tmp_path, configured({"sql": sql, "cache": {"entries": 0}})) as one:
            alice, bob, carol = (of(f"{n * 8}-{n * 4}-{n * 4}-{n * 4}-{n * 12}") for n in "123")
            assert_valid(await one.validate(alice))
            assert_refused(await one.validate(bob), "SUBJECT_DISABLED")
            assert_refused(await one.validate(carol), "SUBJECT_UNKNOWN")
            assert_refused(await one.validate(of("no uuid\0")), "SUBJECT_UNKNOWN")
            await asyncio.to_thread(server.stop)
            assert_refused(await one.validate(alice), "STATE_UNAVAILABLE", "directory users")
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(20):
                while not (await one.validate(alice)).valid:  # noqa: ASYNC110 - as above
                    await asyncio.sleep(0.05)
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)
            assert_valid(await one.validate(alice))
