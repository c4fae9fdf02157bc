"""`make bench`: measures everything in rounds, so that the machine's moods hit all alike."""

import gc
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import bare, full, servers, table
from bench.figures import TRANSPORTS, Cost, Figures
from bench.load import Connection
from bench.work import EMPTY, Tokens, Work, configure, works

ROUNDS: Final = 7
CALLS: Final = 1000
"""Of each kind in a round."""
WARM_UP: Final = 100
"""Calls before these, which are not counted."""
_LATEST: Final = Path(__file__).parent / "results" / "latest.md"


@dataclass(frozen=True, slots=True)
class Target:
    """A running server, and a connection to it for one kind of call."""

    server: servers.Server
    connection: Connection

    def cost(self, work: Work, requests: Sequence[bytes], empty: float = 0.0) -> Cost:
        """What these calls cost after the first few; raises RuntimeError where one goes wrong."""
        self.connection.call(requests[:WARM_UP], work.in_flight)
        requests = requests[WARM_UP:]
        start, before = time.perf_counter(), self.server.cpu_seconds()
        answers = self.connection.call(requests, work.in_flight)
        cpu, seconds = self.server.cpu_seconds() - before, time.perf_counter() - start
        if not all(map(work.is_right, answers)):
            raise RuntimeError(f"{work.name}: an answer is wrong")
        return Cost(cpu / len(requests) * 1e6, len(requests) / seconds, cpu / seconds, empty)


def main() -> None:
    """Measures, prints the tables and keeps them."""
    start = time.monotonic()
    conditions = table.conditions()
    servers_core, load_core = servers.cores()
    tokens = Tokens()
    kinds = works(tokens)
    figures = Figures()
    with tempfile.TemporaryDirectory() as directory, servers.on(load_core), ExitStack() as stack:
        root = Path(directory)
        with servers.on(servers_core):
            targets = _targets(root, tokens, kinds, stack)
            looked_up = _full_targets(root, tokens, kinds, stack)
        configurations = {one: configure(root / f"new-{one}", one, tokens) for one in TRANSPORTS}
        operations = bare.operations(tokens, configurations[TRANSPORTS[0]])
        gc.collect()
        gc.freeze()
        for number in range(1, ROUNDS + 1):
            print(f"round {number} of {ROUNDS}", flush=True)
            _measure_calls(figures, kinds, targets)
            _measure_full(figures, kinds, targets, looked_up)
            with servers.on(servers_core):
                for name, operation in operations.items():
                    figures.bare[name].append(bare.cost(operation))
                for transport, configuration in configurations.items():
                    _measure_start(figures, transport, configuration)
        figures.kept.append(servers.printed("bench.kept", str(configurations[TRANSPORTS[0]])))
    report = table.report(figures, kinds, conditions, time.monotonic() - start)
    _LATEST.write_text(report)
    print(report)


def _targets(
    root: Path, tokens: Tokens, kinds: Sequence[Work], stack: ExitStack
) -> Mapping[tuple[str, str], Target]:
    """Starts the servers of every transport; a target for each transport and kind of call."""
    targets = {}
    for transport in TRANSPORTS:
        directory = root / transport
        configuration = configure(directory, transport, tokens)
        sidecar = stack.enter_context(servers.sidecar(configuration))
        empty = stack.enter_context(servers.empty(directory / "empty", transport))
        for kind in kinds:
            is_empty = kind.method == EMPTY.method
            path = directory / ("empty" if is_empty else "socket")
            connection = stack.enter_context(Connection(str(path), kind.method))
            targets[transport, kind.name] = Target(empty if is_empty else sidecar, connection)
    return targets


def _measure_calls(
    figures: Figures, kinds: Sequence[Work], targets: Mapping[tuple[str, str], Target]
) -> None:
    """One round: every kind of call on every transport, each right after as many empty calls."""
    empty_requests = EMPTY.requests(WARM_UP + CALLS)
    for kind in kinds:
        requests = kind.requests(WARM_UP + CALLS)
        for transport in TRANSPORTS:
            empty = targets[transport, EMPTY.name].cost(EMPTY, empty_requests).cpu
            cost = targets[transport, kind.name].cost(kind, requests, empty)
            figures.calls[transport, kind.name].append(cost)


def _full_targets(
    root: Path, tokens: Tokens, kinds: Sequence[Work], stack: ExitStack
) -> Mapping[str, Target]:
    """A sidecar with very much to look up, for tokens that were seen before."""
    configuration = configure(root / "full", TRANSPORTS[0], tokens)
    full.fill(configuration, tokens)
    sidecar = stack.enter_context(servers.sidecar(configuration))
    path = str(root / "full" / "socket")
    return {
        kind.name: Target(sidecar, stack.enter_context(Connection(path, kind.method)))
        for kind in kinds
        if kind.name.endswith("token seen before")
    }


def _measure_full(
    figures: Figures,
    kinds: Sequence[Work],
    targets: Mapping[tuple[str, str], Target],
    looked_up: Mapping[str, Target],
) -> None:
    """One round: calls to the sidecar that has much, right after those to the one that has not."""
    for kind in kinds:
        if kind.name in looked_up:
            requests = kind.requests(WARM_UP + CALLS)
            without = targets[TRANSPORTS[0], kind.name].cost(kind, requests).cpu
            cost = looked_up[kind.name].cost(kind, requests).cpu
            figures.full[kind.name].append(cost / without)


def _measure_start(figures: Figures, transport: str, configuration: Path) -> None:
    with servers.sidecar(configuration) as server:
        resident, proportional = server.memory()
    figures.starts[transport].append(server.start_seconds)
    figures.resident[transport].append(resident)
    figures.proportional[transport].append(proportional)


if __name__ == "__main__":
    main()
