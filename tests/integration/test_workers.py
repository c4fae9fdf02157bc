"""Several worker processes that serve as one: real processes, sockets and signals."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest
from grpc_health.v1 import health_pb2

from deploy.demo.stage import free_port
from sidecar.v1 import reason_pb2
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.integration.test_metrics import Samples, labelled, scraped
from tests.proofs import METHOD, TARGET, dpop, thumbprint
from tests.redis_servers import redis_server
from tests.running import TRANSPORTS, assert_refused, assert_valid
from tests.tokens import decode

ISS = "https://tokens.example"
COMMAND = (sys.executable, "-m", "sidecar", "serve", "--config")
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


def configured(address: str, transport: str = "native", **sections: Any) -> str:
    document = {
        "workers": 3,
        "listeners": [
            {
                "address": address,
                "services": ["validate", "issue"],
                "transport": transport,
                "unauthenticated": not address.startswith("unix:"),
            }
        ],
        "http": {"address": "unix:http.sock"},
        "signers": [
            {
                "name": "internal",
                "issuer": ISS,
                "keys": [{"generate": "ES256"}],
                "claims": {"env": "prod"},
                "accept": True,
            }
        ],
        "store": {"url": "sqlite:state.db", "max_staleness": "500ms"},
        "shutdown": {"drain": "0s", "grace": "2s"},
        **sections,
    }
    return json.dumps(document)


@dataclass(frozen=True)
class Serving:
    """A supervisor that has said that it is ready."""

    process: asyncio.subprocess.Process
    directory: Path
    address: str
    places: Path
    """Where it makes the directory for its workers' sockets."""
    log: Path

    def workers(self) -> set[int]:
        """The ids of their processes."""
        pid = self.process.pid
        return {int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    async def decisions(self) -> dict[int, float]:
        """How many each worker has made, by its number; those that don't answer are left out."""
        found = {}
        for path in self.places.glob("*/*-counts.sock"):
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_unix_connection(path)
                counts = {one["name"]: one["samples"] for one in json.loads(await reader.read())}
                writer.close()
                made = sum(value for _, _, value in counts["jwt_sidecar_decisions"])
                found[int(path.name.partition("-")[0])] = made
        return found

    @asynccontextmanager
    async def channels(self, number: int) -> AsyncIterator[list[grpc.aio.Channel]]:
        """Connections of their own, made one after the other."""
        async with AsyncExitStack() as stack:
            channels = []
            for _ in range(number):
                channel = grpc.aio.insecure_channel(self.address, OWN_CONNECTION)
                channels.append(await stack.enter_async_context(channel))
                await channel.channel_ready()
            yield channels

    async def answered(self) -> None:
        """One call over a new connection, which a worker must answer."""
        async with grpc.aio.insecure_channel(self.address, OWN_CONNECTION) as channel:
            await validate(channel, "")


@pytest.fixture
def places() -> Iterator[Path]:
    """A directory whose path is short enough for sockets below it."""
    path = Path(tempfile.mkdtemp(prefix="w", dir="/tmp"))
    yield path
    shutil.rmtree(path)


EACH = [("unix", "native"), ("tcp", "grpcio")]
"""Each kind of address and each transport once, where they make no difference together."""
ALL = pytest.mark.parametrize(
    "text",
    [(kind, one) for kind in ("unix", "tcp") for one in TRANSPORTS],
    ids="-".join,
    indirect=True,
)


@pytest.fixture(params=EACH, ids="-".join)
def text(request: pytest.FixtureRequest) -> str:
    kind, transport = request.param
    return configured(address_of(kind), transport)


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, str]]:
    """What workers have in common."""
    if request.param == "sqlite":
        yield {"url": "sqlite:state.db", "max_staleness": "500ms"}
        return
    with redis_server(tmp_path / "redis") as server:
        yield {"url": server.url, "max_staleness": "500ms"}


def address_of(kind: str) -> str:
    return "unix:s.sock" if kind == "unix" else f"127.0.0.1:{free_port()}"


@asynccontextmanager
async def serving(directory: Path, places: Path, text: str) -> AsyncIterator[Serving]:
    path, log = directory / "jwt-sidecar.yaml", directory / "log"
    path.write_text(text)
    with log.open("wb") as err:
        child = await asyncio.create_subprocess_exec(
            *COMMAND,
            str(path),
            stdout=asyncio.subprocess.PIPE,
            stderr=err,
            env={**os.environ, "TMPDIR": str(places)},
            start_new_session=True,
        )
    assert child.stdout
    line = (await child.stdout.readline()).decode()
    assert re.match(r"jwt-sidecar \S+ is ready on .* with \d+ workers$", line), log.read_text()
    address = json.loads(text)["listeners"][0]["address"]
    if address.startswith("unix:"):
        address = f"unix:{directory / address.removeprefix('unix:')}"
    try:
        yield Serving(child, directory, address, places, log)
    finally:
        with contextlib.suppress(ProcessLookupError):
            child.terminate()
        try:
            await asyncio.wait_for(child.wait(), 20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


async def run(directory: Path, places: Path, text: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a `serve` that ends by itself."""
    path = directory / "other.yaml"
    path.write_text(text)
    child = await asyncio.create_subprocess_exec(
        *COMMAND,
        str(path),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "TMPDIR": str(places)},
    )
    out, err = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


async def validate(
    channel: grpc.aio.Channel, token: str, **fields: Any
) -> messages.ValidateTokenResponse:
    request = messages.ValidateTokenRequest(token=token, **fields)
    return await TokenServiceStub(channel).ValidateToken(request)


async def issue(channel: grpc.aio.Channel, **fields: Any) -> str:
    request = messages.IssueTokenRequest(subject="alice", **fields)
    return (await TokenServiceStub(channel).IssueToken(request)).token


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():  # noqa: ASYNC110 - the state of another party
            await asyncio.sleep(0.02)


def is_there(pid: int) -> bool:
    """Whether a process runs; one that nobody has asked for its status does not."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@ALL
async def test_calls_are_spread_and_a_token_of_one_holds_in_all(
    tmp_path: Path, places: Path, text: str
) -> None:
    async with serving(tmp_path, places, text) as one, one.channels(30) as channels:
        tokens = [await issue(channel) for channel in channels]
        for token, channel in zip(reversed(tokens), channels, strict=True):
            assert_valid(await validate(channel, token))
        made = await one.decisions()
        assert made.keys() == {1, 2, 3}
        assert min(made.values()) > 0
        if one.address.startswith("unix:"):
            assert set(made.values()) == {10}


async def test_what_is_revoked_at_one_is_refused_by_all(
    tmp_path: Path, places: Path, store: dict[str, str]
) -> None:
    text = configured("unix:s.sock", store=store)
    async with serving(tmp_path, places, text) as one, one.channels(12) as channels:
        token = await issue(channels[0])
        for channel in channels:
            assert_valid(await validate(channel, token))
        await TokenServiceStub(channels[0]).RevokeToken(messages.RevokeTokenRequest(token=token))
        assert_refused(await validate(channels[0], token), "REVOKED")

        async def all_refuse() -> bool:
            return not any([(await validate(channel, token)).valid for channel in channels])

        await until(all_refuse)
        for channel in channels:
            assert_refused(await validate(channel, token), "REVOKED")


async def test_metrics_are_the_exact_sums(tmp_path: Path, places: Path, text: str) -> None:
    async with serving(tmp_path, places, text) as one, one.channels(9) as channels:
        token = await issue(channels[0])
        for count, channel in enumerate(channels, start=1):
            await asyncio.gather(*(validate(channel, token) for _ in range(count)))
        for _ in range(4):  # over a connection each, so that every worker is asked
            samples = await scraped_of_all(tmp_path)
            decided = {"surface": "grpc", "issuer": "internal", "reason": "OK"}
            assert samples[labelled("decisions_total", **decided)] == 45
            assert samples[labelled("decision_seconds_count", surface="grpc")] == 45
            assert samples[labelled("decision_seconds_bucket", surface="grpc", le="+Inf")] == 45
            assert samples[labelled("tokens_issued_total", signer="internal")] == 1
            assert len([name for name, _ in samples if name == "jwt_sidecar_build_info"]) == 1
        assert sum((await one.decisions()).values()) == 45


async def scraped_of_all(directory: Path) -> Samples:
    """The metrics with those of each worker: one that does not answer in time is left out."""
    async with asyncio.timeout(30):
        while (samples := await scraped(directory))[labelled("workers")] != 3:
            pass
        return samples


async def test_a_refresh_token_is_traded_once_in_all_workers_together(
    tmp_path: Path, places: Path, store: dict[str, str]
) -> None:
    """The second to use it gets nothing, and takes the whole family along."""
    signer = {"name": "internal", "issuer": ISS, "keys": [{"generate": "ES256"}], "accept": True}
    refreshing = {**signer, "refresh": {"lifetime": "1h", "grace": "0s"}}
    text = configured("unix:s.sock", store=store, signers=[refreshing])
    async with serving(tmp_path, places, text) as one, one.channels(6) as channels:
        order = messages.IssueTokenRequest(subject="alice", with_refresh_token=True)
        issued = await TokenServiceStub(channels[0]).IssueToken(order)
        request = messages.RefreshTokenRequest(refresh_token=issued.refresh_token)
        answers = await asyncio.gather(
            *(TokenServiceStub(channel).RefreshToken(request) for channel in channels)
        )
        assert [answer.valid for answer in answers].count(True) == 1
        for channel in channels:
            assert not (await TokenServiceStub(channel).RefreshToken(request)).valid


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_proof_passes_once_in_all_workers_together(
    tmp_path: Path, places: Path, transport: str, store: dict[str, str]
) -> None:
    bound = json.dumps({"cnf": {"jkt": thumbprint()}})
    async with (
        serving(tmp_path, places, configured("unix:s.sock", transport, store=store)) as one,
        one.channels(6) as channels,
    ):
        token = await issue(channels[0], claims_json=bound)
        for number in range(10):
            proof = messages.ProofOfPossession(
                dpop=dpop(token, iat=int(time.time()), jti=f"proof-{number}"),
                http_method=METHOD,
                http_uri=TARGET,
            )
            answers = await asyncio.gather(
                *(validate(channel, token, proof=proof) for channel in channels * 2)
            )
            assert [answer.valid for answer in answers].count(True) == 1
            refused = {answer.reason for answer in answers if not answer.valid}
            assert refused == {reason_pb2.REASON_REPLAYED}
            assert_refused(await validate(channels[number % 6], token, proof=proof), "REPLAYED")
        assert min((await one.decisions()).values()) > 0


@ALL
async def test_a_killed_worker_comes_back_and_the_others_answer_on(
    tmp_path: Path, places: Path, text: str
) -> None:
    async with serving(tmp_path, places, text) as one:
        before = one.workers()
        assert len(before) == 3
        killed = min(before)
        os.kill(killed, signal.SIGKILL)
        await until(lambda: reaped(one, killed))

        async def is_back() -> bool:
            await one.answered()
            return len(await one.decisions()) == 3

        await until(is_back)
        assert len(one.workers() - before) == 1
        assert one.process.returncode is None
        assert "was ended by SIGKILL; it is started again in 0.1 s" in one.log.read_text()
        await scraped_of_all(tmp_path)


async def reaped(one: Serving, pid: int) -> bool:
    return pid not in one.workers()


async def gone(pid: int) -> bool:
    return not is_there(pid)


async def test_without_the_supervisor_no_worker_is_left(
    tmp_path: Path, places: Path, text: str
) -> None:
    async with serving(tmp_path, places, text) as one:
        workers = one.workers()
        one.process.kill()
        await one.process.wait()
        for pid in workers:
            await until(lambda pid=pid: gone(pid))  # type: ignore[misc]
    assert list(places.iterdir()) == []


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_all_and_leaves_nothing_behind(
    tmp_path: Path, places: Path, text: str, by: signal.Signals
) -> None:
    async with serving(tmp_path, places, text) as one:
        workers = one.workers()
        (private,) = places.glob("jwt-sidecar-*")
        assert private.stat().st_mode & 0o777 == 0o700
        one.process.send_signal(by)
        assert await one.process.wait() == 0
        assert not any(is_there(pid) for pid in workers)
    assert list(places.iterdir()) == []
    assert not list(tmp_path.glob("*.sock"))
    assert "Traceback" not in one.log.read_text()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
async def test_a_signal_to_every_process_is_one_signal_and_a_second_ends_all(
    tmp_path: Path, places: Path, kind: str
) -> None:
    """As a service manager and a terminal send them."""
    text = configured(address_of(kind), shutdown={"drain": "1m", "grace": "1m"})
    async with serving(tmp_path, places, text) as one, one.channels(3) as channels:
        watches: list[Any] = [
            channel.unary_stream(
                "/grpc.health.v1.Health/Watch",
                health_pb2.HealthCheckRequest.SerializeToString,
                health_pb2.HealthCheckResponse.FromString,
            )(health_pb2.HealthCheckRequest())
            for channel in channels
        ]
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        os.killpg(one.process.pid, signal.SIGTERM)
        for watch in watches:
            assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        for channel in channels:
            assert_refused(await validate(channel, "a.b"), "TOKEN_MALFORMED")
        assert len(one.workers()) == 3
        one.process.terminate()
        assert await one.process.wait() == 0


async def test_sighup_reloads_every_worker(tmp_path: Path, places: Path) -> None:
    text = configured("unix:s.sock")
    async with serving(tmp_path, places, text) as one, one.channels(3) as channels:
        (tmp_path / "jwt-sidecar.yaml").write_text(text.replace('"prod"', '"test"'))
        one.process.send_signal(signal.SIGHUP)

        async def all_have_changed() -> bool:
            tokens = [await issue(channel) for channel in channels]
            return {json.loads(decode(one.split(".")[1]))["env"] for one in tokens} == {"test"}

        await until(all_have_changed)
        lines = [json.loads(line) for line in one.log.read_text().splitlines()]
        told = [one["worker"] for one in lines if one["message"].startswith("SIGHUP")]
        assert sorted(told) == [1, 2, 3]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        pytest.param({"workers": 2}, "workers can't change", id="workers"),
        pytest.param({"store": {"url": "sqlite:b.db"}}, "store.url can't change", id="store"),
        pytest.param({"http": {"address": "unix:b.sock"}}, "an address or mode", id="address"),
    ],
)
async def test_what_can_t_change_is_refused_by_all_and_by_one_that_starts_anew(
    tmp_path: Path, places: Path, changes: dict[str, Any], words: str
) -> None:
    async with serving(tmp_path, places, configured("unix:s.sock")) as one:
        (tmp_path / "jwt-sidecar.yaml").write_text(configured("unix:s.sock", **changes))
        one.process.send_signal(signal.SIGHUP)
        await until(lambda: logged(one.log, f"the old one stays: {words}", 3))
        os.kill(min(one.workers()), signal.SIGKILL)
        await until(lambda: logged(one.log, f"ended with status 2: {words}", 2))
        assert_that_it_says_restart(one.log)
        await one.answered()
        (tmp_path / "jwt-sidecar.yaml").write_text(configured("unix:s.sock"))

        async def is_back() -> bool:
            return len(await one.decisions()) == 3

        await until(is_back)


async def logged(log: Path, words: str, times: int) -> bool:
    return log.read_text().count(words) >= times


def assert_that_it_says_restart(log: Path) -> None:
    assert "while the sidecar runs: restart it" in log.read_text()


@pytest.mark.parametrize("workers", [1, 3])
async def test_an_address_that_another_has_is_refused_once(
    tmp_path: Path, places: Path, text: str, workers: int
) -> None:
    """Another one with several workers too, though it would bind the same port."""
    async with serving(tmp_path, places, text) as one:
        other = {**json.loads(text), "workers": workers, "http": {"address": "unix:other.sock"}}
        status, out, error = await run(tmp_path, places, json.dumps(other))
        assert (status, out) == (2, "")
        words = "in use by another" if one.address.startswith("unix") else os.strerror(98)
        assert error.count(words) == 1
        await one.answered()
    assert list(places.iterdir()) == []


async def test_a_store_that_can_t_be_opened_is_told_once(tmp_path: Path, places: Path) -> None:
    text = configured("unix:s.sock", store={"url": "sqlite:none/state.db"})
    status, out, error = await run(tmp_path, places, text)
    assert (status, out) == (2, "")
    assert error.count("none/state.db") == 1, error
    assert len(error.splitlines()) == 1
    assert list(places.iterdir()) == []
    assert not list(tmp_path.glob("*.sock"))


async def test_a_broken_configuration_is_told_once(tmp_path: Path, places: Path) -> None:
    status, out, error = await run(tmp_path, places, configured("unix:s.sock", store={}))
    assert (status, out) == (2, "")
    assert error.count("store.url: is missing") == 1


async def test_without_a_directory_for_the_sockets_it_says_what_helps(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    status, _, error = await run(tmp_path, deep, configured("unix:s.sock"))
    assert (status, "set TMPDIR to a shorter one" in error) == (2, True)
    assert list(deep.iterdir()) == []


FORWARDED = {
    "x-forwarded-method": "GET",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "shop.example",
    "x-forwarded-uri": "/",
}


async def test_http_is_spread_too(tmp_path: Path, places: Path) -> None:
    port = free_port()
    text = configured("unix:s.sock", http={"address": f"127.0.0.1:{port}", "serve": ["check"]})
    async with serving(tmp_path, places, text) as one:
        for _ in range(40):
            async with (
                aiohttp.ClientSession() as client,
                client.get(f"http://127.0.0.1:{port}/check", headers=FORWARDED) as answer,
            ):
                assert answer.status == 401
        made = await one.decisions()
    assert sum(made.values()) == 40
    assert min(made.values()) > 0


async def test_the_supervisor_loads_no_grpc(tmp_path: Path, places: Path) -> None:
    """It serves nothing, so its memory is to be small."""
    async with serving(tmp_path, places, configured("unix:s.sock")) as one:
        loaded = Path(f"/proc/{one.process.pid}/maps").read_text()
        assert "cryptography" in loaded
        assert "grpc" not in loaded
        assert "sqlite" not in loaded
