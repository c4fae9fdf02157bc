"""`make bench-check`: measures again, and names what costs more than it did.

Compares ratios, which carry over to other machines, with those that were kept.
"""

import argparse
import sys
from collections.abc import Mapping
from typing import Final

from bench import report
from bench.figures import Spread
from bench.run import ROUNDS, measured
from bench.section import Section

MARGIN: Final = 1.1
"""What a median may grow by: two runs of the same code differ by where their memory lies."""


def is_worse(before: Spread, now: Spread) -> bool:
    """Whether each median is beyond all that the other run saw, and by more than the margin."""
    beyond = now.median > max(before.values) and before.median < min(now.values)
    return beyond and now.median > before.median * MARGIN


def worse(before: Mapping[str, Spread], now: Mapping[str, Spread]) -> set[str]:
    """The names of those that got worse."""
    return {name for name in before.keys() & now.keys() if is_worse(before[name], now[name])}


def suspects(before: Mapping[str, Spread], sections: Mapping[str, Section]) -> list[str]:
    """The parts in which something got worse."""
    return [name for name, section in sections.items() if worse(before, section.ratios)]


def main() -> int:
    """Measures, compares, and gives the exit status: 1 where something got worse.

    A part with something worse in it is measured a second time, and what counts is worse in both:
    a machine may be busy with something else for a minute. Fails before it measures where nothing
    was kept.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    before = report.kept(report.RESULTS)
    sections = measured(rounds)
    now = report.ratios(sections.values())
    again = report.ratios(measured(rounds, suspects(before, sections)).values())
    found = worse(before, now) & worse(before, again)
    for name in sorted(found):
        print(f"worse: {name}: {now[name]} and {again[name]}, was {before[name]}")
    gone = before.keys() - now.keys()
    for name in sorted(gone):
        print(f"not measured any more: {name}")
    for name in sorted(now.keys() - before.keys()):
        print(f"not kept yet: {name}")
    print(f"{len(found)} of {len(before)} ratios got worse")
    return 1 if found or gone else 0


if __name__ == "__main__":
    sys.exit(main())
