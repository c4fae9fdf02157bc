"""Wall clocks that jump, in real processes: what was used or revoked stays so.

libfaketime moves the wall clock of the sidecar. Monotonic time goes on.
"""

import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import jwt
import pytest

from deploy.demo.stage import sidecar
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.proofs import METHOD, TARGET, dpop, thumbprint
from tests.redis_servers import redis_server
from tests.running import SECRET, assert_refused, assert_valid

LIBRARY: Final = "libfaketimeMT.so.1"
FOUND: Final = next(Path("/usr/lib").glob(f"**/faketime/{LIBRARY}"), None)
DAYS: Final = 2 * 86400

pytestmark = pytest.mark.skipif(
    FOUND is None, reason="needs libfaketime (Debian and Ubuntu: apt install faketime)"
)


class WallClock:
    """The wall clock of the processes that are started with its environment."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.ahead = 0
        self.set(0)

    @contextmanager
    def in_environment(self) -> Iterator[None]:
        """What is started inside the block has this clock."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LD_PRELOAD", str(FOUND))
            patch.setenv("FAKETIME_TIMESTAMP_FILE", str(self._file))
            patch.setenv("FAKETIME_NO_CACHE", "1")
            patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            yield

    def set(self, ahead: int) -> None:
        """Let it be wrong by so many seconds, for whoever looks at it next."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead:+d}s\n")
        new.replace(self._file)
        self.ahead = ahead

    def now(self) -> int:
        return int(time.time()) + self.ahead


class Client:
    """Calls a sidecar, with tokens and proofs that are good by a clock."""

    def __init__(self, channel: grpc.aio.Channel, clock: WallClock) -> None:
        self._stub = TokenServiceStub(channel)
        self.clock = clock
        self._made = 0

    def token(self, issuer: str, **claims: Any) -> str:
        now, self._made = self.clock.now(), self._made + 1
        said = {"iss": issuer, "aud": "shop", "iat": now - 1, "exp": now + 900, **claims}
        return jwt.encode({"jti": f"{now} {self._made}", **said}, SECRET, "HS256")

    def one_time(self) -> str:
        return self.token("https://once.example")

    def proof(self, token: str) -> messages.ProofOfPossession:
        self._made += 1
        made = dpop(token, iat=self.clock.now(), jti=f"{self.clock.now()} {self._made}")
        return messages.ProofOfPossession(dpop=made, http_method=METHOD, http_uri=TARGET)

    async def validate(
        self, token: str, proof: messages.ProofOfPossession | None = None
    ) -> messages.ValidateTokenResponse:
        request = messages.ValidateTokenRequest(token=token, proof=proof)
        return await self._stub.ValidateToken(request)

    async def revoke(self, token: str) -> None:
        await self._stub.RevokeToken(messages.RevokeTokenRequest(token=token))

    async def refresh(self, token: str) -> messages.RefreshTokenResponse:
        return await self._stub.RefreshToken(messages.RefreshTokenRequest(refresh_token=token))

    async def issue(self) -> messages.IssueTokenResponse:
        request = messages.IssueTokenRequest(subject="alice", with_refresh_token=True)
        return await self._stub.IssueToken(request)


class Machine:
    """Where a sidecar runs, time and again, with one store."""

    def __init__(self, directory: Path, clock: WallClock, store: str, workers: int) -> None:
        self.clock = clock
        self._directory = directory
        self._configuration = directory / "jwt-sidecar.yaml"
        issuer = {"keys": {"secret": {"value": SECRET}}, "algorithms": ["HS256"]}
        document = {
            "workers": workers,
            "listeners": [{"address": "unix:s.sock", "services": ["validate", "issue"]}],
            "issuers": [
                {"name": "corp", "issuer": "https://corp.example", "audiences": ["shop"], **issuer},
                {
                    "name": "once",
                    "issuer": "https://once.example",
                    "audiences": ["shop"],
                    "one_time": True,
                    **issuer,
                },
            ],
            "signers": [
                {
                    "name": "internal",
                    "issuer": "https://tokens.example",
                    "keys": [{"generate": "ES256"}],
                    "accept": True,
                    "refresh": {"lifetime": "1h", "grace": "0s"},
                }
            ],
            "shutdown": {"drain": "0s", "grace": "1s"},
            **({"store": {"url": store}} if store else {}),
        }
        self._configuration.write_text(json.dumps(document))

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Client]:
        async with AsyncExitStack() as stack:
            with self.clock.in_environment():
                await stack.enter_async_context(sidecar(self._configuration))
            channel = grpc.aio.insecure_channel(f"unix:{self._directory / 's.sock'}")
            yield Client(await stack.enter_async_context(channel), self.clock)


class Used:
    """What is used up and revoked at first, and must stay so."""

    def __init__(self, client: Client) -> None:
        self.once = client.one_time()
        self.revoked = client.token("https://corp.example")
        self.bound = client.token("https://corp.example", cnf={"jkt": thumbprint()})
        self.proof = client.proof(self.bound)
        self.refresh = ""

    async def use(self, client: Client) -> None:
        assert_valid(await client.validate(self.once))
        assert_valid(await client.validate(self.bound, self.proof))
        assert_valid(await client.validate(self.revoked))
        await client.revoke(self.revoked)
        self.refresh = (await client.issue()).refresh_token
        assert (await client.refresh(self.refresh)).valid

    async def check(self, client: Client, proofs: bool = True) -> None:
        assert_refused(await client.validate(self.once), "REPLAYED")
        assert_refused(await client.validate(self.revoked), "REVOKED")
        if proofs:
            assert_refused(await client.validate(self.bound, self.proof), "REPLAYED")
        assert not (await client.refresh(self.refresh)).valid


async def be_busy(client: Client) -> None:
    """Use and revoke other things: with each, a store may remove what has expired.

    By a clock that was set back not all may be used: what is so old may have been forgotten.
    """
    for _ in range(3):
        bound = client.token("https://corp.example", cnf={"jkt": thumbprint()})
        answers = [
            await client.validate(client.one_time()),
            await client.validate(bound, client.proof(bound)),
        ]
        assert client.clock.ahead < 0 or all(one.valid for one in answers), answers
        await client.revoke(client.token("https://corp.example"))
        await client.issue()


@pytest.fixture
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """A machine; Redis, if it is its store, runs on another one, whose clock is right.

    libfaketime can't be loaded into it; that Redis's clock alone removes nothing either is shown in
    the tests of all stores.
    """
    store, workers = request.param
    clock = WallClock(tmp_path / "clock")
    if store != "redis":
        yield Machine(tmp_path, clock, store, workers)
        return
    with redis_server(tmp_path / "redis") as server:
        yield Machine(tmp_path, clock, server.url, workers)


@pytest.mark.parametrize(
    ("machine", "jump"),
    [
        pytest.param(("", 1), DAYS, id="memory, ahead"),
        pytest.param(("", 1), -DAYS, id="memory, back"),
        pytest.param(("sqlite:state.db", 1), DAYS, id="sqlite, ahead"),
        pytest.param(("sqlite:state.db", 1), -DAYS, id="sqlite, back"),
        # Workers start slowly under a clock that is faked.
        pytest.param(("sqlite:state.db", 2), DAYS, id="workers on sqlite, ahead"),
        pytest.param(("redis", 1), DAYS, id="redis, ahead"),
        pytest.param(("redis", 1), -DAYS, id="redis, back"),
    ],
    indirect=["machine"],
)
async def test_in_a_process_whose_clock_jumps_all_stays_used(machine: Machine, jump: int) -> None:
    async with machine.serving() as client:
        used = Used(client)
        await used.use(client)
        machine.clock.set(jump)
        await be_busy(client)
        machine.clock.set(0)
        await be_busy(client)
        await used.check(client)


@pytest.mark.parametrize("machine", [("sqlite:state.db", 1), ("redis", 1)], indirect=True)
async def test_over_a_restart_while_the_clock_is_ahead_all_stays_used(machine: Machine) -> None:
    async with machine.serving() as client:
        used = Used(client)
        await used.use(client)
    machine.clock.set(DAYS)
    async with machine.serving() as client:
        await be_busy(client)
    machine.clock.set(0)
    async with machine.serving() as client:
        await used.check(client, proofs=False)
