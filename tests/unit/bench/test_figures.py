"""Percentiles and spreads."""

import pytest

from bench.figures import Spread
from bench.latency import percentile

HUNDRED = [float(number) for number in range(100, 0, -1)]


@pytest.mark.parametrize(
    ("seconds", "share", "expected"),
    [
        (HUNDRED, 0.5, 50.0),
        (HUNDRED, 0.99, 99.0),
        (HUNDRED, 0.991, 100.0),
        (HUNDRED, 1.0, 100.0),
        (HUNDRED, 0.0, 1.0),
        ([7.0], 0.99, 7.0),
        ([1.0, 2.0], 0.5, 1.0),
        ([1.0, 2.0], 0.51, 2.0),
    ],
)
def test_a_percentile_is_the_least_value_that_so_many_do_not_exceed(
    seconds: list[float], share: float, expected: float
) -> None:
    assert percentile(seconds, share) == expected


def test_a_spread_is_its_median_and_its_ends() -> None:
    assert str(Spread((3.0, 1.0, 200.0))) == "3.00 (1.00..200)"


def test_a_share_is_made_of_every_round() -> None:
    assert Spread((1.0, 3.0)).over(2.0).values == (0.5, 1.5)
