"""A day of requests as an SVG: two lines over 24 hours, on a logarithmic scale."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

WIDTH: Final = 960
HEIGHT: Final = 420
_LEFT: Final = 64
_RIGHT: Final = 940
_TOP: Final = 70
_BOTTOM: Final = 370
_DECADES: Final = 5
_HOUR: Final = 3600
_MINUTE: Final = 60
_NAIVE: Final = "#c0392b"
_PRODUCT: Final = "#1f5fa8"


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the day, in seconds since its start."""

    name: str
    began: float
    ended: float


def chart(title: str, product: Sequence[int], naive: Sequence[int], phases: Sequence[Phase]) -> str:
    """The SVG: of every minute its busiest second, with the named parts of the day above."""
    length = len(product) - 1
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="20" font-size="15">{escape(title)}</text>',
        _key(_LEFT, _PRODUCT, "jwt-sidecar"),
        _key(_LEFT + 130, _NAIVE, "naive cache with a fixed interval"),
        f'<text x="{_RIGHT}" y="40" text-anchor="end" fill="#555">busiest second of each '
        "minute</text>",
        *(_band(phase, length) for phase in phases if phase.ended - phase.began <= _HOUR / 2),
        *(_row(power) for power in range(_DECADES + 1)),
        *(_hour(hour, length) for hour in range(0, length // _HOUR + 1, 2)),
        _line(naive, length, _NAIVE, 1.0),
        _line(product, length, _PRODUCT, 1.6),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _key(x: int, colour: str, text: str) -> str:
    return (
        f'<path d="M{x} 36h24" stroke="{colour}" stroke-width="3"/>'
        f'<text x="{x + 30}" y="40">{text}</text>'
    )


def _band(phase: Phase, length: int) -> str:
    x, end = _x(phase.began, length), _x(phase.ended, length)
    return (
        f'<rect x="{x:.1f}" y="{_TOP}" width="{max(end - x, 1):.1f}" height="{_BOTTOM - _TOP}" '
        f'fill="#eee"/><text x="{x:.1f}" y="{_TOP - 8}" fill="#555">{escape(phase.name)}</text>'
    )


def _row(power: int) -> str:
    y = _y(10**power)
    return (
        f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="#ddd"/>'
        f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10**power:,}</text>'
    )


def _hour(hour: int, length: int) -> str:
    x = _x(hour * _HOUR, length)
    return f'<text x="{x:.1f}" y="{_BOTTOM + 20}" text-anchor="middle">{hour} h</text>'


def _line(requests: Sequence[int], length: int, colour: str, width: float) -> str:
    steps: list[str] = []
    previous = ""
    for minute in range(0, length, _MINUTE):
        y = f"{_y(max(requests[minute : minute + _MINUTE])):.1f}"
        if y != previous:
            steps.append(f"{'H' if steps else 'M'}{_x(minute, length):.1f}")
            steps.append(f"{'V' if len(steps) > 1 else ' '}{y}")
            previous = y
    steps.append(f"H{_RIGHT}")
    return f'<path d="{"".join(steps)}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _x(second: float, length: int) -> float:
    return _LEFT + (_RIGHT - _LEFT) * second / length


def _y(requests: float) -> float:
    """Less than one in any second of a minute lies on the axis."""
    return _BOTTOM - (_BOTTOM - _TOP) * math.log10(max(requests, 1)) / _DECADES
