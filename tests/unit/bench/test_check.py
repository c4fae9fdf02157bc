"""What `make bench-check` calls worse."""

import pytest

from bench.check import is_worse, suspects, worse
from bench.figures import Spread
from bench.section import Section

BEFORE = Spread((1.9, 2.0, 2.1))


@pytest.mark.parametrize(
    ("now", "is_so"),
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
    now: tuple[float, ...], is_so: bool
) -> None:
    assert is_worse(BEFORE, Spread(now)) is is_so


def test_a_median_within_what_was_seen_before_is_not_worse() -> None:
    assert not is_worse(Spread((1.0, 1.0, 9.0)), Spread((5.0, 5.0, 5.0)))


def test_a_value_that_is_measured_once_may_grow_by_the_margin() -> None:
    assert not is_worse(Spread((1.0,)), Spread((1.1,)))
    assert is_worse(Spread((1.0,)), Spread((1.11,)))


def test_only_what_both_runs_have_is_compared() -> None:
    higher = Spread((3.0, 3.0, 3.1))
    before = {"a": BEFORE, "b": BEFORE, "gone": BEFORE}
    assert worse(before, {"a": higher, "b": BEFORE, "new": higher}) == {"a"}


def test_a_part_with_something_worse_in_it_is_suspect() -> None:
    higher = Section("", {"a": Spread((3.0, 3.0, 3.1)), "b": BEFORE})
    same = Section("", {"c": BEFORE})
    before = {"a": BEFORE, "b": BEFORE, "c": BEFORE}
    assert suspects(before, {"calls": higher, "floods": same}) == ["calls"]
