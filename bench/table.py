"""The figures as Markdown, each beside what it may be."""

import os
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench import full
from bench.figures import TRANSPORTS, Figures, Spread
from bench.work import Work
from sidecar import __version__

MOST_START_SECONDS: Final = 0.7
MOST_RESIDENT_MIB: Final = 80.0
MOST_KEPT_MIB: Final = 150.0
_PACKAGES: Final = ("grpcio", "pygrpc-native", "protobuf", "PyJWT", "cryptography", "aiohttp")


def conditions() -> str:
    """The machine, what ran and how busy it was, without anything that names the machine."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in info if line.startswith("model name"))
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    release = ".".join(platform.release().split(".")[:2])
    return (
        f"{next(models, platform.machine())}, {os.cpu_count()} cores, Linux {release}, "
        f"Python {platform.python_version()}, jwt-sidecar {__version__}, {packages}. "
        f"Load average before the run: {os.getloadavg()[0]:.2f}."
    )


def report(figures: Figures, kinds: Sequence[Work], conditions: str, seconds: float) -> str:
    """Everything that was measured."""
    rounds = len(next(iter(figures.starts.values())))
    parts = [
        "# What the sidecar costs",
        f"Median (least..most) of {rounds} interleaved rounds, in {seconds:.0f} s. {conditions}",
        *(_calls(figures, kinds, transport) for transport in TRANSPORTS),
        _core(figures),
        _process(figures),
    ]
    return "\n\n".join(parts) + "\n"


def _calls(figures: Figures, kinds: Sequence[Work], transport: str) -> str:
    head = ("call", "µs of CPU", "calls/s", "core busy", "in E", "n in E + n V", "budget", "met")
    rows = (_call(figures, kind, transport) for kind in kinds)
    return f"## Transport {transport}\n\n{_table(head, rows)}"


def _call(figures: Figures, kind: Work, transport: str) -> Sequence[str]:
    busy = figures.costs(transport, kind, lambda cost: cost.busy * 100)
    return (
        kind.name,
        str(figures.costs(transport, kind, lambda cost: cost.cpu)),
        str(figures.costs(transport, kind, lambda cost: cost.rate)),
        f"{busy.median:.0f} %",
        str(figures.in_empty_calls(transport, kind)),
        str(figures.beyond_empty(transport, kind)) if kind.verified else "",
        str(kind.budget or ""),
        _met(figures.of_budget(transport, kind, kind.budget)) if kind.budget else "",
    )


def _core(figures: Figures) -> str:
    rows = ((name, str(Spread(tuple(costs)))) for name, costs in figures.bare.items())
    return f"## Without a transport\n\n{_table(('work', 'µs of CPU'), rows)}"


def _process(figures: Figures) -> str:
    rows: list[Sequence[str]] = []
    for transport in TRANSPORTS:
        start = Spread(tuple(figures.starts[transport]))
        resident = Spread(tuple(figures.resident[transport]))
        proportional = Spread(tuple(figures.proportional[transport]))
        rows += [
            (
                f"start to ready, {transport}, s",
                str(start),
                f"{MOST_START_SECONDS:g}",
                _met(start.over(MOST_START_SECONDS)),
            ),
            (
                f"memory at rest, {transport}, MiB resident",
                str(resident),
                f"{MOST_RESIDENT_MIB:g}",
                _met(resident.over(MOST_RESIDENT_MIB)),
            ),
            (f"of it proportional, {transport}, MiB", str(proportional), "", ""),
        ]
    kept = Spread(tuple(figures.kept))
    rows.append(
        (
            "100,000 verified tokens kept, MiB more",
            f"{kept.median:.0f}",
            f"{MOST_KEPT_MIB:g}",
            _met(kept.over(MOST_KEPT_MIB)),
        )
    )
    for name, ratios in figures.full.items():
        ratio = Spread(tuple(ratios))
        unchanged = min(ratios) <= 1 <= max(ratios)
        rows.append(
            (
                f"{name}: with {full.NAME}, of one without",
                str(ratio),
                "no measurable change",
                "met" if unchanged or ratio.median < 1 else f"**missed**: {ratio.median - 1:.0%}",
            )
        )
    head = ("figure", "measured", "budget", "met")
    return f"## The process\n\n{_table(head, rows)}"


def _met(share: Spread) -> str:
    """Whether the median keeps the budget, and how much of it every round took."""
    percent = f"{share.median:.0%} ({min(share.values):.0%}..{max(share.values):.0%})"
    word = "met" if share.median <= 1 else "**missed**"
    if min(share.values) <= 1 < max(share.values):
        word += ", not in every round"
    return f"{word}: {percent}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = (head, ["---", *["---:"] * (len(head) - 1)], *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
