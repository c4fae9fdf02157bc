"""Revocation by real sidecars on real files: in effect at once, and there after whatever comes."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest

from deploy.demo.stage import process
from sidecar.token.revocation import LONGEST_ID
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.integration.test_process import COMMAND, run, serving
from tests.running import (
    CONSUMERS_AND_SIGNER,
    TRANSPORTS,
    Running,
    assert_refused,
    assert_valid,
    fails,
    listener,
    running,
    until_refused,
)

if TYPE_CHECKING:
    from sidecar.v1.token_service_pb2_grpc import TokenServiceAsyncStub

Request = messages.RevokeTokenRequest
ISS = "https://tokens.example"
STALENESS = 8.0
"""More than what it takes and what a busy machine adds."""
STORED = f"""{CONSUMERS_AND_SIGNER}
store: {{url: 'sqlite:../state.db', max_staleness: {STALENESS:g}s}}
"""


@pytest.fixture(params=TRANSPORTS)
async def sidecar(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Running]:
    configuration = listener(request.param) + CONSUMERS_AND_SIGNER
    async with running(tmp_path, configuration) as one:
        yield one


@asynccontextmanager
async def one_of_two(directory: Path, name: str, more: str = "") -> AsyncIterator[Running]:
    """A sidecar that shares a store with others below the same directory."""
    (directory / name).mkdir()
    configuration = listener("native") + (more or STORED)
    async with running(directory / name, configuration) as one:
        yield one


async def revoke(sidecar: Running, **target: Any) -> messages.RevokeTokenResponse:
    return await sidecar.tokens.RevokeToken(Request(**target))


async def test_a_token_is_refused_the_moment_it_is_revoked(sidecar: Running) -> None:
    """Also where it was seen before, and its answer is remembered."""
    token, other = [await sidecar.issue(subject="alice") for _ in range(2)]
    for _ in range(3):
        assert_valid(await sidecar.validate(token))
    began = time.time()
    answer = await revoke(sidecar, token=token, note="signed out")
    assert began <= answer.revoke_time.ToNanoseconds() / 1e9 <= time.time()
    assert_refused(await sidecar.validate(token), "REVOKED", "was revoked at")
    assert_valid(await sidecar.validate(other))


async def test_by_reference_subject_and_consumer(sidecar: Running) -> None:
    token = await sidecar.issue(subject="alice", token_id="mine")
    reference = messages.TokenReference(issuer=ISS, token_id="mine")
    reference.expire_time.FromSeconds(int(time.time()) + 900)
    await revoke(sidecar, token_reference=reference)
    assert_refused(await sidecar.validate(token), "REVOKED", '"mine"')
    token = await sidecar.issue(subject="bob")
    await revoke(sidecar, subject=messages.SubjectReference(issuer=ISS, subject="bob"))
    assert_refused(await sidecar.validate(token), "REVOKED", 'subject "bob"')
    token = await sidecar.issue(consumer="jack")
    await revoke(sidecar, consumer="jack")
    assert_refused(await sidecar.validate(token), "REVOKED", "consumer jack")
    assert_valid(await sidecar.validate(await sidecar.issue(subject="alice")))
    counts = sidecar.sidecar.engine.metrics.revocations
    assert counts == {"token": 1, "subject": 1, "consumer": 1}


async def test_only_tokens_that_were_issued_before_a_time(sidecar: Running) -> None:
    token = await sidecar.issue(subject="alice")
    subject = messages.SubjectReference(issuer=ISS, subject="alice")
    subject.issued_before.FromSeconds(int(time.time()) - 60)
    await revoke(sidecar, subject=subject)
    assert_valid(await sidecar.validate(token))
    subject.issued_before.FromSeconds(int(time.time()) + 60)
    await revoke(sidecar, subject=subject)
    assert_refused(await sidecar.validate(token), "REVOKED")


async def test_an_explanation_says_that_it_is_revoked(sidecar: Running) -> None:
    token = await sidecar.issue(subject="alice")
    await revoke(sidecar, token=token)
    request = messages.ExplainTokenRequest(request=messages.ValidateTokenRequest(token=token))
    said = await sidecar.tokens.ExplainToken(request)
    failed = [one.name for one in said.checks if one.outcome == messages.Check.OUTCOME_FAILED]
    assert failed == ["revocation"]


async def test_the_log_has_a_line_without_the_token(
    sidecar: Running, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    token = await sidecar.issue(subject="alice", token_id="mine")
    await revoke(sidecar, token=token, note="line 1\nline 2")
    (line,) = [one.getMessage() for one in caplog.records if one.name == "sidecar.api.revoking"]
    assert line.startswith('revoked the token with the jti "mine" of issuer internal, remembered')
    assert line.endswith(r'note: "line 1\nline 2"')
    assert token not in caplog.text


EXPIRES = {"expire_time": {"seconds": 4_000_000_000}}
LONG = "x" * (LONGEST_ID + 1)


@pytest.mark.parametrize(
    ("target", "field"),
    [
        pytest.param({}, "target", id="nothing"),
        pytest.param({"token": ""}, "token", id="an empty token"),
        pytest.param({"token": "a.b.c"}, "token", id="no token"),
        pytest.param({"refresh_token": ""}, "refresh_token", id="an empty refresh token"),
        pytest.param({"consumer": ""}, "consumer", id="an empty consumer"),
        pytest.param({"consumer": "jack", "note": "x" * 1001}, "note", id="a long note"),
        pytest.param(
            {"token_reference": {"issuer": ISS, "token_id": "1"}},
            "token_reference.expire_time",
            id="no expire_time",
        ),
        pytest.param(
            {"token_reference": {"issuer": ISS, **EXPIRES}}, "token_reference.token_id", id="no jti"
        ),
        pytest.param(
            {"token_reference": {"token_id": "1", **EXPIRES}}, "token_reference.issuer", id="no iss"
        ),
        pytest.param(
            {"token_reference": {"issuer": ISS, "token_id": LONG, **EXPIRES}},
            "token_reference.token_id",
            id="a long jti",
        ),
        pytest.param(
            {"token_reference": {"issuer": ISS, "token_id": "1", "expire_time": {"seconds": 5}}},
            "token_reference.expire_time",
            id="an expire_time long ago",
        ),
        pytest.param(
            {"token_reference": {"issuer": ISS, "token_id": "1", "expire_time": {"nanos": -1}}},
            "token_reference.expire_time",
            id="an expire_time that is none",
        ),
        pytest.param({"subject": {"issuer": ISS}}, "subject.subject", id="no subject"),
        pytest.param({"subject": {"subject": "a"}}, "subject.issuer", id="a subject of nobody"),
        pytest.param(
            {"subject": {"issuer": ISS, "subject": LONG}}, "subject.subject", id="a long subject"
        ),
        pytest.param(
            {"subject": {"issuer": ISS, "subject": "a", "issued_before": {"nanos": -1}}},
            "subject.issued_before",
            id="an issued_before that is none",
        ),
    ],
)
async def test_a_field_that_is_wrong_is_named(
    sidecar: Running, target: dict[str, Any], field: str
) -> None:
    with fails(grpc.StatusCode.INVALID_ARGUMENT, "FIELD_INVALID", field):
        await revoke(sidecar, **target)


@pytest.mark.parametrize(
    "target",
    [
        pytest.param({"consumer": "jim"}, id="consumer"),
        pytest.param({"subject": {"issuer": "internal", "subject": "a"}}, id="iss of a subject"),
        pytest.param(
            {"token_reference": {"issuer": "x", "token_id": "1", **EXPIRES}}, id="iss of a token"
        ),
        pytest.param({"refresh_token": "x"}, id="refresh token"),
    ],
)
async def test_what_is_not_there_is_not_revoked(sidecar: Running, target: dict[str, Any]) -> None:
    with fails(grpc.StatusCode.FAILED_PRECONDITION, "NOT_CONFIGURED"):
        await revoke(sidecar, **target)


async def test_without_a_store_the_log_says_that_it_does_not_last(
    sidecar: Running, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        await revoke(sidecar, consumer="jack")
    assert caplog.text.count("without a store (setting store) revocations end with") == 1


async def test_who_may_only_validate_revokes_nothing(tmp_path: Path) -> None:
    configuration = listener("native", services="validate") + CONSUMERS_AND_SIGNER
    async with running(tmp_path, configuration) as sidecar:
        with fails(grpc.StatusCode.PERMISSION_DENIED, "NOT_SERVED_HERE"):
            await revoke(sidecar, consumer="jack")


async def test_what_one_sidecar_revokes_the_other_refuses(tmp_path: Path) -> None:
    """Two on one SQLite file; the figure is for how long one passed at most."""
    async with one_of_two(tmp_path, "a") as one, one_of_two(tmp_path, "b") as other:
        tokens = [await one.issue(subject=f"user-{number}") for number in range(200)]
        for token in tokens:
            assert_valid(await other.validate(token))

        async def delay(token: str) -> float:
            await revoke(one, token=token)
            at = time.monotonic()
            return await until_refused(other, token) - at

        delays = await asyncio.gather(*map(delay, tokens))
    print(f"passed at the other sidecar for {max(delays):.2f} s at most")
    assert max(delays) < STALENESS


async def test_a_reload_keeps_what_is_revoked(tmp_path: Path) -> None:
    async with running(tmp_path, listener("native") + CONSUMERS_AND_SIGNER) as sidecar:
        token = await sidecar.issue(consumer="jack")
        await revoke(sidecar, token=token)
        path = tmp_path / "jwt-sidecar.yaml"
        path.write_text(path.read_text().replace("plan: gold", "plan: silver"))
        assert await sidecar.sidecar.reload()
        assert_refused(await sidecar.validate(token), "REVOKED")


ONE_TIME = f"""
issuers:
  - name: partner
    issuer: {ISS}
    keys: {{secret: {{value: a-secret-of-at-least-32-bytes-for-tests}}}}
    algorithms: [HS256]
    audiences: "*"
    one_time: true
signers:
  - name: minting
    issuer: {ISS}
    keys:
      - {{key_id: s, algorithm: HS256, secret: {{value: a-secret-of-at-least-32-bytes-for-tests}}}}
store: {{url: 'sqlite:../state.db'}}
"""


async def test_of_two_sidecars_one_lets_a_one_time_token_pass(tmp_path: Path) -> None:
    async with (
        one_of_two(tmp_path, "a", ONE_TIME) as one,
        one_of_two(tmp_path, "b", ONE_TIME) as other,
    ):
        for _ in range(10):
            token = await one.issue(subject="alice")
            request = messages.ValidateTokenRequest(token=token)
            said = await one.tokens.ExplainToken(messages.ExplainTokenRequest(request=request))
            assert said.result.valid
            answers = await asyncio.gather(
                *(sidecar.validate(token) for sidecar in (one, other) * 5)
            )
            assert [answer.valid for answer in answers].count(True) == 1
            for answer in answers:
                if not answer.valid:
                    assert_refused(answer, "REPLAYED", "one_time")


async def test_without_a_store_one_time_is_worth_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    configuration = listener("native") + ONE_TIME.partition("store:")[0]
    async with running(tmp_path, configuration) as sidecar:
        token = await sidecar.issue(subject="alice")
        assert_valid(await sidecar.validate(token))
        assert_refused(await sidecar.validate(token), "REPLAYED")
    assert "issuer partner: without a store" in caplog.text


PROCESS = f"""
listeners: [{{address: 'unix:s.sock', services: [validate, issue]}}]
store: {{url: 'sqlite:state.db'}}
signers:
  - {{name: internal, issuer: {ISS}, keys: [{{generate: EdDSA}}], accept: true}}
shutdown: {{drain: 0s, grace: 2s}}
"""


@pytest.fixture
def configuration(tmp_path: Path) -> Path:
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(PROCESS)
    return path


@asynccontextmanager
async def tokens_of(path: Path) -> AsyncIterator["TokenServiceAsyncStub"]:
    async with grpc.aio.insecure_channel(f"unix:{path.parent}/s.sock") as channel:
        yield TokenServiceStub(channel)


async def issued(stub: "TokenServiceAsyncStub", count: int) -> list[str]:
    request = messages.IssueTokenRequest(subject="alice")
    return [(await stub.IssueToken(request)).token for _ in range(count)]


async def validated(stub: "TokenServiceAsyncStub", token: str) -> messages.ValidateTokenResponse:
    return await stub.ValidateToken(messages.ValidateTokenRequest(token=token))


async def test_what_was_answered_is_revoked_after_a_kill(configuration: Path) -> None:
    """A thousand revocations, eight at a time, and a kill at any point of them, five times."""
    chance = random.Random()  # noqa: S311 - it chooses when to kill
    async with serving(configuration), tokens_of(configuration) as stub:
        tokens = await issued(stub, 1000)
    waiting, answered = list(tokens), set[str]()
    for kill in (1, 2, 3, 4, None):
        until = None if kill is None else len(answered) + chance.randrange(1, 220)
        async with serving(configuration) as child, tokens_of(configuration) as stub:

            async def work(stub: "TokenServiceAsyncStub" = stub, until: Any = until) -> None:
                while waiting and (until is None or len(answered) < until):
                    token = waiting.pop()
                    await stub.RevokeToken(Request(token=token))
                    answered.add(token)

            workers = [asyncio.create_task(work()) for _ in range(8)]
            await asyncio.wait(workers, return_when=asyncio.FIRST_COMPLETED)
            if until is not None:
                child.kill()
                await child.wait()
            await asyncio.gather(*workers, return_exceptions=True)
    assert len(answered) >= 1000 - 4 * 8
    async with serving(configuration), tokens_of(configuration) as stub:
        for token in tokens:
            answer = await validated(stub, token)
            if token in answered or not answer.valid:
                assert_refused(answer, "REVOKED")


async def test_on_a_full_disk_nothing_is_lost(configuration: Path) -> None:
    """A limit on the size of files stands for the disk."""
    command = f"ulimit -f 160; exec {' '.join(COMMAND)} serve --config {configuration}"
    revoked: list[str] = []
    async with process("bash", "-c", command, stdout=asyncio.subprocess.PIPE) as child:
        assert child.stdout
        assert b"ready" in await child.stdout.readline()
        async with tokens_of(configuration) as stub:
            tokens = await issued(stub, 300)
            with fails(grpc.StatusCode.UNAVAILABLE, "STORE_UNAVAILABLE"):
                for token in tokens:
                    await stub.RevokeToken(Request(token=token))
                    revoked.append(token)
            failed = tokens[len(revoked)]
            assert_valid(await validated(stub, failed))
            assert_refused(await validated(stub, revoked[-1]), "REVOKED")
    assert revoked
    async with serving(configuration), tokens_of(configuration) as stub:
        for token in revoked:
            assert_refused(await validated(stub, token), "REVOKED")
        assert_valid(await validated(stub, failed))
        await stub.RevokeToken(Request(token=failed))
        assert_refused(await validated(stub, failed), "REVOKED")


async def test_the_command_revokes(configuration: Path) -> None:
    async with serving(configuration):
        at = ("--address", f"unix:{configuration.parent}/s.sock")
        for target in (
            (),
            ("-",),
            ("--issuer", ISS, "--subject", "alice", "--issued-before", "2099-01-01T00:00:00Z"),
            ("--issuer", ISS, "--token-id", "mine", "--expires", "4000000000", "--note", "lost"),
        ):
            named = ("--token-id", "mine") if "--token-id" in target else ()
            subject = "alice" if "--subject" in target else "bob"
            _, token, _ = await run("issue", "--subject", subject, *named, *at)
            assert (await run("validate", token.strip(), *at))[0] == 0
            status, said, error = await run("revoke", *target, *at, stdin=token)
            assert (status, error) == (0, "")
            assert said.startswith("revoked since 20")
            status, said, _ = await run("validate", token.strip(), *at)
            assert (status, said.splitlines()[0]) == (1, "refused: REVOKED")
        status, _, error = await run("revoke", "--consumer", "jack", *at)
        assert (status, '"jack"' in error) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(("x", "--consumer", "jack"), "TOKEN and --consumer are two", id="two"),
        pytest.param(("--token-id", "1", "--issuer", "i"), "--token-id needs --expires", id="exp"),
        pytest.param(("--subject", "a"), "--subject needs --issuer", id="issuer"),
        pytest.param(("x", "--issuer", "i"), "--issuer belongs to --token-id or --su", id="alone"),
        pytest.param(
            ("--subject", "a", "--issuer", "i", "--expires", "1"), "--expires belongs to", id="end"
        ),
        pytest.param(
            ("--subject", "a", "--issuer", "i", "--issued-before", "noon"),
            "it takes seconds since the epoch, or a time: RFC 3339",
            id="no time",
        ),
        pytest.param(
            ("--token-id", "a", "--issuer", "i", "--expires", "9" * 15), "--expires", id="late"
        ),
    ],
)
async def test_a_command_that_is_wrong_says_so(arguments: tuple[str, ...], words: str) -> None:
    status, out, error = await run("revoke", *arguments, "--address", "unix:/nowhere.sock")
    assert (status, out) == (2, "")
    assert words in error
