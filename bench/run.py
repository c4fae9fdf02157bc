"""The parts of the benchmark, one after another."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bench import calls, floods, proxied, rising, scaling
from bench.section import Section

ROUNDS: Final = 7
PARTS: Final[Mapping[str, Callable[[int], Section]]] = {
    "calls": calls.measure,
    "envoy": proxied.measure,
    "load": rising.measure,
    "scaling": scaling.measure,
    "floods": floods.measure,
}


def measured(rounds: int, names: Sequence[str] = ()) -> list[Section]:
    """What these parts find out, or all of them."""
    sections = []
    for name in names or PARTS:
        print(f"measuring {name}", flush=True)
        sections.append(PARTS[name](rounds))
    return sections
