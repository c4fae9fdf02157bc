"""What a part of the benchmark found out."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.figures import Spread


@dataclass(frozen=True, slots=True)
class Section:
    """Figures to read, and those of them that another run can be compared with."""

    text: str
    """Markdown, with a heading of its own."""
    ratios: Mapping[str, Spread]
    """By what they are ratios of: less is better. Times of a machine are none."""
    drawings: Mapping[str, str] = field(default_factory=dict)
    """SVG by name of the file."""
