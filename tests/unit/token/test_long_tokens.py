"""Of a token that is too long, nothing but its length is read."""

from typing import Any

import pytest

from sidecar.engine import Engine
from sidecar.token.reason import Reason
from sidecar.token.request import Request
from sidecar.token.snapshot import Limits
from tests.tokens import NOW, assert_refused, consumers, issuer, judge, mint, world


class OnlyLength(str):
    """A text that fails whoever asks it for anything but its length."""

    __slots__ = ()


def _refuse(name: str) -> Any:
    def refuse(self: OnlyLength, *_: object, **__: object) -> None:
        raise AssertionError(f"{name} was called on a token that is too long")

    return refuse


KEPT = {"__len__", "__new__", "__init__", "__class__", "__getattribute__", "__init_subclass__"}
for name in set(dir(str)) - KEPT:
    if callable(getattr(str, name)) and name != "__subclasshook__":
        setattr(OnlyLength, name, _refuse(name))

LONG = [
    pytest.param("x" * 1_000_000, id="1 MB"),
    pytest.param("." * 1_000_000, id="a million dots"),
    pytest.param("é" * 1_000_000, id="not ASCII"),
    pytest.param(" " * 1_000_000, id="a million spaces"),
    pytest.param("Bearer " * 150_000, id="the scheme, again and again"),
    pytest.param(mint() + "A" * 16_384, id="a good token, made longer"),
]


@pytest.mark.parametrize("text", LONG)
def test_only_the_length_is_read(text: str) -> None:
    verdict = judge(OnlyLength(text), issuer(), consumers())
    assert_refused(verdict, Reason.TOKEN_TOO_LARGE, f"{len(text)} characters", "16384")


@pytest.mark.parametrize("text", LONG)
async def test_the_engine_reads_no_more(text: str) -> None:
    engine = Engine(world(issuer(), consumers()), lambda: NOW, lambda: "id")
    assert_refused(await engine.decide(Request(OnlyLength(text))), Reason.TOKEN_TOO_LARGE)


def test_one_that_is_short_enough_is_read() -> None:
    """So that the tests above would notice."""
    with pytest.raises(AssertionError, match="count was called"):
        judge(OnlyLength("." * 16_384), Limits(token_bytes=16_384))
