"""A page of plots is an SVG that shows what it was given."""

import xml.etree.ElementTree as ET

import pytest

from bench.figures import Spread
from bench.plots import HEIGHT, WIDTH, Plot, page, round_up

SVG = "{http://www.w3.org/2000/svg}"
FLAT = Plot("a < b", ("1", "100"), {"a": [Spread((1.0,)), Spread((0.5, 1.0, 1.5))]}, least_top=2.0)


def drawn(*plots: Plot) -> ET.Element:
    return ET.fromstring(page("More & more", plots))  # noqa: S314 - our own text


def heights(root: ET.Element) -> list[float]:
    return [float(one.attrib["cy"]) for one in root.iter(f"{SVG}circle")]


def test_it_has_titles_and_steps() -> None:
    texts = [one.text for one in drawn(FLAT).iter(f"{SVG}text")]
    assert {"More & more", "a < b", "1", "100", "0", "2"} <= set(texts)


def test_what_does_not_change_is_at_one_height() -> None:
    first, second = heights(drawn(FLAT))
    assert first == second


def test_what_doubles_is_twice_as_high() -> None:
    lines = {"a": [Spread((0.0,)), Spread((1.0,)), Spread((2.0,))]}
    zero, one, two = heights(drawn(Plot("", ("", "", ""), lines)))
    assert zero - two == pytest.approx(2 * (zero - one))


def test_a_bar_goes_from_the_least_to_the_most() -> None:
    bars = [one for one in drawn(FLAT).iter(f"{SVG}path") if "opacity" in one.attrib]
    low, high = bars[1].attrib["d"].split()[1].split("V")
    top = heights(drawn(FLAT))[1]
    assert float(low) - top == pytest.approx(top - float(high), abs=0.1)
    assert float(low) > float(high)


def test_two_stand_side_by_side_and_the_third_below() -> None:
    sizes = [drawn(*[FLAT] * number).attrib["viewBox"].split()[2:] for number in (1, 2, 3)]
    assert sizes == [
        [str(WIDTH), str(40 + HEIGHT)],
        [str(2 * WIDTH), str(40 + HEIGHT)],
        [str(2 * WIDTH), str(40 + 2 * HEIGHT)],
    ]


def test_only_lines_that_share_a_plot_are_named() -> None:
    both = Plot("", ("1",), {"one of two": [Spread((1.0,))], "other": [Spread((2.0,))]})
    assert "one of two" in page("", [both])
    assert ">a<" not in page("", [FLAT])


@pytest.mark.parametrize(
    ("value", "top"),
    [(1.0, 1), (1.01, 2), (2.0, 2), (3.9, 4), (4.1, 8), (8.1, 10), (0.03, 0.04)],
)
def test_the_axis_ends_at_a_round_number(value: float, top: float) -> None:
    assert round_up(value) == pytest.approx(top)
