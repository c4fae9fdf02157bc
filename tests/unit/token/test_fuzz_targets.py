"""What the fuzzer looks for holds for its seeds and for what hypothesis makes of them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.targets import LONG, TARGETS, grown, one_input

SEEDS = {
    path.name: path.read_bytes()
    for path in sorted((Path(__file__).parents[2] / "fuzz" / "seeds").iterdir())
}
TAKEN = {
    "base64url",
    "json-kinds",
    "json-nested",
    "json-unicode",
    "jwk-ec",
    "jwk-ml-dsa",
    "jwk-okp",
    "jwk-p521",
    "jwk-rsa",
    "jwk-secp256k1",
    "jwks",
    "jwks-unnamed",
    "long-token-signature",
    "parts-crit",
    "parts-key-in-header",
    "parts-plain",
    "token-hs256",
}
"""The seeds that a parser takes; the others are refused."""


@pytest.mark.parametrize("name", SEEDS)
def test_seed_gets_its_answer(name: str) -> None:
    assert one_input(SEEDS[name]) is (name in TAKEN)


def test_every_target_has_seeds_of_its_own() -> None:
    assert {seed[:1] for seed in SEEDS.values()} == {b"%d" % one for one in range(len(TARGETS))}


@given(
    st.sampled_from(sorted(SEEDS.values())),
    st.integers(0, 4096),
    st.integers(0, 3),
    st.binary(max_size=3),
)
def test_a_seed_with_some_bytes_replaced_breaks_nothing(
    seed: bytes, place: int, length: int, replacement: bytes
) -> None:
    place = 1 + place % len(seed)
    one_input(seed[:place] + replacement + seed[place + length :])


@given(st.integers(0, len(TARGETS) - 1), st.binary(max_size=64))
def test_any_bytes_break_nothing(target: int, data: bytes) -> None:
    one_input(b"%d" % target + data)


@pytest.mark.parametrize(("text", "length"), [(b"a\nbc", 1 + LONG), (b"a\n", 1), (b"a", 1)])
def test_a_unit_grows_to_the_length_that_shows_what_is_not_linear(text: bytes, length: int) -> None:
    assert len(grown(text)) == length
