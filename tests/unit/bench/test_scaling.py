"""Ratios are made within a round, and every step is in the table."""

from bench.figures import Spread
from bench.scaling import DRAWING, Line, section

LINE = Line([1, 1000], [[10.0, 11.0], [20.0, 20.0], [40.0, 36.0]])


def test_a_round_is_compared_with_its_own_first_step() -> None:
    assert LINE.costs() == [Spread((10.0, 20.0, 40.0)), Spread((11.0, 20.0, 36.0))]
    assert LINE.ratios() == [Spread((1.0, 1.0, 1.0)), Spread((1.1, 1.0, 0.9))]


def test_every_step_has_a_row_a_ratio_and_a_point() -> None:
    found = section({"rules": LINE})
    assert "| rules: 1,000 | 20.0 (11.0..36.0) | 1.00 (0.90..1.10) |" in found.text
    assert set(found.ratios) == {"rules: 1,000, in those of 1"}
    assert found.drawings[DRAWING].count("<circle") == 2
