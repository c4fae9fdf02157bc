"""What calls and the process cost as Markdown, each figure beside what it may be."""

from collections.abc import Mapping, Sequence
from typing import Final

from bench.bare import CORE
from bench.figures import TRANSPORTS, Figures, Spread, verification
from bench.markdown import met, table
from bench.section import Section
from bench.work import EMPTY, Work

MOST_START_SECONDS: Final = 0.7
MOST_RESIDENT_MIB: Final = 80.0
MOST_KEPT_MIB: Final = 150.0


def section(figures: Figures, kinds: Sequence[Work]) -> Section:
    """Everything that was measured of calls and of the process."""
    parts = [
        *(_calls(figures, kinds, transport) for transport in TRANSPORTS),
        _core(figures),
        _process(figures),
    ]
    return Section("\n\n".join(parts), _ratios(figures, kinds))


def _ratios(figures: Figures, kinds: Sequence[Work]) -> Mapping[str, Spread]:
    ratios: dict[str, Spread] = {}
    for transport in TRANSPORTS:
        for kind in kinds:
            if kind.name != EMPTY.name:
                ratios[f"{transport}: {kind.name}, in E"] = figures.in_empty_calls(transport, kind)
        resident = Spread(tuple(figures.resident[transport]))
        ratios[f"{transport}: memory at rest, of its budget"] = resident.over(MOST_RESIDENT_MIB)
    of_bare = zip(figures.bare[CORE], figures.bare[verification("RS256")], strict=True)
    ratios[f"{CORE}, in V"] = Spread(tuple(core / bare for core, bare in of_bare))
    kept = Spread(tuple(figures.kept))
    ratios["100,000 verified tokens kept, of their budget"] = kept.over(MOST_KEPT_MIB)
    return ratios


def _calls(figures: Figures, kinds: Sequence[Work], transport: str) -> str:
    head = ("call", "µs of CPU", "calls/s", "core busy", "in E", "n in E + n V", "budget", "met")
    rows = (_call(figures, kind, transport) for kind in kinds)
    return f"## Transport {transport}\n\n{table(head, rows)}"


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
        met(figures.of_budget(transport, kind, kind.budget)) if kind.budget else "",
    )


def _core(figures: Figures) -> str:
    rows = ((name, str(Spread(tuple(costs)))) for name, costs in figures.bare.items())
    return f"## Without a transport\n\n{table(('work', 'µs of CPU'), rows)}"


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
                met(start.over(MOST_START_SECONDS)),
            ),
            (
                f"memory at rest, {transport}, MiB resident",
                str(resident),
                f"{MOST_RESIDENT_MIB:g}",
                met(resident.over(MOST_RESIDENT_MIB)),
            ),
            (f"of it proportional, {transport}, MiB", str(proportional), "", ""),
        ]
    kept = Spread(tuple(figures.kept))
    rows.append(
        (
            "100,000 verified tokens kept, MiB more",
            f"{kept.median:.0f}",
            f"{MOST_KEPT_MIB:g}",
            met(kept.over(MOST_KEPT_MIB)),
        )
    )
    head = ("figure", "measured", "budget", "met")
    return f"## The process\n\n{table(head, rows)}"
