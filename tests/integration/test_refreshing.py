"""Refresh tokens of a real sidecar: over gRPC, by the command, raced for, and over a kill."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import pytest

from sidecar.v1 import reason_pb2
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.integration.test_process import run, serving
from tests.running import (
    SECRET,
    TRANSPORTS,
    Running,
    assert_refused,
    assert_valid,
    fails,
    listener,
    running,
)

THREADS: Final = 50
REFRESHES: Final = 300
"""Traded in all while the process is killed again and again."""
KILLS: Final = 5


def configuration(grace: str = "10s", transport: str = "native") -> str:
    return f"""{listener(transport)}
store: {{url: 'sqlite:state.db'}}
signers:
  - name: internal
    issuer: https://tokens.example
    keys: [{{generate: ES256}}]
    scopes: [read, write]
    refresh: {{lifetime: 30d, idle_lifetime: 7d, grace: {grace}}}
    accept: true
  - {{name: plain, issuer: "https://plain.example", keys: [{{generate: ES256}}]}}
consumers:
  list: [{{name: jack, key: user-key, algorithm: HS256, secret: {{value: {SECRET}}}}}]
"""


@pytest.fixture(params=TRANSPORTS)
async def sidecar(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    async with running(tmp_path, configuration(transport=request.param)) as one:
        yield one


async def issue(sidecar: Running, **fields: Any) -> messages.IssueTokenResponse:
    fields = {"signer": "internal", "subject": "alice", "with_refresh_token": True, **fields}
    return await sidecar.tokens.IssueToken(messages.IssueTokenRequest(**fields))


async def refresh(sidecar: Running, token: str, *scopes: str) -> messages.RefreshTokenResponse:
    request = messages.RefreshTokenRequest(refresh_token=token, scopes=scopes)
    return await sidecar.tokens.RefreshToken(request)


def reason(answer: messages.RefreshTokenResponse) -> str:
    assert not answer.HasField("issued")
    return reason_pb2.Reason.Name(answer.reason)


async def test_a_refresh_token_is_traded_over_grpc(sidecar: Running) -> None:
    first = await issue(sidecar, scopes=["read", "write"])
    answer = await refresh(sidecar, first.refresh_token, "read")
    assert (answer.valid, answer.reason, answer.message) == (True, 0, "")
    token = assert_valid(await sidecar.validate(answer.issued.token))
    assert (token.subject, list(token.scopes)) == ("alice", ["read"])
    assert answer.issued.token_id == token.token_id != first.token_id
    lives = answer.issued.refresh_expire_time.seconds - answer.issued.issue_time.seconds
    assert lives in {7 * 86400, 7 * 86400 + 1}
    assert await refresh(sidecar, first.refresh_token, "read") == answer
    await refresh(sidecar, answer.issued.refresh_token)
    again = await refresh(sidecar, first.refresh_token)
    assert reason(again) == "REASON_REPLAYED"
    assert first.refresh_token not in again.message


@pytest.mark.parametrize(
    ("token", "expected"),
    [
        ("", "REASON_TOKEN_MISSING"),
        ("x", "REASON_TOKEN_MALFORMED"),
        ("jsr_" + "A" * 64, "REASON_EXPIRED"),
    ],
    ids=["none", "no refresh token", "unknown"],
)
async def test_a_token_at_fault_is_an_answer(sidecar: Running, token: str, expected: str) -> None:
    assert reason(await refresh(sidecar, token)) == expected


async def test_a_request_at_fault_is_an_error(sidecar: Running) -> None:
    with fails(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "scopes"):
        await refresh(sidecar, "x", "")


@pytest.mark.parametrize(
    "whose", [{"signer": "plain"}, {"signer": "", "consumer": "jack", "subject": "", "scopes": ()}]
)
async def test_who_issues_no_refresh_tokens_grants_none(
    sidecar: Running, whose: dict[str, Any]
) -> None:
    with fails(grpc.StatusCode.INVALID_ARGUMENT, "NOT_GRANTABLE", "with_refresh_token"):
        await issue(sidecar, **whose)
    plain = await issue(sidecar, **whose, with_refresh_token=False)
    assert (plain.refresh_token, plain.HasField("refresh_expire_time")) == ("", False)


async def test_a_refresh_token_is_no_access_token(sidecar: Running) -> None:
    first = await issue(sidecar)
    assert_refused(await sidecar.validate(first.refresh_token), "TOKEN_MALFORMED")


async def test_where_nobody_refreshes_the_call_says_so(tmp_path: Path) -> None:
    text = configuration().replace("refresh:", "# refresh:")
    async with running(tmp_path, text) as sidecar:
        with fails(grpc.StatusCode.FAILED_PRECONDITION, "NOT_CONFIGURED"):
            await refresh(sidecar, "x")


async def test_only_listeners_that_issue_refresh(tmp_path: Path) -> None:
    text = configuration().replace("services: [validate, issue]", "services: [validate]")
    async with running(tmp_path, text) as sidecar:
        with fails(grpc.StatusCode.PERMISSION_DENIED, "NOT_SERVED_HERE"):
            await refresh(sidecar, "x")


async def test_a_family_outlives_a_reload_that_takes_the_setting_away_and_gives_it_back(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, configuration()) as sidecar:
        first = await issue(sidecar)
        path = tmp_path / "jwt-sidecar.yaml"
        path.write_text(configuration().replace("refresh:", "# refresh:"))
        await sidecar.sidecar.reload()
        with fails(grpc.StatusCode.FAILED_PRECONDITION, "NOT_CONFIGURED"):
            await refresh(sidecar, first.refresh_token)
        path.write_text(configuration())
        await sidecar.sidecar.reload()
        assert (await refresh(sidecar, first.refresh_token)).valid


async def revoke(sidecar: Running, **target: Any) -> messages.RevokeTokenResponse:
    return await sidecar.tokens.RevokeToken(messages.RevokeTokenRequest(**target))


async def test_a_revoked_family_takes_its_access_token_along(
    sidecar: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    first, other = await issue(sidecar), await issue(sidecar)
    latest = (await refresh(sidecar, first.refresh_token)).issued
    assert_valid(await sidecar.validate(latest.token))
    began = time.time()
    answer = await revoke(sidecar, refresh_token=first.refresh_token, note="signed out")
    assert began <= answer.revoke_time.ToNanoseconds() / 1e9 <= time.time()
    assert_refused(await sidecar.validate(latest.token), "REVOKED", latest.token_id)
    for token in (first, latest):
        assert reason(await refresh(sidecar, token.refresh_token)) == "REASON_REVOKED"
    assert_valid(await sidecar.validate(other.token))
    await revoke(sidecar, refresh_token=latest.refresh_token)
    lines = [one.getMessage() for one in caplog.records if one.name == "sidecar.api.revoking"]
    assert lines[0] == (
        'revoked the refresh tokens of a family of subject "alice" of signer internal, and its '
        f'access token with the jti "{latest.token_id}"; note: "signed out"'
    )
    assert first.refresh_token not in caplog.text
    assert sidecar.sidecar.engine.metrics.revocations == {"refresh_token": 2}


async def test_a_refresh_token_used_again_takes_the_access_token_along(tmp_path: Path) -> None:
    async with running(tmp_path, configuration(grace="0s")) as sidecar:
        first = await issue(sidecar)
        latest = (await refresh(sidecar, first.refresh_token)).issued
        assert_valid(await sidecar.validate(latest.token))
        assert reason(await refresh(sidecar, first.refresh_token)) == "REASON_REPLAYED"
        assert_refused(await sidecar.validate(latest.token), "REVOKED", latest.token_id)


async def test_a_revoked_subject_gets_no_new_token_by_an_older_refresh_token(
    sidecar: Running,
) -> None:
    first = await issue(sidecar)
    other = await issue(sidecar, subject="bob")
    subject = messages.SubjectReference(issuer="https://tokens.example", subject="alice")
    subject.issued_before.FromSeconds(first.issue_time.seconds + 1)
    await revoke(sidecar, subject=subject)
    assert reason(await refresh(sidecar, first.refresh_token)) == "REASON_REVOKED"
    assert (await refresh(sidecar, other.refresh_token)).valid


async def test_to_revoke_an_unknown_refresh_token_is_a_success(
    sidecar: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """RFC 7009, section 2.2: what the caller wants, that it does not work, is so."""
    caplog.set_level("INFO")
    await revoke(sidecar, refresh_token="jsr_" + "A" * 64)
    assert "a refresh token that is not known was revoked: it did not work" in caplog.text
    assert sidecar.sidecar.engine.metrics.revocations == {}


async def test_what_is_no_refresh_token_is_not_revoked(sidecar: Running) -> None:
    with fails(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", "refresh_token"):
        await revoke(sidecar, refresh_token="x")


@contextmanager
def connected(directory: Path) -> Iterator[TokenServiceStub]:
    """The sidecar in this directory, for calls that block."""
    with grpc.insecure_channel(f"unix:{directory / 's.sock'}") as channel:
        yield TokenServiceStub(channel)


def raced(directory: Path) -> list[messages.RefreshTokenResponse]:
    """The answers to as many threads that use one refresh token, each with a channel of its own."""
    with connected(directory) as stub:
        order = messages.IssueTokenRequest(
            signer="internal", subject="alice", with_refresh_token=True
        )
        token = stub.IssueToken(order, timeout=20).refresh_token

    def trade(_: int) -> messages.RefreshTokenResponse:
        with connected(directory) as stub:
            request = messages.RefreshTokenRequest(refresh_token=token)
            return stub.RefreshToken(request, timeout=20)

    with ThreadPoolExecutor(THREADS) as threads:
        return list(threads.map(trade, range(THREADS)))


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_of_fifty_threads_one_wins_and_all_get_its_answer(
    tmp_path: Path, transport: str
) -> None:
    async with running(tmp_path, configuration(transport=transport)) as sidecar:
        answers = await asyncio.to_thread(raced, tmp_path)
        assert all(one.valid for one in answers)
        (successor,) = {one.issued.refresh_token for one in answers}
        assert len({one.issued.token for one in answers}) == 1
        assert (await refresh(sidecar, successor)).valid


async def test_of_fifty_threads_without_grace_one_wins_and_nothing_works_any_more(
    tmp_path: Path,
) -> None:
    async with running(tmp_path, configuration(grace="0s")) as sidecar:
        answers = await asyncio.to_thread(raced, tmp_path)
        (won,) = [one for one in answers if one.valid]
        others = [reason(one) for one in answers if not one.valid]
        assert sorted(others) == ["REASON_REPLAYED"] + ["REASON_REVOKED"] * (THREADS - 2)
        assert reason(await refresh(sidecar, won.issued.refresh_token)) == "REASON_REVOKED"


async def test_the_command_prints_both_tokens_and_trades_them(tmp_path: Path) -> None:
    (tmp_path / "jwt-sidecar.yaml").write_text(configuration())
    at = ("--address", f"unix://{tmp_path / 's.sock'}")
    who = ("--signer", "internal", "--subject", "alice", "--scope", "read", "--scope", "write")
    async with serving(tmp_path / "jwt-sidecar.yaml"):
        status, out, _ = await run("issue", *who, "--refresh", *at)
        token, first = out.splitlines()
        assert (status, token.count("."), first[:4]) == (0, 2, "jsr_")
        status, out, _ = await run("refresh", "-", "--scope", "read", *at, stdin=first + "\n")
        assert status == 0
        token, second = out.splitlines()
        status, said, _ = await run("validate", token, *at)
        assert (status, "scopes    read\n" in said) == (0, True)
        assert (await run("refresh", second, *at))[0] == 0
        status, said, _ = await run("refresh", first, *at)
        assert (status, said.splitlines()[0]) == (1, "refused: REPLAYED")
        status, said, _ = await run("refresh", second, *at)
        assert (status, said.splitlines()[0]) == (1, "refused: REVOKED")
        _, out, _ = await run("issue", *who, "--refresh", *at)
        token, first = out.splitlines()
        status, out, _ = await run("revoke", "--refresh-token", "-", *at, stdin=first + "\n")
        assert (status, out[:14]) == (0, "revoked since ")
        for command, text in (("refresh", first), ("validate", token)):
            status, said, _ = await run(command, text, *at)
            assert (status, said.splitlines()[0]) == (1, "refused: REVOKED")


class Client:
    """Trades its refresh token again and again, and keeps what it was answered."""

    def __init__(self, token: str, answers: asyncio.Semaphore) -> None:
        self.token = token
        self.answered = 0
        self._answers = answers

    async def trade(self, stub: Any) -> None:
        """Once, with the token of the last answer; raises where no answer comes."""
        answer = await stub.RefreshToken(
            messages.RefreshTokenRequest(refresh_token=self.token), timeout=10
        )
        assert answer.valid, answer.message
        self.token = answer.issued.refresh_token
        self.answered += 1
        self._answers.release()

    async def until_lost(self, stub: Any) -> None:
        while True:
            try:
                await self.trade(stub)
            except grpc.aio.AioRpcError:
                return


async def test_over_kills_every_answered_token_works_and_none_is_half_there(
    tmp_path: Path,
) -> None:
    path, chance = tmp_path / "jwt-sidecar.yaml", random.Random(7)  # noqa: S311
    path.write_text(configuration(grace="5m"))
    clients: list[Client] = []
    answers, kills = asyncio.Semaphore(0), 0
    while kills < KILLS or sum(one.answered for one in clients) < REFRESHES:
        async with (
            serving(path) as child,
            grpc.aio.insecure_channel(f"unix:{tmp_path / 's.sock'}") as channel,
        ):
            stub: Any = TokenServiceStub(channel)
            while len(clients) < 8:
                order = messages.IssueTokenRequest(
                    signer="internal", subject="alice", with_refresh_token=True
                )
                first = await stub.IssueToken(order)
                clients.append(Client(first.refresh_token, answers))
            for one in clients:
                await one.trade(stub)
            trading = [asyncio.create_task(one.until_lost(stub)) for one in clients]
            for _ in range(chance.randrange(len(clients) + 1, 140)):
                await answers.acquire()
            child.send_signal(signal.SIGKILL)
            await asyncio.gather(*trading)
            await child.wait()
            kills += 1
    print(f"{sum(one.answered for one in clients)} refreshes answered over {kills} kills")
    async with (
        serving(path),
        grpc.aio.insecure_channel(f"unix:{tmp_path / 's.sock'}") as channel,
    ):
        stub = TokenServiceStub(channel)
        for one in clients:
            await one.trade(stub)
