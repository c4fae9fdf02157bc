"""The memory of used proofs: forgets none before its time, is bounded, and is shared fairly."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.token.replay import CheckedProof, ProofMemory, Room


class Clock:
    """A steady clock that the test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def proof(name: int, key: str = "key", end: float = 1060.0) -> CheckedProof:
    return CheckedProof(f"{key} {name} {end}".encode(), key, end)


STEPS = st.lists(
    st.tuples(
        st.floats(-2.0, 5.0),  # the clock moves on, or is set back
        st.integers(0, 30),
        st.sampled_from("abc"),
        st.floats(-1.0, 12.0),  # the proof's end, from now
    ),
    max_size=100,
)


@given(STEPS, st.integers(0, 12))
def test_a_proof_that_was_used_is_never_free_again(
    steps: list[tuple[float, int, str, float]], most: int
) -> None:
    clock, used = Clock(), dict[tuple[int, str], CheckedProof]()
    memory = ProofMemory(clock, most)
    for wait, name, key, end in steps:
        clock.now += wait
        one = used.get((name, key)) or CheckedProof(f"{name} {key}".encode(), key, clock.now + end)
        room = memory.room(one)
        if (name, key) in used:
            assert room is not Room.FREE
        elif room is Room.FREE:
            memory.add(one)
            used[name, key] = one
        assert len(memory) <= most


def test_a_proof_is_forgotten_after_its_end() -> None:
    clock = Clock()
    memory = ProofMemory(clock, most=2)
    memory.add(proof(1, end=1010.5))
    assert memory.room(proof(2)) is Room.OVER_QUOTA
    clock.now = 1010.5
    assert memory.room(proof(1, end=1010.5)) is Room.USED
    clock.now = 1012.0
    assert memory.room(proof(2)) is Room.FREE
    assert len(memory) == 0


def test_after_the_clock_was_set_back_what_may_be_forgotten_is_not_free() -> None:
    clock = Clock()
    memory = ProofMemory(clock)
    memory.add(proof(1, end=1010.5))
    clock.now = 1012.0
    assert memory.room(proof(2)) is Room.FREE
    clock.now = 1000.0
    assert memory.room(proof(1, end=1010.5)) is Room.FORGOTTEN
    assert memory.room(proof(2)) is Room.FREE


def fill(memory: ProofMemory, *keys: str, end: float = 1060.0) -> dict[str, int]:
    """Let these keys add proofs in turn until none may; return how many each has."""
    added = dict.fromkeys(keys, 0)
    name = 0
    while True:
        before = name
        for key in keys:
            one = proof(name, key, end)
            if memory.room(one) is Room.FREE:
                memory.add(one)
                added[key] += 1
                name += 1
        if name == before:
            return added


@pytest.mark.parametrize("keys", [1, 2, 9, 99])
def test_each_of_n_keys_gets_one_nth_and_as_much_stays_free(keys: int) -> None:
    added = fill(ProofMemory(Clock(), most=1000), *(str(number) for number in range(keys)))
    assert set(added.values()) <= {1000 // (keys + 1), math.ceil(1000 / (keys + 1))}


def test_one_key_alone_gets_half_of_the_memory() -> None:
    assert fill(ProofMemory(Clock()), "a") == {"a": 100_000}


def test_the_next_key_finds_room_however_much_the_others_send() -> None:
    memory = ProofMemory(Clock(), most=1000)
    fill(memory, *(str(number) for number in range(49)))
    assert fill(memory, "late") == {"late": 10}


def test_more_keys_than_there_is_room_for_find_it_full() -> None:
    memory = ProofMemory(Clock(), most=3)
    assert fill(memory, "a", "b", "c") == {"a": 1, "b": 1, "c": 1}
    assert memory.room(proof(9, "d")) is Room.FULL
    assert memory.room(proof(9, "a")) is Room.OVER_QUOTA


def test_what_has_ended_counts_no_more() -> None:
    clock = Clock()
    memory = ProofMemory(clock, most=1000)
    assert fill(memory, "a") == {"a": 500}
    clock.now += 120.0
    assert fill(memory, "a", end=1180.0) == {"a": 500}


def test_no_call_pays_for_a_crowd_that_ends_at_once() -> None:
    clock = Clock()
    memory = ProofMemory(clock, most=1000)
    fill(memory, "a")
    clock.now += 120.0
    memory.room(proof(1000, end=1180.0))
    assert len(memory) == 400
