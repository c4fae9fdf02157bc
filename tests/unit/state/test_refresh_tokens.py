"""Refresh tokens in a store: one trade wins, what is answered is kept, and nothing is half done."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from sidecar.state.memory import MemoryStore
from sidecar.state.refresh_record import KIND
from sidecar.state.refresh_tokens import RefreshTokens
from sidecar.state.revocations import KIND as REVOCATION
from sidecar.state.revocations import Revocations
from sidecar.state.sqlite import SqliteStore
from sidecar.state.store import ABSENT, Record, Store, StoreFailed, Write
from sidecar.token.family_revocation import latest_token
from sidecar.token.mint import Minted, Order, mint
from sidecar.token.reason import CallFailed, ErrorReason, Reason, Refused
from sidecar.token.refresh_family import Family
from sidecar.token.refresh_token import RefreshToken
from sidecar.token.revocation import KEPT_LONGER, LONGEST_ID, Revocation, SubjectReference, revoked
from sidecar.token.revoked import Revoked
from sidecar.token.signing import from_private_key
from sidecar.token.snapshot import Refreshing, Signer, Snapshot
from tests.authors import author
from tests.redis_servers import RedisServer, redis_server, redis_store
from tests.tokens import NOW, decode, world

KEY: Final = from_private_key(author().private_key, "ES256", "key-1")
RULES: Final = Refreshing(30 * 86400.0, 7 * 86400.0, 10.0)
SIGNER: Final = Signer("internal", "https://tokens.example", (KEY,), refresh=RULES)
UNUSED: Final = RefreshToken(b"h" * 16, b"s" * 32).text


class Sidecar:
    """Refresh tokens on a store, with a signer, and a clock that the test sets."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.now = float(NOW)
        self.snapshot: Snapshot = world(SIGNER)
        self.tokens = RefreshTokens(store, lambda: self.now, lambda: self.now)
        self.revoked = Revoked("secret")
        self.revocations = Revocations(store, self.revoked, lambda: self.now)
        self._ids = count(1)

    def new_id(self) -> str:
        return f"id-{next(self._ids)}"

    async def issue(self, **order: Any) -> Minted:
        ordered = Order(subject="alice", with_refresh_token=True, **order)
        minted = mint(ordered, self.snapshot, self.now, self.new_id())
        return await self.tokens.begin(minted, ordered, SIGNER, RULES)

    async def trade(self, token: str | Minted, *scopes: str) -> Minted:
        text = token if isinstance(token, str) else token.refresh_token
        return await self.tokens.trade(text, scopes, self.snapshot, self.new_id, self.revocations)

    async def revoke(self, token: str | Minted) -> Family | None:
        text = token if isinstance(token, str) else token.refresh_token
        return await self.tokens.revoke(text, self.revocations)

    def is_revoked(self, minted: Minted) -> bool:
        name = f"{len(SIGNER.issuer)} {SIGNER.issuer} {minted.token_id}"
        return self.revoked.tokens.get(name) is not None

    async def refused(self, token: str | Minted, *scopes: str) -> Refused:
        with pytest.raises(Refused) as refused:
            await self.trade(token, *scopes)
        return refused.value

    def without_grace(self) -> None:
        self.snapshot = world(replace(SIGNER, refresh=replace(RULES, grace=0.0)))


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "redis"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield MemoryStore(lambda: NOW)
        elif request.param == "redis":
            server = request.getfixturevalue("redis")
            server.call("FLUSHALL")
            yield await stack.enter_async_context(redis_store(server.url))
        else:
            path = str(tmp_path / "state.db")
            yield await stack.enter_async_context(SqliteStore.opened(path, lambda: NOW))


@pytest.fixture
def sidecar(store: Store) -> Sidecar:
    return Sidecar(store)


def told(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the log has of refresh tokens."""
    return [one for one in caplog.records if one.name == "sidecar.state.refresh_tokens"]


def claims(minted: Minted) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(decode(minted.token.split(".")[1]))
    return found


async def test_a_refresh_token_is_traded_for_two_new_tokens(sidecar: Sidecar) -> None:
    first = await sidecar.issue(scopes=("read", "write"), claims_json='{"plan":"gold"}')
    assert first.refresh_expire_time == NOW + 7 * 86400
    sidecar.now += 3600
    second = await sidecar.trade(first, "read")
    assert second.refresh_expire_time == NOW + 3600 + 7 * 86400
    assert second.refresh_token != first.refresh_token
    assert claims(second) == {
        "iss": "https://tokens.example",
        "sub": "alice",
        "scope": "read",
        "iat": NOW + 3600,
        "exp": NOW + 3600 + 900,
        "jti": "id-2",
        "plan": "gold",
    }
    third = await sidecar.trade(second)
    assert (claims(third)["scope"], claims(third)["jti"]) == ("read write", "id-3")


async def test_each_token_works_once_and_the_second_use_ends_all(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    first = await sidecar.issue()
    second = await sidecar.trade(first)
    sidecar.now += 10
    assert (await sidecar.refused(first)).reason is Reason.REPLAYED
    (record,) = told(caplog)
    assert record.levelno == logging.WARNING
    family = RefreshToken.parse(first.refresh_token).family
    assert record.getMessage() == (
        'signer internal: a refresh token of subject "alice" was used again, by its client or by a '
        f"thief: its family {family} is revoked"
    )
    for token in (second, first):
        assert (await sidecar.refused(token)).reason is Reason.REVOKED
    assert len(told(caplog)) == 1


async def test_within_the_grace_the_same_answer_comes_again(sidecar: Sidecar) -> None:
    first = await sidecar.issue()
    second = await sidecar.trade(first)
    sidecar.now += 9.9
    assert await sidecar.trade(first) == second
    third = await sidecar.trade(second)
    assert await sidecar.trade(second) == third
    assert (await sidecar.refused(first)).reason is Reason.REPLAYED


async def test_of_fifty_calls_with_one_token_one_wins_and_all_get_its_answer(
    sidecar: Sidecar,
) -> None:
    first = await sidecar.issue()
    answers = await asyncio.gather(*(sidecar.trade(first) for _ in range(50)))
    assert len(set(answers)) == 1
    await sidecar.trade(answers[0])


async def test_of_fifty_calls_without_grace_one_wins_and_the_others_end_the_family(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    sidecar.without_grace()
    first = await sidecar.issue()
    answers = await asyncio.gather(
        *(sidecar.trade(first) for _ in range(50)), return_exceptions=True
    )
    (won,) = [one for one in answers if isinstance(one, Minted)]
    reasons = [one.reason for one in answers if isinstance(one, Refused)]
    assert sorted(reasons) == [Reason.REVOKED] * 48 + [Reason.REPLAYED]
    assert (await sidecar.refused(won)).reason is Reason.REVOKED
    assert len(told(caplog)) == 1


async def test_a_token_that_is_not_known_is_refused_and_ends_nothing(sidecar: Sidecar) -> None:
    refused = await sidecar.refused(UNUSED)
    assert refused.reason is Reason.EXPIRED
    assert "not known" in refused.message


async def test_a_family_is_forgotten_at_its_end(sidecar: Sidecar) -> None:
    first = await sidecar.issue()
    family = RefreshToken.parse(first.refresh_token).family
    record = await sidecar.store.get(KIND, family)
    assert record is not None
    assert record.expire_time == NOW + 7 * 86400
    sidecar.now += 100
    await sidecar.trade(first)
    await sidecar.revoke(first)
    record = await sidecar.store.get(KIND, family)
    assert record is not None
    assert record.expire_time == NOW + 100 + 7 * 86400


async def test_a_refusal_for_scopes_uses_nothing_up(sidecar: Sidecar) -> None:
    first = await sidecar.issue(scopes=("read",))
    assert (await sidecar.refused(first, "admin")).reason is Reason.SCOPE_INSUFFICIENT
    await sidecar.trade(first)


async def test_what_the_signer_grants_no_more_uses_nothing_up(sidecar: Sidecar) -> None:
    first, usual = await sidecar.issue(claims_json='{"env":"test"}'), sidecar.snapshot
    sidecar.snapshot = world(replace(SIGNER, claims={"env": "prod"}))
    assert (await sidecar.refused(first)).reason is Reason.CLAIM_MISMATCH
    sidecar.snapshot = usual
    await sidecar.trade(first)


async def test_a_family_is_revoked_by_any_of_its_tokens(sidecar: Sidecar) -> None:
    for used in (0, 1, 2):
        tokens = [await sidecar.issue()]
        tokens.append(await sidecar.trade(tokens[-1]))
        tokens.append(await sidecar.trade(tokens[-1]))
        family = await sidecar.revoke(tokens[used])
        assert family is not None
        assert (family.grant.subject, family.token_id) == ("alice", tokens[-1].token_id)
        assert (await sidecar.refused(tokens[-1])).reason is Reason.REVOKED


async def test_revoking_twice_or_what_is_gone_is_no_mistake(sidecar: Sidecar) -> None:
    first = await sidecar.issue()
    await sidecar.revoke(first)
    await sidecar.revoke(first)
    assert (await sidecar.refused(first)).reason is Reason.REVOKED
    assert await sidecar.revoke(UNUSED) is None
    with pytest.raises(Refused):
        await sidecar.revoke("jsr_")


async def test_a_trade_and_a_revocation_at_once_leave_nothing_that_works(sidecar: Sidecar) -> None:
    first = await sidecar.issue()
    traded, _ = await asyncio.gather(
        sidecar.trade(first), sidecar.revoke(first), return_exceptions=True
    )
    assert (await sidecar.refused(first)).reason is Reason.REVOKED
    if isinstance(traded, Minted):
        assert (await sidecar.refused(traded)).reason is Reason.REVOKED


async def test_nothing_that_works_is_kept_or_logged(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    first = await sidecar.issue()
    second = await sidecar.trade(first)
    sidecar.now += 60
    await sidecar.refused(first)
    kept = await sidecar.store.page(KIND, "", 10)
    seen = b"".join(one.record.data + one.name.encode() for one in kept).decode() + caplog.text
    for minted in (first, second):
        token = RefreshToken.parse(minted.refresh_token)
        assert minted.token not in seen
        for secret in (token.text, token.secret.hex(), token.handle.hex(), token.text[4:24]):
            assert secret not in seen
        assert token.text not in repr(minted)


async def ended_by_reuse(sidecar: Sidecar, tokens: list[Minted]) -> None:
    sidecar.now += 60
    assert (await sidecar.refused(tokens[0])).reason is Reason.REPLAYED


async def ended_by_revocation(sidecar: Sidecar, tokens: list[Minted]) -> None:
    await sidecar.revoke(tokens[0])


@pytest.mark.parametrize("end", [ended_by_reuse, ended_by_revocation])
async def test_with_a_family_goes_its_latest_access_token_and_that_lasts(
    sidecar: Sidecar, end: Callable[[Sidecar, list[Minted]], Awaitable[None]]
) -> None:
    tokens = [await sidecar.issue()]
    tokens.append(await sidecar.trade(tokens[0]))
    assert not sidecar.is_revoked(tokens[1])
    await end(sidecar, tokens)
    assert [sidecar.is_revoked(one) for one in tokens] == [False, True]
    kept = [one.name for one in await sidecar.store.page(REVOCATION, "", 10)]
    assert len(kept) == (1 if sidecar.store.is_durable else 0)


async def test_an_access_token_that_has_expired_everywhere_is_not_remembered(
    sidecar: Sidecar,
) -> None:
    first = await sidecar.issue()
    family = await sidecar.revoke(first)
    assert family is not None
    ends = first.expire_time + KEPT_LONGER
    assert latest_token(family, ends - 1, ends - 1) is not None
    assert latest_token(family, ends, ends) is None
    late = await sidecar.issue()
    sidecar.now = late.expire_time + KEPT_LONGER
    await sidecar.revoke(late)
    assert not sidecar.is_revoked(late)


async def test_a_first_access_token_has_a_jti_that_it_can_be_revoked_by(sidecar: Sidecar) -> None:
    await sidecar.revoke(await sidecar.issue(token_id="x" * LONGEST_ID))
    with pytest.raises(CallFailed) as failed:
        await sidecar.issue(token_id="x" * (LONGEST_ID + 1))
    assert (failed.value.reason, failed.value.field) == (ErrorReason.FIELD_INVALID, "token_id")


@pytest.mark.parametrize(
    ("subject", "issued_before", "refused"),
    [
        pytest.param("alice", 1.0, True, id="after the family began"),
        pytest.param("alice", 0.0, False, id="at the moment that it began"),
        pytest.param("bob", 1.0, False, id="another subject"),
    ],
)
@pytest.mark.parametrize("repeated", [False, True], ids=["traded", "repeated"])
async def test_a_revoked_subject_gets_nothing_by_an_older_refresh_token(
    sidecar: Sidecar, subject: str, issued_before: float, refused: bool, repeated: bool
) -> None:
    first = await sidecar.issue()
    if repeated:
        await sidecar.trade(first)
    reference = SubjectReference(SIGNER.issuer, subject, NOW + issued_before)
    await sidecar.revocations.revoke(revoked(reference, sidecar.snapshot, NOW))
    sidecar.now += 5
    if refused:
        found = await sidecar.refused(first)
        assert found.reason is Reason.REVOKED
        assert 'tokens of subject "alice" of "https://tokens.example"' in found.message
    else:
        await sidecar.trade(first)
    await sidecar.trade(await sidecar.issue())


async def test_while_it_is_not_known_what_is_revoked_nothing_is_given(sidecar: Sidecar) -> None:
    first = await sidecar.issue()
    sidecar.revoked.set_unknown("the store was never read")
    assert (await sidecar.refused(first)).reason is Reason.STATE_UNAVAILABLE
    sidecar.revoked.set_unknown("")
    await sidecar.trade(first)


async def test_a_subject_that_is_revoked_while_a_trade_is_written_gets_no_answer() -> None:
    class Slow(MemoryStore):
        async def write(self, *writes: Write) -> bool:
            if writes[0].expected_version != ABSENT:
                sidecar.revoked.add(revoked(alice, sidecar.snapshot, NOW + 1))
            return await super().write(*writes)

    alice = SubjectReference(SIGNER.issuer, "alice", None)
    sidecar = Sidecar(Slow(lambda: NOW))
    first = await sidecar.issue()
    for _ in range(2):
        assert (await sidecar.refused(first)).reason is Reason.REVOKED


class Failing(MemoryStore):
    """Fails before or after a write, as often as the test says."""

    def __init__(self) -> None:
        super().__init__(lambda: NOW)
        self.reads_fail = False
        self.writes_fail = ""

    async def get(self, kind: str, name: str) -> Record | None:
        if self.reads_fail:
            raise StoreFailed("/place: away")
        return await super().get(kind, name)

    async def write(self, *writes: Write) -> bool:
        if self.writes_fail == "before":
            raise StoreFailed("/place: away")
        done = await super().write(*writes)
        if self.writes_fail == "after":
            raise StoreFailed("/place: away")
        return done


@pytest.fixture
def failing() -> Failing:
    return Failing()


async def unanswered(sidecar: Sidecar, token: Minted | None) -> None:
    """The call fails since the store does, and its message names no place."""
    with pytest.raises(CallFailed) as failed:
        await (sidecar.trade(token) if token else sidecar.issue())
    assert failed.value.reason is ErrorReason.STORE_UNAVAILABLE
    assert "/place" not in failed.value.message


async def test_while_the_store_is_away_no_token_is_issued(failing: Failing) -> None:
    failing.writes_fail = "before"
    await unanswered(Sidecar(failing), None)
    assert await failing.page(KIND, "", 10) == ()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_trade_whose_write_failed_is_made_or_repeated_later(
    failing: Failing, when: str, caplog: pytest.LogCaptureFixture
) -> None:
    sidecar = Sidecar(failing)
    first = await sidecar.issue()
    failing.writes_fail = when
    await unanswered(sidecar, first)
    assert "/place: away" in caplog.text
    failing.writes_fail = ""
    second = await sidecar.trade(first)
    assert await sidecar.trade(first) == second
    await sidecar.trade(second)


async def test_a_replay_whose_revocation_failed_is_found_again(failing: Failing) -> None:
    sidecar = Sidecar(failing)
    first = await sidecar.issue()
    await sidecar.trade(first)
    sidecar.now += 60
    failing.writes_fail = "before"
    await unanswered(sidecar, first)
    failing.writes_fail = ""
    assert (await sidecar.refused(first)).reason is Reason.REPLAYED


class Reluctant(Revocations):
    """Fails to revoke, while it is told to."""

    fails = True

    async def revoke(self, one: Revocation) -> None:
        if self.fails:
            raise CallFailed(ErrorReason.STORE_UNAVAILABLE, "try again")
        await super().revoke(one)


@pytest.mark.parametrize("reused", [False, True], ids=["revoked", "used again"])
async def test_where_the_access_token_can_not_be_revoked_the_call_fails_until_it_can(
    sidecar: Sidecar, reused: bool
) -> None:
    first = await sidecar.issue()
    second = await sidecar.trade(first)
    sidecar.now += 60
    reluctant = Reluctant(sidecar.store, sidecar.revoked, lambda: sidecar.now)
    sidecar.revocations = reluctant
    for _ in range(2):
        with pytest.raises(CallFailed):
            await (sidecar.trade(first) if reused else sidecar.revoke(first))
    with pytest.raises(CallFailed):
        await sidecar.trade(second)
    assert not sidecar.is_revoked(second)
    reluctant.fails = False
    assert (await sidecar.refused(second)).reason is Reason.REVOKED
    assert sidecar.is_revoked(second)


async def test_a_store_that_can_not_be_read_uses_nothing_up(failing: Failing) -> None:
    sidecar = Sidecar(failing)
    first = await sidecar.issue()
    failing.reads_fail = True
    await unanswered(sidecar, first)
    failing.reads_fail = False
    await sidecar.trade(first)


async def test_a_record_that_can_not_be_read_is_an_outage_and_named(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture
) -> None:
    first = await sidecar.issue()
    family = RefreshToken.parse(first.refresh_token).family
    await sidecar.store.put(KIND, family, b"{}", None)
    await unanswered(sidecar, first)
    assert f"family {family}: its record is damaged" in caplog.text


async def test_others_that_write_without_pause_end_in_an_error(failing: Failing) -> None:
    class Contended(Failing):
        async def write(self, *writes: Write) -> bool:
            return writes[0].expected_version == ABSENT and await super().write(*writes)

    sidecar = Sidecar(Contended())
    first = await sidecar.issue()
    await unanswered(sidecar, first)
    with pytest.raises(CallFailed, match="try again"):
        await sidecar.revoke(first)
