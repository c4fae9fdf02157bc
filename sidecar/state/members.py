"""Members of a record of the store, of which only the very type that was written is taken."""

import sys
from typing import Final

_LARGEST: Final = sys.float_info.max


def text(value: object) -> str:
    """A string; raises ValueError for anything else."""
    if not isinstance(value, str):
        raise ValueError("no text")
    return value


def number(value: object) -> float:
    """A finite number; raises ValueError for anything else, text and truth values too."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("no number")
    if not -_LARGEST <= value <= _LARGEST:
        raise ValueError("no finite number")
    return float(value)
