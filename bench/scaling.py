"""What a call costs with more of everything that it looks things up in: it must not change."""

import gc
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from bench import plenty, servers
from bench.figures import TRANSPORTS, Spread
from bench.growths import REVOCATIONS, STORE, Growth, growths
from bench.load import Connection
from bench.markdown import table
from bench.numbered import NumberedTokens
from bench.plots import Plot, page
from bench.section import Section
from bench.target import CALLS, WARM_UP, Target
from bench.work import VALIDATE, Tokens, Work, configure, is_valid, validate_request

TOKENS: Final = (1, 100, 10_000, 100_000, 1_000_000)
REMEMBERED: Final = 100_000
"""Tokens, by default: of more, most are forgotten until they come back."""
OF_TOKENS: Final = "distinct tokens"
TITLE: Final = "A call's CPU time, as a multiple of the first step's: tokens seen before, native"
DRAWING: Final = "scaling.svg"
_AT_ONCE: Final = 10_000


@dataclass(frozen=True, slots=True)
class Step:
    """So much of something, and the sidecar that has it."""

    size: int
    work: Work
    target: Target

    def cost(self) -> float:
        """Microseconds of CPU time for a call."""
        return self.target.cost(self.work, self.work.requests(WARM_UP + CALLS)).cpu


@dataclass(frozen=True, slots=True)
class Line:
    """What one more round of every step costs."""

    sizes: Sequence[int]
    rounds: list[Sequence[float]] = field(default_factory=list)
    """Microseconds of CPU time for a call, at each size."""

    def costs(self) -> Sequence[Spread]:
        """At each size."""
        return [Spread(values) for values in zip(*self.rounds, strict=True)]

    def ratios(self) -> Sequence[Spread]:
        """The same, as multiples of the first one's in its round."""
        shares = ([cost / costs[0] for cost in costs] for costs in self.rounds)
        return [Spread(values) for values in zip(*shares, strict=True)]


@dataclass(frozen=True, slots=True)
class Stage:
    """Where sidecars are started, and what they are asked from another core."""

    root: Path
    core: int
    tokens: Tokens
    stack: ExitStack

    def target(self, name: str, method: str, growth: Growth | None = None, size: int = 0) -> Target:
        """A sidecar with so much of something, and a connection to it."""
        directory = self.root / name
        configuration = configure(directory, TRANSPORTS[0], self.tokens)
        if growth:
            settings = json.loads(configuration.read_text())
            growth.write(settings, directory, size)
            configuration.write_text(json.dumps(settings))
        with servers.on(self.core):
            sidecar = self.stack.enter_context(servers.sidecar(configuration))
        connection = self.stack.enter_context(Connection(str(directory / "socket"), method))
        return Target(sidecar, connection)


def measure(rounds: int) -> Section:
    """In each round every step once, those of a line one after another."""
    servers_core, load_core = servers.cores()
    with tempfile.TemporaryDirectory() as directory, servers.on(load_core), ExitStack() as stack:
        stage = Stage(Path(directory), servers_core, Tokens(), stack)
        revocations = stage.root / STORE
        plenty.revoke(revocations, REVOCATIONS[-1])
        steps = {OF_TOKENS: _of_tokens(stage)}
        for growth in growths(stage.tokens, revocations):
            steps[growth.name] = [_step(growth, size, stage) for size in growth.sizes]
        lines = {name: Line([step.size for step in line]) for name, line in steps.items()}
        gc.collect()
        gc.freeze()
        for _ in range(rounds):
            for name, line in steps.items():
                lines[name].rounds.append([step.cost() for step in line])
    return section(lines)


def _step(growth: Growth, size: int, stage: Stage) -> Step:
    """A sidecar that has seen the tokens that it is asked about."""
    target = stage.target(f"{growth.name} {size}", growth.method, growth, size)
    work = Work(growth.name, growth.method, _turns(growth.requests(size)), growth.is_right)
    step = Step(size, work, target)
    step.cost()
    return step


def _of_tokens(stage: Stage) -> Sequence[Step]:
    """Two sidecars: one has seen all that it remembers, one ten times as many."""
    numbered, random = NumberedTokens(), Random(1)  # noqa: S311

    def work(size: int) -> Work:
        def requests(number: int) -> Sequence[bytes]:
            return [validate_request(numbered.valid(random.randrange(size))) for _ in range(number)]

        return Work(OF_TOKENS, VALIDATE, requests, is_valid)

    held, many = (stage.target(name, VALIDATE) for name in ("held", "many"))
    for start in range(0, REMEMBERED, _AT_ONCE):
        each = range(start, start + _AT_ONCE)
        held.connection.call([validate_request(numbered.valid(one)) for one in each], 64)
        many.connection.call(work(TOKENS[-1]).requests(_AT_ONCE), 64)
    return [Step(one, work(one), held if one <= REMEMBERED else many) for one in TOKENS]


def _turns(requests: Sequence[bytes]) -> Callable[[int], Sequence[bytes]]:
    return lambda number: [requests[one % len(requests)] for one in range(number)]


def section(lines: Mapping[str, Line]) -> Section:
    """A table of every step, and a page of plots."""
    rows, ratios, plots = list[Sequence[str]](), dict[str, Spread](), list[Plot]()
    for name, line in lines.items():
        shares, names = line.ratios(), [f"{size:,}" for size in line.sizes]
        plots.append(Plot(name, names, {name: shares}, least_top=2.0))
        for size, cost, share in zip(names, line.costs(), shares, strict=True):
            rows.append((f"{name}: {size}", str(cost), str(share)))
            if size != names[0]:
                ratios[f"{name}: {size}, in those of {names[0]}"] = share
    head = ("much of what", "µs of CPU", "in those of the first step")
    text = f"## With more of everything\n\n{table(head, rows)}\n\n![{TITLE}]({DRAWING})"
    return Section(text, ratios, {DRAWING: page(TITLE, plots)})
