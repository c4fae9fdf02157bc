"""The text of a refresh token, and what can be told from what is kept of it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.token.reason import Reason, Refused
from sidecar.token.refresh_token import (
    HANDLE_BYTES,
    NONCE_BYTES,
    SECRET_BYTES,
    RefreshToken,
)

TOKEN = RefreshToken(bytes(range(HANDLE_BYTES)), b"\xfb" * SECRET_BYTES)
TEXT = TOKEN.text
NONCE = b"n" * NONCE_BYTES


def test_a_token_has_256_bits_that_nobody_guesses_and_is_known_by_its_prefix() -> None:
    assert SECRET_BYTES * 8 == 256
    assert TEXT == "jsr_AAECAwQFBgcICQoLDA0OD_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7-_v7"


@given(st.binary(min_size=48, max_size=48))
def test_every_token_is_read_back(data: bytes) -> None:
    token = RefreshToken(data[:HANDLE_BYTES], data[HANDLE_BYTES:])
    assert RefreshToken.parse(token.text) == token


@pytest.mark.parametrize(
    ("text", "reason", "words"),
    [
        pytest.param("", Reason.TOKEN_MISSING, "no refresh token", id="nothing"),
        pytest.param("e30.e30.e30", Reason.TOKEN_MALFORMED, "begin with jsr_", id="a JWT"),
        pytest.param(f"Bearer {TEXT}", Reason.TOKEN_MALFORMED, "begin with", id="a scheme"),
        pytest.param(TEXT.upper(), Reason.TOKEN_MALFORMED, "begin with", id="another case"),
        pytest.param(TEXT[:-1], Reason.TOKEN_MALFORMED, "67 characters and not 68", id="cut off"),
        pytest.param(f"{TEXT}A", Reason.TOKEN_MALFORMED, "69 characters", id="a character more"),
        pytest.param(f"{TEXT}\n", Reason.TOKEN_MALFORMED, "69 characters", id="a line end"),
        pytest.param(f"{TEXT[:-1]}=", Reason.TOKEN_MALFORMED, "base64url", id="padding"),
        pytest.param(f"{TEXT[:-1]} ", Reason.TOKEN_MALFORMED, "base64url", id="a space"),
        pytest.param(f"{TEXT[:-1]}+", Reason.TOKEN_MALFORMED, "base64url", id="of base64"),
        pytest.param(f"{TEXT[:-1]}\u00e9", Reason.TOKEN_MALFORMED, "base64url", id="not ASCII"),
    ],
)
def test_any_other_text_is_no_refresh_token(text: str, reason: Reason, words: str) -> None:
    with pytest.raises(Refused) as refused:
        RefreshToken.parse(text)
    assert refused.value.reason is reason
    assert words in refused.value.message
    assert not text or TEXT[8:40] not in refused.value.message


@given(st.text(max_size=80))
def test_whatever_comes_is_read_or_refused(text: str) -> None:
    with suppress(Refused):
        assert RefreshToken.parse(f"jsr_{text}").text == f"jsr_{text}"


def test_what_is_kept_tells_tokens_apart_and_nothing_else() -> None:
    next_one = TOKEN.followed_by(b"s" * SECRET_BYTES)
    elsewhere = RefreshToken(b"h" * HANDLE_BYTES, TOKEN.secret)
    assert next_one.family == TOKEN.family != elsewhere.family
    assert len({TOKEN.digest, next_one.digest, elsewhere.digest}) == 3
    for kept in (TOKEN.digest, bytes.fromhex(TOKEN.family)):
        assert kept not in TOKEN.handle + TOKEN.secret
        assert TOKEN.handle not in kept
    assert len(TOKEN.family) == 32


def test_an_answer_is_opened_by_the_very_token_that_sealed_it() -> None:
    sealed = TOKEN.seal(b"MARKER", NONCE)
    assert b"MARKER" not in sealed
    assert TOKEN.unseal(sealed) == b"MARKER"
    for other in (TOKEN.followed_by(b"s" * 32), RefreshToken(b"h" * 16, TOKEN.secret)):
        with pytest.raises(ValueError, match="damaged"):
            other.unseal(sealed)


@pytest.mark.parametrize(
    "sealed", [b"", NONCE, NONCE + bytes(16)], ids=["nothing", "short", "forged"]
)
def test_an_answer_that_is_damaged_is_none(sealed: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        TOKEN.unseal(sealed)


def test_no_token_is_in_a_repr() -> None:
    assert repr(TOKEN) == "RefreshToken()"
