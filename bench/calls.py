"""What each kind of call costs, and the process itself."""

import gc
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from bench import bare, servers, table
from bench.figures import TRANSPORTS, Figures
from bench.load import Connection
from bench.section import Section
from bench.target import CALLS, WARM_UP, Target
from bench.work import EMPTY, Tokens, Work, configure, works


def measure(rounds: int) -> Section:
    """Measures in rounds, so that the machine's moods hit all alike."""
    servers_core, load_core = servers.cores()
    tokens = Tokens()
    kinds = works(tokens)
    figures = Figures()
    with tempfile.TemporaryDirectory() as directory, servers.on(load_core), ExitStack() as stack:
        root = Path(directory)
        with servers.on(servers_core):
            targets = _targets(root, tokens, kinds, stack)
        configurations = {one: configure(root / f"new-{one}", one, tokens) for one in TRANSPORTS}
        operations = bare.operations(tokens, configurations[TRANSPORTS[0]])
        gc.collect()
        gc.freeze()
        for _ in range(rounds):
            _measure_calls(figures, kinds, targets)
            with servers.on(servers_core):
                for name, operation in operations.items():
                    figures.bare[name].append(bare.cost(operation))
                for transport, configuration in configurations.items():
                    _measure_start(figures, transport, configuration)
        figures.kept.append(servers.printed("bench.kept", str(configurations[TRANSPORTS[0]])))
    return table.section(figures, kinds)


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


def _measure_start(figures: Figures, transport: str, configuration: Path) -> None:
    with servers.sidecar(configuration) as server:
        resident, proportional = server.memory()
    figures.starts[transport].append(server.start_seconds)
    figures.resident[transport].append(resident)
    figures.proportional[transport].append(proportional)
