"""Reloads of a sidecar that serves: real files, sockets and calls."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import grpc
import pytest
from aiohttp import web
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sidecar import serve
from sidecar.config import watching
from sidecar.config.load import Configuration, load
from sidecar.generation import Generation
from sidecar.serve import Sidecar
from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.admin_service_pb2_grpc import AdminServiceStub
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.integration.test_remote_keys import Provider, jwks, mint, providing
from tests.running import (
    SECRET,
    TRANSPORTS,
    Running,
    assert_refused,
    assert_valid,
    fails,
    running,
)

T = TypeVar("T")
INVALID = grpc.StatusCode.INVALID_ARGUMENT
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION


def consumer(name: str, secret: str = SECRET) -> dict[str, Any]:
    return {"name": name, "key": name, "algorithm": "HS256", "secret": {"value": secret}}


def configured(*listeners: str, jack: str = SECRET, **sections: Any) -> str:
    """A configuration with an admin listener and these, a consumer and a signer."""
    document = {
        "listeners": [
            {"address": "unix:admin.sock", "services": ["validate", "issue", "admin"]},
            *({"address": f"unix:{path}", "services": ["validate"]} for path in listeners),
        ],
        "consumers": {"list": [consumer("jack", jack)]},
        "signers": [
            {
                "name": "internal",
                "issuer": "https://tokens.example",
                "keys": [{"generate": "ES256"}],
                "accept": True,
            }
        ],
        "shutdown": {"drain": "0s", "grace": "2s"},
        **sections,
    }
    return json.dumps(document)


async def reload(one: Running) -> admin.ReloadConfigResponse:
    return await AdminServiceStub(one.channel).ReloadConfig(admin.ReloadConfigRequest())


async def status(one: Running) -> admin.GetStatusResponse:
    return await AdminServiceStub(one.channel).GetStatus(admin.GetStatusRequest())


async def write_and_reload(one: Running, directory: Path, text: str) -> bool:
    (directory / "jwt-sidecar.yaml").write_text(text)
    return (await reload(one)).changed


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - the state of another party
            await asyncio.sleep(0.02)


async def answered(call: Callable[[], Awaitable[T]]) -> T:
    """The answer; a call that is written to a connection that just ends is lost, and made again."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await call()
            except grpc.aio.AioRpcError as error:
                if error.code() is not grpc.StatusCode.UNAVAILABLE:
                    raise


async def test_another_secret_of_a_consumer_holds_from_the_reload_on(tmp_path: Path) -> None:
    async with running(tmp_path, configured()) as one:
        old = await one.issue(consumer="jack")
        assert await write_and_reload(one, tmp_path, configured(jack="n" * 32))
        assert_refused(await one.validate(old), "SIGNATURE_INVALID")
        assert_valid(await one.validate(await one.issue(consumer="jack")))


async def test_what_has_not_changed_changes_nothing(tmp_path: Path) -> None:
    async with running(tmp_path, configured()) as one:
        before = await status(one)
        assert not (await reload(one)).changed
        assert await status(one) == before


async def test_generated_keys_stay_over_a_reload(tmp_path: Path) -> None:
    async with running(tmp_path, configured()) as one:
        token = await one.issue(subject="alice")
        published = await one.tokens.GetJwks(messages.GetJwksRequest())
        assert await write_and_reload(one, tmp_path, configured(jack="n" * 32))
        assert_valid(await one.validate(token))
        assert await one.tokens.GetJwks(messages.GetJwksRequest()) == published


@pytest.mark.parametrize(
    ("text", "word"),
    [
        pytest.param("listeners: [", "yaml", id="no YAML"),
        pytest.param("", "the file is empty", id="empty"),
        pytest.param(configured(jack="short"), "needs at least 32", id="an invalid setting"),
        pytest.param(configured(store={"url": "memory:"}), "restart it", id="another store"),
        pytest.param(
            configured("none/there.sock"), "there.sock", id="a listener that can't be opened"
        ),
        pytest.param(
            configured(http={"address": "unix:none/http.sock"}), "http.sock", id="no HTTP listener"
        ),
    ],
)
async def test_what_is_invalid_changes_nothing_and_is_told(
    tmp_path: Path, text: str, word: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(tmp_path, configured()) as one:
        token = await one.issue(consumer="jack")
        before = await status(one)
        (tmp_path / "jwt-sidecar.yaml").write_text(text)
        with fails(INVALID, "CONFIG_INVALID"):
            await reload(one)
        assert_valid(await one.validate(token))
        after = await status(one)
        assert word in after.config_error
        assert word in caplog.text
        assert SECRET not in caplog.text
        assert (after.config_hash, after.config_load_time) == (
            before.config_hash,
            before.config_load_time,
        )
        assert not (tmp_path / "none").exists()
        assert await write_and_reload(one, tmp_path, configured(jack="n" * 32))
        assert (await status(one)).config_error == ""


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("letter", ["c", "%", "\u00e9", "\u4e2d"])
async def test_many_errors_are_told_within_what_clients_take(
    tmp_path: Path, transport: str, letter: str
) -> None:
    name = letter * (240 // len(letter.encode()))
    own = [{"address": "unix:a.sock", "services": ["admin"], "transport": transport}]
    async with running(tmp_path, configured(listeners=own)) as one:
        (tmp_path / name).write_text(json.dumps([{"wrong": 1}] * 200))
        text = configured(listeners=own, consumers={"file": name})
        (tmp_path / "jwt-sidecar.yaml").write_text(text)
        with fails(INVALID, "CONFIG_INVALID"):
            await reload(one)
        assert name in (await status(one)).config_error


async def test_a_listener_of_a_failed_reload_is_not_left_open(tmp_path: Path) -> None:
    async with running(tmp_path, configured()) as one:
        (tmp_path / "jwt-sidecar.yaml").write_text(configured("new.sock", "none/there.sock"))
        with fails(INVALID, "CONFIG_INVALID"):
            await reload(one)
        assert not (tmp_path / "new.sock").exists()


async def test_listeners_open_and_drain(tmp_path: Path) -> None:
    async with running(tmp_path, configured("old.sock")) as one:
        assert await write_and_reload(one, tmp_path, configured("new.sock"))
        token = await one.issue(subject="alice")
        async with grpc.aio.insecure_channel(f"unix:{tmp_path}/new.sock") as channel:
            request = messages.ValidateTokenRequest(token=token)
            assert_valid(await TokenServiceStub(channel).ValidateToken(request))

        async def is_gone() -> bool:
            return not (tmp_path / "old.sock").exists()

        await until(is_gone)


async def test_a_listener_that_goes_takes_no_call_for_the_next_configuration_to_decide(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    serving: list[tuple[str, ...]] = []
    take_over = Generation.take_over
    async with running(tmp_path, configured("old.sock")) as one:

        def noted(new: Generation, before: Generation) -> None:
            serving.append(one.sidecar.addresses())
            take_over(new, before)

        monkeypatch.setattr(Generation, "take_over", noted)
        assert await write_and_reload(one, tmp_path, configured("new.sock"))
        assert serving == [(f"unix:{tmp_path}/admin.sock",)]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_listener_with_other_settings_is_opened_anew(
    tmp_path: Path, transport: str
) -> None:
    def listeners(*services: str) -> list[dict[str, Any]]:
        return [
            {"address": "unix:admin.sock", "services": ["admin", "issue"]},
            {"address": "unix:x.sock", "services": services, "transport": transport},
        ]

    text = configured(listeners=listeners("issue"))
    async with (
        running(tmp_path, text) as one,
        grpc.aio.insecure_channel(f"unix:{tmp_path}/x.sock") as channel,
    ):
        stub = TokenServiceStub(channel)
        request = messages.ValidateTokenRequest(token=await one.issue(subject="alice"))
        with fails(grpc.StatusCode.PERMISSION_DENIED, "NOT_SERVED_HERE"):
            await stub.ValidateToken(request)
        text = configured(listeners=listeners("issue", "validate"))
        assert await write_and_reload(one, tmp_path, text)
        assert_valid(await answered(lambda: stub.ValidateToken(request)))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_the_listener_that_the_reload_is_asked_on_may_change(
    tmp_path: Path, transport: str
) -> None:
    def text(**more: Any) -> str:
        services = ["issue", "admin"]
        own = {"address": "unix:a.sock", "services": services, "transport": transport, **more}
        return configured(listeners=[own])

    async with running(tmp_path, text()) as one:
        assert await write_and_reload(one, tmp_path, text(reflection=False))
        assert await answered(lambda: one.issue(subject="alice"))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_listener_that_comes_back_while_it_drains_serves(
    tmp_path: Path, transport: str
) -> None:
    back = {"address": "unix:x.sock", "services": ["validate"], "transport": transport}
    stays = {"address": "unix:admin.sock", "services": ["validate", "admin"]}
    both = configured(listeners=[stays, back])
    path = f"unix:{tmp_path}/x.sock"
    async with running(tmp_path, both) as one, grpc.aio.insecure_channel(path) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        assert await write_and_reload(one, tmp_path, configured(listeners=[stays]))
        assert await write_and_reload(one, tmp_path, both)
        assert await watch.code() is not grpc.StatusCode.OK
        async with grpc.aio.insecure_channel(path, OWN_CONNECTION) as other:
            request = messages.ValidateTokenRequest(token="a.b")
            answer = await TokenServiceStub(other).ValidateToken(
                request, wait_for_ready=True, timeout=20
            )
            assert_refused(answer, "TOKEN_MALFORMED")


async def test_http_keeps_its_connections_where_only_what_it_serves_changes(
    tmp_path: Path,
) -> None:
    def text(*serve: str) -> str:
        return configured(http={"address": "unix:http.sock", "serve": serve})

    async with running(tmp_path, text("health", "jwks")) as one:
        reader, writer = await asyncio.open_unix_connection(tmp_path / "http.sock")

        async def answer() -> bytes:
            writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split()[0])
            await reader.readexactly(length)
            return head.split()[1]

        assert await answer() == b"200"
        assert await write_and_reload(one, tmp_path, text("jwks"))
        assert await answer() == b"404"
        writer.close()


async def test_http_opens_moves_and_closes(tmp_path: Path) -> None:
    async def answers(path: str) -> bool:
        connector = aiohttp.UnixConnector(str(tmp_path / path))
        async with aiohttp.ClientSession(connector=connector) as session:
            try:
                async with session.get("http://x/livez") as response:
                    return response.status == 200
            except aiohttp.ClientConnectorError:
                return False

    async with running(tmp_path, configured()) as one:
        for address in ("one.sock", "two.sock"):
            text = configured(http={"address": f"unix:{address}"})
            assert await write_and_reload(one, tmp_path, text)
            assert await answers(address)
        assert not (tmp_path / "one.sock").exists()
        text = configured(http={"address": "unix:two.sock", "serve": ["jwks"]})
        assert await write_and_reload(one, tmp_path, text)
        assert not await answers("two.sock")
        assert await write_and_reload(one, tmp_path, configured())
        assert not (tmp_path / "two.sock").exists()


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_reload_under_load_drops_no_call_and_gives_no_wrong_answer(
    tmp_path: Path, transport: str
) -> None:
    """Two consumers come and go by turns; a third stays."""

    def text(turn: int) -> str:
        other = "odd" if turn % 2 else "even"
        listeners = [
            {
                "address": "unix:x.sock",
                "services": ["validate", "issue", "admin"],
                "transport": transport,
            }
        ]
        consumers = {"list": [consumer("stays"), consumer(other)]}
        return configured(listeners=listeners, consumers=consumers)

    async with running(tmp_path, text(0)) as one:
        steady = await one.issue(consumer="stays", lifetime={"seconds": 600})
        even = await one.issue(consumer="even")
        stop = False
        counts = {"steady": 0, "even": 0}

        async def ask() -> None:
            while not stop:
                assert_valid(await one.validate(steady))
                counts["steady"] += 1
                answer = await one.validate(even)
                if not answer.valid:
                    assert_refused(answer, "CONSUMER_UNKNOWN")
                counts["even"] += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(20):
                group.create_task(ask())
            turn = 0
            while turn < 8 or min(counts.values()) <= 50:
                turn += 1
                assert await write_and_reload(one, tmp_path, text(turn))
                answer = await one.validate(even)
                assert answer.valid is (turn % 2 == 0)
            stop = True


async def test_a_caller_that_does_not_wait_leaves_no_half_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def reading(*arguments: Any) -> Configuration:
        loop.call_soon_threadsafe(begun.set)
        return load(*arguments)

    async with running(tmp_path, configured()) as one:
        old = await one.issue(consumer="jack")
        monkeypatch.setattr(serve, "load", reading)
        text = configured("new.sock", jack="n" * 32)
        (tmp_path / "jwt-sidecar.yaml").write_text(text)
        call = AdminServiceStub(one.channel).ReloadConfig(admin.ReloadConfigRequest())
        await begun.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

        async def is_done() -> bool:
            return one.sidecar.engine.metrics.reloads["changed"] == 1

        await until(is_done)
        assert (tmp_path / "new.sock").exists()
        assert_refused(await one.validate(old), "SIGNATURE_INVALID")
        assert_valid(await one.validate(await one.issue(consumer="jack")))


class TestWatchedFiles:
    """Changes that nobody announces."""

    @pytest.fixture(autouse=True)
    def _often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watching, "INTERVAL", 0.02)

    @staticmethod
    async def until_refused(one: Running, token: str) -> None:
        async def refused() -> bool:
            return not (await one.validate(token)).valid

        await until(refused)

    async def test_a_rewritten_configuration(self, tmp_path: Path) -> None:
        async with running(tmp_path, configured()) as one:
            token = await one.issue(consumer="jack")
            (tmp_path / "jwt-sidecar.yaml").write_text(configured(jack="n" * 32))
            await self.until_refused(one, token)

    async def test_a_secret_in_a_mount_of_kubernetes(self, tmp_path: Path) -> None:
        for name, secret in (("1", "o" * 32), ("2", "n" * 32)):
            (tmp_path / name).mkdir()
            (tmp_path / name / "secret").write_text(secret)
        (tmp_path / "..data").symlink_to("1")
        (tmp_path / "secret").symlink_to("..data/secret")
        jack = {**consumer("jack"), "secret": {"file": "secret"}}
        async with running(tmp_path, configured(consumers={"list": [jack]})) as one:
            token = await one.issue(consumer="jack")
            (tmp_path / "..new").symlink_to("2")
            os.rename(tmp_path / "..new", tmp_path / "..data")
            await self.until_refused(one, token)
            assert_valid(await one.validate(await one.issue(consumer="jack")))

    async def test_a_broken_file_and_then_a_good_one(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with running(tmp_path, configured()) as one:
            token = await one.issue(consumer="jack")
            (tmp_path / "broken.yaml").write_text(configured()[:-20])
            (tmp_path / "broken.yaml").rename(tmp_path / "jwt-sidecar.yaml")

            async def told() -> bool:
                return bool((await status(one)).config_error)

            await until(told)
            assert_valid(await one.validate(token))
            await asyncio.sleep(10 * watching.INTERVAL)
            assert caplog.text.count("is not reloaded") == 1
            (tmp_path / "jwt-sidecar.yaml").write_text(configured(jack="n" * 32))

            async def told_no_more() -> bool:
                return not (await status(one)).config_error

            await until(told_no_more)
            assert_refused(await one.validate(token), "SIGNATURE_INVALID")

    async def test_a_consumers_file_that_goes_and_comes(self, tmp_path: Path) -> None:
        jack = consumer("jack")
        more = tmp_path / "more.yaml"
        more.write_text(json.dumps([jack]))
        async with running(tmp_path, configured(consumers={"file": "more.yaml"})) as one:
            token = await one.issue(consumer="jack")
            more.unlink()

            async def told() -> bool:
                return "more.yaml" in (await status(one)).config_error

            await until(told)
            assert_valid(await one.validate(token))
            more.write_text(json.dumps([{**jack, "disabled": True}]))
            await self.until_refused(one, token)


async def test_the_status_tells_keys_signers_and_configuration(tmp_path: Path) -> None:
    started = time.time()
    issuers = [
        {
            "name": "corp",
            "issuer": "https://corp.example",
            "keys": {"url": "http://127.0.0.1:1/jwks?token=MARKER", "required": False},
            "audiences": "*",
        }
    ]
    async with running(tmp_path, configured(issuers=issuers)) as one:

        async def has_failed() -> bool:
            return bool((await status(one)).issuers[0].fetch_error)

        await until(has_failed)
        said = await status(one)
        corp, internal = said.issuers
        assert (corp.name, corp.issuer, corp.source) == (
            "corp",
            "https://corp.example",
            "http://127.0.0.1:1/jwks",
        )
        assert not corp.keys
        assert not corp.HasField("fetch_time")
        assert corp.HasField("next_fetch_time")
        assert [(key.type, key.algorithm) for key in internal.keys] == [("EC", "ES256")]
        assert [one.name for one in said.signers] == ["internal"]
        assert said.signers[0].key_ids[0] == internal.keys[0].key_id
        assert said.start_time.seconds >= int(started)
        assert len(said.config_hash) == 64
        assert "MARKER" not in str(said)
        assert SECRET not in str(said)


async def test_keys_can_be_fetched_at_once(tmp_path: Path) -> None:
    issuers = [
        {
            "name": "corp",
            "issuer": "https://corp.example",
            "keys": {"url": "http://127.0.0.1:1/jwks", "required": False},
            "audiences": "*",
        }
    ]
    async with running(tmp_path, configured(issuers=issuers)) as one:
        stub = AdminServiceStub(one.channel)
        answer = await stub.RefreshKeys(admin.RefreshKeysRequest(issuer_name="corp"))
        assert answer.issuer.fetch_error
        answer = await stub.RefreshKeys(admin.RefreshKeysRequest(issuer_name="internal"))
        assert answer.issuer.keys
        with fails(PRECONDITION, "NOT_CONFIGURED"):
            await stub.RefreshKeys(admin.RefreshKeysRequest(issuer_name="nobody"))
        with fails(INVALID, "FIELD_INVALID", "issuer_name"):
            await stub.RefreshKeys(admin.RefreshKeysRequest())


async def test_the_status_tells_what_is_remembered_of_tokens(tmp_path: Path) -> None:
    async with running(tmp_path, configured()) as one:
        token = await one.issue(subject="alice")
        for _ in range(3):
            assert_valid(await one.validate(token))
        for _ in range(2):
            assert_refused(await one.validate(token[:-6] + "AAAAAA"), "SIGNATURE_INVALID")
        caches = {cache.name: cache for cache in (await status(one)).caches}
        assert (caches["tokens"].entries, caches["tokens"].hits) == (1, 2)
        assert (caches["refused"].entries, caches["refused"].hits) == (1, 1)
        assert caches["tokens"].capacity == 100_000
        cache = {"tokens": {"entries": 7}}
        assert await write_and_reload(one, tmp_path, configured(cache=cache))
        caches = {cache.name: cache for cache in (await status(one)).caches}
        assert (caches["tokens"].entries, caches["tokens"].capacity) == (0, 7)
        assert_valid(await one.validate(token))


async def test_a_reload_during_the_start_waits_for_its_end(tmp_path: Path) -> None:
    slow = [{"name": "s", "issuer": "https://s.example", "keys": [{"generate": "RS256"}]}]
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(configured("old.sock", signers=slow))
    sidecar = Sidecar(load(path, {}))
    path.write_text(configured("new.sock", signers=slow))
    early = asyncio.create_task(sidecar.reload())
    async with sidecar.serving():
        assert await early
        expected = [f"unix:{tmp_path}/{name}.sock" for name in ("admin", "new")]
        assert list(sidecar.addresses()) == expected


class TestCallsThatWaitForKeys:
    """A reload in the middle of a fetch."""

    @pytest.fixture
    async def provider(self) -> AsyncIterator[Provider]:
        async with providing() as one:
            yield one

    @staticmethod
    def text(provider: Provider, turn: int) -> str:
        keys = {"url": f"{provider.url}/jwks", "timeout": "30s", "unknown_key_interval": "0s"}
        corp = {"name": "corp", "issuer": "https://login.example", "audiences": "*", "keys": keys}
        return configured(issuers=[corp], jack=f"{turn:032}")

    @staticmethod
    def held(provider: Provider, *kids: str) -> tuple[asyncio.Event, asyncio.Event]:
        """When the provider is asked, and what lets it answer with these keys."""
        asked, released = asyncio.Event(), asyncio.Event()

        async def answer(_: web.Request) -> web.Response:
            asked.set()
            await released.wait()
            return web.json_response(jwks(*kids))

        provider.answer = answer
        return asked, released

    async def test_for_the_first_ones(self, tmp_path: Path, provider: Provider) -> None:
        asked, released = self.held(provider, "k1")
        async with running(tmp_path, self.text(provider, 0)) as one:
            call = asyncio.create_task(one.validate(mint("k1")))
            await asked.wait()
            for turn in range(1, 11):
                assert await write_and_reload(one, tmp_path, self.text(provider, turn))
            assert not call.done()
            released.set()
            assert_valid(await call)
        assert provider.requests == 1

    async def test_for_one_that_is_unknown(self, tmp_path: Path, provider: Provider) -> None:
        async with running(tmp_path, self.text(provider, 0)) as one:
            await one.sidecar.wait_until_ready()
            asked, released = self.held(provider, "k1", "k2")
            call = asyncio.create_task(one.validate(mint("k2")))
            await asked.wait()
            assert await write_and_reload(one, tmp_path, self.text(provider, 1))
            released.set()
            assert_valid(await call)
        assert provider.requests == 2

    async def test_for_an_issuer_that_is_removed(self, tmp_path: Path, provider: Provider) -> None:
        asked, _ = self.held(provider)
        async with running(tmp_path, self.text(provider, 0)) as one:
            await asked.wait()
            request = admin.RefreshKeysRequest(issuer_name="corp")
            refresh = asyncio.create_task(self.refresh(one, request))
            call = asyncio.create_task(one.validate(mint("k1")))
            assert await write_and_reload(one, tmp_path, configured())
            assert_refused(await call, "ISSUER_UNKNOWN")
            with fails(PRECONDITION, "NOT_CONFIGURED"):
                await refresh

    @staticmethod
    async def refresh(one: Running, request: admin.RefreshKeysRequest) -> object:
        return await AdminServiceStub(one.channel).RefreshKeys(request)
