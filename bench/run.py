"""The parts of the benchmark, one after another."""

from collections.abc import Callable, Iterable, Mapping
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


def measured(rounds: int, names: Iterable[str] = PARTS) -> dict[str, Section]:
    """What these parts find out, by name."""
    sections = {}
    for name in names:
        print(f"measuring {name}", flush=True)
        sections[name] = PARTS[name](rounds)
    return sections
