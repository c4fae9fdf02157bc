"""A token that differs in one character from the one that was signed is refused."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.token import base64url, jws
from sidecar.token.keyset import KeySet
from sidecar.token.reason import Refused
from sidecar.token.request import Refusal
from sidecar.token.snapshot import Issuer
from tests.authors import ALL_ALGORITHMS, author, key_set
from tests.tokens import assert_passes, issuer, judge, mint

ALPHABET = string.ascii_letters + string.digits + "-_"
OUTSIDE = ".=+/ \t\n\0%é\ud800"


def signed(algorithm: str) -> tuple[str, Issuer]:
    """A good token and the issuer that it is from."""
    by = author(algorithm)
    secret = algorithm.startswith("HS")
    keys = KeySet((by.secret_key(),)) if secret else key_set(by)
    return mint(by), issuer(keys=keys, algorithms=frozenset({algorithm}))


TOKENS = {algorithm: signed(algorithm) for algorithm in ALL_ALGORITHMS}


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_the_token_itself_passes(algorithm: str) -> None:
    assert_passes(judge(*TOKENS[algorithm]))


def test_no_character_can_be_replaced_by_any_other() -> None:
    token, party = TOKENS["HS256"]
    for place, character in enumerate(token):
        for other in ALPHABET + OUTSIDE:
            changed = token[:place] + other + token[place + 1 :]
            assert other == character or isinstance(judge(changed, party), Refusal), changed


@pytest.mark.parametrize("algorithm", ALL_ALGORITHMS)
def test_nothing_can_be_left_out(algorithm: str) -> None:
    token, party = TOKENS[algorithm]
    for place in range(len(token)):
        assert isinstance(judge(token[:place] + token[place + 1 :], party), Refusal), place


@given(
    st.sampled_from(ALL_ALGORITHMS),
    st.integers(0, 10_000),
    st.integers(0, 1),
    st.sampled_from(ALPHABET + OUTSIDE) | st.characters(codec="utf-8"),
)
def test_nothing_can_be_put_in_or_replaced(
    algorithm: str, place: int, length: int, character: str
) -> None:
    token, party = TOKENS[algorithm]
    place %= len(token) + 1
    changed = token[:place] + character + token[place + length :]
    assert changed == token or isinstance(judge(changed, party), Refusal)


@given(st.sampled_from(ALL_ALGORITHMS), st.data())
def test_no_two_characters_can_change_places(algorithm: str, data: st.DataObject) -> None:
    token, party = TOKENS[algorithm]
    places = data.draw(st.lists(st.integers(0, len(token) - 1), min_size=2, max_size=2))
    characters = list(token)
    characters[places[0]], characters[places[1]] = token[places[1]], token[places[0]]
    changed = "".join(characters)
    assert changed == token or isinstance(judge(changed, party), Refusal)


@given(st.integers(0, 10_000), st.text(alphabet=ALPHABET + OUTSIDE, max_size=2), st.integers(0, 2))
def test_what_still_parses_has_one_spelling(place: int, replacement: str, length: int) -> None:
    token, _ = TOKENS["HS256"]
    place %= len(token) + 1
    changed = token[:place] + replacement + token[place + length :]
    try:
        parsed = jws.parse(changed, 32)
    except Refused:
        return
    assert parsed.signing_input + b"." + base64url.encode(parsed.signature) == changed.encode()
    assert base64url.encode(parsed.payload) == changed.split(".")[1].encode()
