"""`make bench`: measures everything, prints the page and keeps it.

Fewer rounds, or some parts alone, are for who works on the benchmark: these are not kept.
"""

import argparse
import time

from bench import report
from bench.run import PARTS, ROUNDS, measured


def main() -> None:
    """Measures what was asked for."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    arguments = parser.parse_args()
    if unknown := set(arguments.parts) - PARTS.keys():
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    start, conditions = time.monotonic(), report.conditions()
    sections = list(measured(arguments.rounds, arguments.parts or PARTS).values())
    page = report.page(sections, conditions, arguments.rounds, time.monotonic() - start)
    print(page)
    if not arguments.parts and arguments.rounds >= ROUNDS:
        report.keep(report.RESULTS, page, sections)
        report.DOCUMENT.write_text(report.documented(report.DOCUMENT.read_text(), page))


if __name__ == "__main__":
    main()
