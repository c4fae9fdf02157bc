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

MARGIN: Final = 1.1
"""What a median may grow by: two runs of the same code differ by where their memory lies."""


def is_worse(before: Spread, now: Spread) -> bool:
    """Whether each median is beyond all that the other run saw, and by more than the margin."""
    beyond = now.median > max(before.values) and before.median < min(now.values)
    return beyond and now.median > before.median * MARGIN


def complaints(before: Mapping[str, Spread], now: Mapping[str, Spread]) -> list[str]:
    """A line for each ratio that got worse, or that is no longer measured."""
    worse = [
        f"{name}: {now[name]}, was {spread}"
        for name, spread in before.items()
        if name in now and is_worse(spread, now[name])
    ]
    return worse + [f"{name}: not measured any more" for name in before if name not in now]


def main() -> int:
    """Measures, compares, and gives the exit status: 1 where something got worse.

    Fails before it measures where nothing was kept.
    """
    parser = argparse.ArgumentParser(prog="python -m bench.check", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    before = report.kept(report.RESULTS)
    now = report.ratios(measured(parser.parse_args().rounds))
    found = complaints(before, now)
    print("\n".join(found) or f"None of {len(before)} ratios got worse.")
    for name in now.keys() - before.keys():
        print(f"{name}: not kept yet")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
