"""Consumers that are kept outside: who is asked for, and what follows from each answer."""

from dataclasses import replace
from typing import Any

import pytest

from sidecar.steady import forget_nothing
from sidecar.token.outside import Outside, Question
from sidecar.token.reason import CallFailed, ErrorReason, Reason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Request
from sidecar.token.snapshot import Consumer, Consumers
from sidecar.token.stored import (
    UNKNOWN,
    ConsumerQuestion,
    Lookup,
    NamedConsumerQuestion,
    consumer_named,
)
from sidecar.token.validator import validate
from tests.authors import author
from tests.tokens import (
    ABSENT,
    JACK,
    JACK_KEY,
    NOW,
    assert_passes,
    assert_refused,
    consumer,
    consumers,
    issuer,
    judge,
    mint,
    world,
)

JILL = author("HS512", None)
STORED = consumer("jill", JILL)
KEPT = replace(consumers(), are_stored=True)
"""JACK is configured; there may be more outside."""
JILLS = mint(JILL, iss=ABSENT, key="jill-key")
JACKS = mint(JACK, iss=ABSENT, key=JACK_KEY)
OUTAGE = Lookup(None, "the store does not answer")


class Store:
    """Gives this one answer, and says what it was asked, and for when."""

    def __init__(self, answer: Lookup) -> None:
        self._answer = answer
        self.asked: list[tuple[Question[Any], float]] = []

    def answer(self, question: Question[Any], now: float) -> Any:
        self.asked.append((question, now))
        return self._answer


def asked_about(token: str, *parties: Any) -> list[tuple[Question[Any], float]]:
    """What the store was asked about this token."""
    store = Store(UNKNOWN)
    validate(Request(token), world(*parties), NOW, ProofMemory(forget_nothing), outside=store)
    return store.asked


def named(name: str, store: Outside, party: Consumers = KEPT) -> Consumer:
    return consumer_named(name, party, NOW, store)


def failure(name: str, store: Outside, party: Consumers = KEPT) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        named(name, store, party)
    assert failed.value.field == "consumer"
    return failed.value


def test_a_token_of_a_stored_consumer_passes() -> None:
    verified = assert_passes(judge(JILLS, KEPT, outside=Store(Lookup(STORED))))
    assert verified.consumer is STORED


def test_a_token_that_another_consumer_signed_is_refused() -> None:
    forged = mint(JACK, header={"alg": "HS512"}, iss=ABSENT, key="jill-key")
    verdict = judge(forged, KEPT, outside=Store(Lookup(STORED)))
    assert_refused(verdict, Reason.SIGNATURE_INVALID, "jill")


def test_a_token_of_a_stored_consumer_that_is_disabled_is_refused() -> None:
    store = Store(Lookup(replace(STORED, disabled=True)))
    assert_refused(judge(JILLS, KEPT, outside=store), Reason.CONSUMER_UNKNOWN, "disabled")


def test_the_store_is_asked_who_has_the_key() -> None:
    assert asked_about(JILLS, KEPT) == [(ConsumerQuestion("jill-key"), NOW)]


@pytest.mark.parametrize(
    ("token", "parties"),
    [
        pytest.param(JACKS, [KEPT], id="of a configured consumer"),
        pytest.param(mint(), [issuer(), KEPT], id="of an issuer"),
        pytest.param(JILLS, [consumers()], id="where none are stored"),
        pytest.param(mint(iss=ABSENT), [KEPT], id="without a key"),
        pytest.param(mint(JILL, iss=ABSENT, key="k" * 1025), [KEPT], id="with a key of nobody"),
    ],
)
def test_the_store_is_not_asked_about_a_token(token: str, parties: list[Any]) -> None:
    assert asked_about(token, *parties) == []


def test_the_store_is_asked_about_a_key_of_1024_characters() -> None:
    assert len(asked_about(mint(JILL, iss=ABSENT, key="k" * 1024), KEPT)) == 1


def test_a_token_whose_consumer_nobody_knows_is_refused() -> None:
    verdict = judge(JILLS, KEPT, outside=Store(UNKNOWN))
    assert_refused(verdict, Reason.CONSUMER_UNKNOWN, "jill-key")


def test_a_token_whose_consumer_cant_be_looked_up_is_refused() -> None:
    verdict = judge(JILLS, KEPT, outside=Store(OUTAGE))
    assert_refused(verdict, Reason.STATE_UNAVAILABLE, OUTAGE.problem)


def test_a_stored_consumer_with_the_name_of_a_configured_one_is_nobody() -> None:
    store = Store(Lookup(replace(STORED, name="jack")))
    assert_refused(judge(JILLS, KEPT, outside=store), Reason.CONSUMER_UNKNOWN, "jill-key")


def test_a_configured_consumer_is_found_by_name_without_the_store() -> None:
    store = Store(Lookup(STORED))
    assert named("jack", store) is KEPT.by_name["jack"]
    assert store.asked == []


def test_a_stored_consumer_is_found_by_name() -> None:
    store = Store(Lookup(STORED))
    assert named("jill", store) is STORED
    assert store.asked == [(NamedConsumerQuestion("jill"), NOW)]


def test_where_none_are_stored_a_name_is_that_of_a_configured_one_or_of_nobody() -> None:
    store = Store(Lookup(STORED))
    failed = failure("jill", store, consumers())
    assert failed.reason is ErrorReason.NOT_CONFIGURED
    assert store.asked == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(UNKNOWN, ErrorReason.NOT_CONFIGURED, id="nobody"),
        pytest.param(OUTAGE, ErrorReason.STORE_UNAVAILABLE, id="an outage"),
        pytest.param(
            Lookup(replace(STORED, key=JACK_KEY)),
            ErrorReason.NOT_CONFIGURED,
            id="with the key of a configured one",
        ),
    ],
)
def test_a_name_that_finds_no_stored_consumer_is_an_error(
    answer: Lookup, reason: ErrorReason
) -> None:
    assert failure("jill", Store(answer)).reason is reason
