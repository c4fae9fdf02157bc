"""Refresh tokens in a store: one trade wins, what is answered is kept, and nothing is half done."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from sidecar.state.memory import MemoryStore
from sidecar.state.refresh_record import KIND
from sidecar.state.refresh_tokens import RefreshTokens
from sidecar.state.sqlite import SqliteStore
from sidecar.state.store import ABSENT, Record, Store, StoreFailed, Write
from sidecar.token.mint import Minted, Order, mint
from sidecar.token.reason import CallFailed, ErrorReason, Reason, Refused
from sidecar.token.refresh_token import RefreshToken
from sidecar.token.signing import from_private_key
from sidecar.token.snapshot import Refreshing, Signer, Snapshot
from tests.authors import author
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
        self.tokens = RefreshTokens(store, lambda: self.now)
        self._ids = count(1)

    def new_id(self) -> str:
        return f"id-{next(self._ids)}"

    async def issue(self, **order: Any) -> Minted:
        ordered = Order(subject="alice", with_refresh_token=True, **order)
        minted = mint(ordered, self.snapshot, self.now, self.new_id())
        return await self.tokens.begin(minted, ordered, SIGNER, RULES)

    async def trade(self, token: str | Minted, *scopes: str) -> Minted:
        text = token if isinstance(token, str) else token.refresh_token
        return await self.tokens.trade(text, scopes, self.snapshot, self.new_id)

    async def refused(self, token: str | Minted, *scopes: str) -> Refused:
        with pytest.raises(Refused) as refused:
            await self.trade(token, *scopes)
        return refused.value

    def without_grace(self) -> None:
        self.snapshot = world(replace(SIGNER, refresh=replace(RULES, grace=0.0)))


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            yield MemoryStore(lambda: NOW)
        else:
            path = str(tmp_path / "state.db")
            yield await stack.enter_async_context(SqliteStore.opened(path, lambda: NOW))


@pytest.fixture
def sidecar(store: Store) -> Sidecar:
    return Sidecar(store)


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
    (record,) = caplog.records
    assert (record.levelno, record.name) == (logging.WARNING, "sidecar.state.refresh_tokens")
    family = RefreshToken.parse(first.refresh_token).family
    assert record.getMessage() == (
        'signer internal: a refresh token of subject "alice" was used again, by its client or by a '
        f"thief: its family {family} is revoked"
    )
    for token in (second, first):
        assert (await sidecar.refused(token)).reason is Reason.REVOKED
    assert len(caplog.records) == 1


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
    assert len(caplog.records) == 1


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
    await sidecar.tokens.revoke(first.refresh_token)
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
        family = await sidecar.tokens.revoke(tokens[used].refresh_token)
        assert family is not None
        assert (family.grant.subject, family.token_id) == ("alice", tokens[-1].token_id)
        assert (await sidecar.refused(tokens[-1])).reason is Reason.REVOKED


async def test_revoking_twice_or_what_is_gone_is_no_mistake(sidecar: Sidecar) -> None:
    first = await sidecar.issue()
    await sidecar.tokens.revoke(first.refresh_token)
    await sidecar.tokens.revoke(first.refresh_token)
    assert (await sidecar.refused(first)).reason is Reason.REVOKED
    assert await sidecar.tokens.revoke(UNUSED) is None
    with pytest.raises(Refused):
        await sidecar.tokens.revoke("jsr_")


async def test_a_trade_and_a_revocation_at_once_leave_nothing_that_works(sidecar: Sidecar) -> None:
    first = await sidecar.issue()
    traded, _ = await asyncio.gather(
        sidecar.trade(first), sidecar.tokens.revoke(first.refresh_token), return_exceptions=True
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
