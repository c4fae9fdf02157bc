"""A page of small plots as an SVG: lines that should be flat, above even steps of what grows."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final
from xml.sax.saxutils import escape

from bench.figures import Spread

COLUMNS: Final = 2
WIDTH: Final = 470
HEIGHT: Final = 230
"""Of one plot, with all that is around it."""
_HEAD: Final = 40
_LEFT: Final = 50
_RIGHT: Final = 450
_TOP: Final = 46
_BOTTOM: Final = 190
_COLOURS: Final = ("#1f5fa8", "#c0392b", "#2e8b57", "#8e5ea2")


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines above the same steps."""

    title: str
    steps: Sequence[str]
    """What stands below, from left to right."""
    lines: Mapping[str, Sequence[Spread]]
    """A value for each step: its median is drawn, with a bar from the least to the most."""
    least_top: float = 0.0
    """How far up the axis goes at least, so that what is nearly flat looks so."""

    @property
    def top(self) -> float:
        """The round number where the axis ends; it starts at 0."""
        highest = max(max(one.values) for one in chain.from_iterable(self.lines.values()))
        return round_up(max(highest, self.least_top))


def round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 and 10 times a power of ten."""
    power: float = 10.0 ** math.floor(math.log10(value))
    return next(one * power for one in (1, 2, 4, 8, 10) if value <= one * power)


def page(title: str, plots: Sequence[Plot]) -> str:
    """All plots, from left to right and down."""
    rows = math.ceil(len(plots) / COLUMNS)
    width, height = WIDTH * min(COLUMNS, len(plots)), _HEAD + HEIGHT * rows
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        'font-family="sans-serif" font-size="11">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text x="16" y="26" font-size="15">{escape(title)}</text>',
    ]
    for number, plot in enumerate(plots):
        row, column = divmod(number, COLUMNS)
        parts.append(f'<g transform="translate({column * WIDTH} {_HEAD + row * HEIGHT})">')
        parts += _drawn(plot)
        parts.append("</g>")
    return "\n".join([*parts, "</svg>"]) + "\n"


def _drawn(plot: Plot) -> Iterator[str]:
    yield f'<text x="{_LEFT}" y="16" font-size="13">{escape(plot.title)}</text>'
    for quarter in range(5):
        yield _row(plot.top * quarter / 4, plot.top)
    for number, step in enumerate(plot.steps):
        x = _x(number, len(plot.steps))
        yield f'<text x="{x:.1f}" y="{_BOTTOM + 18}" text-anchor="middle">{escape(step)}</text>'
    for number, (name, values) in enumerate(plot.lines.items()):
        colour = _COLOURS[number]
        yield from _line(values, plot.top, colour)
        if len(plot.lines) > 1:
            x = _LEFT + number * 190
            yield f'<path d="M{x} 31h18" stroke="{colour}" stroke-width="3"/>'
            yield f'<text x="{x + 23}" y="35">{escape(name)}</text>'


def _row(value: float, top: float) -> str:
    y = _y(value, top)
    return (
        f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="#ddd"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>'
    )


def _line(values: Sequence[Spread], top: float, colour: str) -> Iterator[str]:
    points = [(_x(number, len(values)), _y(one.median, top)) for number, one in enumerate(values)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
    for (x, y), one in zip(points, values, strict=True):
        low, high = _y(min(one.values), top), _y(max(one.values), top)
        yield f'<path d="M{x:.1f} {low:.1f}V{high:.1f}" stroke="{colour}" opacity="0.5"/>'
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" fill="{colour}"/>'


def _x(step: int, steps: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (step + 0.5) / steps


def _y(value: float, top: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * value / top
