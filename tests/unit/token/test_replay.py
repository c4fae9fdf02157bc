"""The memory of used proofs: forgets none before its time, and is bounded."""

from hypothesis import given
from hypothesis import strategies as st

from sidecar.token.dpop import MOST_SKEW, REUSABLE, WINDOW
from sidecar.token.replay import ProofMemory


def test_a_proof_is_remembered_as_long_as_it_could_pass_again() -> None:
    latest = MOST_SKEW  # a proof from so far in the future is accepted at 0
    assert latest + WINDOW + MOST_SKEW <= REUSABLE


@given(st.lists(st.tuples(st.floats(0, 5), st.binary(min_size=1, max_size=1)), max_size=60))
def test_it_knows_every_proof_within_its_lifetime(steps: list[tuple[float, bytes]]) -> None:
    memory, now, added = ProofMemory(10.0), 0.0, dict[bytes, float]()
    for wait, proof in steps:
        now += wait
        fresh = proof not in memory
        assert fresh or proof in added
        if proof in added and now < added[proof] + 10.0:
            assert not fresh
        if fresh:
            assert not memory.full(now)
            memory.add(proof, now)
            added[proof] = now


def test_a_full_memory_takes_another_when_the_oldest_is_past_its_lifetime() -> None:
    memory = ProofMemory(10.0, most=2)
    memory.add(b"1", 0.0)
    assert not memory.full(0.0)
    memory.add(b"2", 1.0)
    assert memory.full(9.9)
    assert not memory.full(10.0)
    assert (b"1" in memory, b"2" in memory) == (False, True)
