"""The memory of revocations: forgets none before its end, and takes little room."""

import gc
import tracemalloc

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sidecar.token.claims import LAST_SECOND
from sidecar.token.revocation import Kind, Revocation
from sidecar.token.revoked import Marks, Revoked
from tests.tokens import NOW

MEBIBYTE = 1024 * 1024


def of_token(name: str, end: float | None = None, time: float = NOW) -> Revocation:
    return Revocation(Kind.TOKEN, name, time, end)


def test_kinds_are_apart() -> None:
    memory = Revoked("secret")
    for number, kind in enumerate(Kind):
        memory.add(Revocation(kind, "a", NOW + number, None))
    assert [memory.of(kind).get("a") for kind in Kind] == [NOW, NOW + 1, NOW + 2]
    assert len(memory) == 3
    assert memory.knows(of_token("a"))
    assert not memory.knows(of_token("b"))


@pytest.mark.parametrize(
    ("kind", "time", "mark"),
    [
        pytest.param(Kind.TOKEN, NOW + 0.9, NOW, id="a token is told the second"),
        pytest.param(Kind.SUBJECT, NOW + 0.1, NOW + 1, id="of a subject the second counts whole"),
        pytest.param(Kind.CONSUMER, NOW + 0.1, NOW + 1, id="so of a consumer"),
        pytest.param(Kind.SUBJECT, float(NOW), NOW, id="a whole second is none more"),
        pytest.param(Kind.SUBJECT, LAST_SECOND, LAST_SECOND, id="the end of time"),
        pytest.param(Kind.SUBJECT, -5.0, -5, id="before the epoch"),
    ],
)
def test_times_are_whole_seconds(kind: Kind, time: float, mark: int) -> None:
    memory = Revoked("secret")
    memory.add(Revocation(kind, "a", time, LAST_SECOND))
    assert memory.of(kind).get("a") == mark


def test_it_is_forgotten_after_its_end_and_not_before() -> None:
    memory = Revoked("secret")
    memory.add(of_token("a", NOW + 0.5))
    memory.forget(NOW + 0.5)
    assert memory.knows(of_token("a"))
    memory.forget(NOW + 1300)
    assert not memory.knows(of_token("a"))


def test_what_has_no_end_is_never_forgotten() -> None:
    memory = Revoked("secret")
    memory.add(of_token("a"))
    memory.forget(10.0 * LAST_SECOND)
    assert memory.knows(of_token("a"))


def test_many_that_end_together_are_forgotten_a_part_at_a_time() -> None:
    memory = Revoked("secret")
    for number in range(50_000):
        memory.add(of_token(str(number), NOW))
    left = []
    while memory:
        memory.forget(NOW + 1200)
        left.append(len(memory))
    assert left == [30_000, 10_000, 0]


class Remembering(RuleBasedStateMachine):
    """Beside a plain dictionary, in whatever comes: what has not ended is known with its time."""

    def __init__(self) -> None:
        super().__init__()
        self.marks = Marks("secret")
        self.expected: dict[str, tuple[int, float]] = {}
        self.now = float(NOW)

    @rule(
        name=st.sampled_from("ab"),
        time=st.integers(0, 5),
        ends=st.none() | st.sampled_from([-1000, 100, 650, 3000]),
    )
    def add(self, name: str, time: int, ends: int | None) -> None:
        end = None if ends is None else int(self.now) + ends
        self.marks.add(name, NOW + time, end)
        known, latest = self.expected.get(name, (0, 0.0))
        until = float("inf") if end is None else float(end)
        self.expected[name] = (max(known, NOW + time), max(latest, until))

    @rule(seconds=st.sampled_from([0.5, 599.0, 600.0, 1300.0]))
    def forget(self, seconds: float) -> None:
        self.now += seconds
        self.marks.forget(self.now)

    @invariant()
    def knows_all_that_has_not_ended_and_nothing_long_after(self) -> None:
        for name, (time, end) in list(self.expected.items()):
            found = self.marks.get(name)
            if end > self.now:
                assert found == time
            elif found is None:
                del self.expected[name]
        self.marks.forget(self.now)
        for name, (_, end) in list(self.expected.items()):
            if self.marks.get(name) is None:
                assert end <= self.now
                del self.expected[name]
            else:
                assert end + 600 > self.now


TestRemembering = Remembering.TestCase
TestRemembering.settings = settings(max_examples=100, stateful_step_count=20, deadline=None)


def test_a_hundred_thousand_take_a_tenth_of_what_a_million_may() -> None:
    """So a million take less than 200 MiB: `make bench` has the figure."""
    memory = Revoked("secret")
    gc.collect()
    tracemalloc.start()
    for number in range(100_000):
        memory.add(of_token(str(number), NOW + number * 26))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(memory) == 100_000
    assert taken < 20 * MEBIBYTE, f"{taken / MEBIBYTE:.1f} MiB"


def test_with_another_secret_other_names_collide() -> None:
    """Nobody can look for two names that are taken for one before the process runs."""
    first, second = Marks("one"), Marks("two")
    first.add("a", NOW, None)
    second.add("a", NOW, None)
    assert first._marks.keys() != second._marks.keys()
