"""What `make bench-check` calls worse."""

import pytest

from bench.check import complaints, is_worse
from bench.figures import Spread

BEFORE = Spread((1.9, 2.0, 2.1))


@pytest.mark.parametrize(
    ("now", "worse"),
    [
        pytest.param((1.9, 2.0, 2.1), False, id="the same"),
        pytest.param((2.2, 2.3, 2.4), True, id="beyond all rounds and the margin"),
        pytest.param((2.11, 2.2, 2.4), False, id="at the margin, not beyond it"),
        pytest.param((2.11, 2.21, 2.4), True, id="just beyond the margin"),
        pytest.param((1.9, 2.4, 2.5), False, id="one round as good as the median was"),
        pytest.param((2.0, 2.4, 2.5), False, id="one round just as the median was"),
        pytest.param((1.0, 1.1, 1.2), False, id="better"),
    ],
)
def test_worse_is_what_is_beyond_the_spread_and_the_margin(
    now: tuple[float, ...], worse: bool
) -> None:
    assert is_worse(BEFORE, Spread(now)) is worse


def test_a_median_within_what_was_seen_before_is_not_worse() -> None:
    assert not is_worse(Spread((1.0, 1.0, 9.0)), Spread((5.0, 5.0, 5.0)))


def test_a_value_that_is_measured_once_may_grow_by_the_margin() -> None:
    assert not is_worse(Spread((1.0,)), Spread((1.1,)))
    assert is_worse(Spread((1.0,)), Spread((1.11,)))


def test_what_got_worse_is_named_with_both_figures() -> None:
    before = {"a": BEFORE, "b": BEFORE}
    now = {"a": Spread((3.0, 3.0, 3.1)), "b": BEFORE}
    assert complaints(before, now) == ["a: 3.00 (3.00..3.10), was 2.00 (1.90..2.10)"]


def test_what_is_no_longer_measured_is_named_and_what_is_new_is_not() -> None:
    assert complaints({"a": BEFORE}, {"b": BEFORE}) == ["a: not measured any more"]
