"""Throughput, and how long a caller waits, at rising load."""

import gc
import tempfile
import time
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import servers
from bench.figures import TRANSPORTS, Spread
from bench.latency import closed, percentile
from bench.load import Connection
from bench.markdown import table
from bench.section import Section
from bench.target import CALLS, WARM_UP
from bench.work import EMPTY, VALIDATE, Tokens, configure, is_valid, validate_request

IN_FLIGHT: Final = (1, 4, 16, 64, 256)


@dataclass(frozen=True, slots=True)
class Wave:
    """Calls with so many in flight, in one round."""

    rate: float
    """Calls in a second."""
    p50: float
    """Microseconds that half of the calls take at most."""
    p99: float


def wave(connection: Connection, request: bytes, in_flight: int) -> tuple[Wave, list[bytes]]:
    """Makes the calls of a round; gives the answers too."""
    closed(connection, [request] * WARM_UP, in_flight)
    start = time.perf_counter()
    seconds, answers = closed(connection, [request] * CALLS, in_flight)
    rate = CALLS / (time.perf_counter() - start)
    p50, p99 = (percentile(seconds, share) * 1e6 for share in (0.5, 0.99))
    return Wave(rate, p50, p99), list(answers)


Waves = defaultdict[tuple[str, int], list[tuple[Wave, Wave]]]
"""By transport and calls in flight: those to the sidecar, and then to the empty handler."""


def measure(rounds: int) -> Section:
    """In each round every load once, on the sidecar and right after on the empty handler."""
    servers_core, load_core = servers.cores()
    tokens, waves = Tokens(), Waves(list)
    request = validate_request(tokens.new("RS256"))
    with tempfile.TemporaryDirectory() as directory, servers.on(load_core), ExitStack() as stack:
        root = Path(directory)
        with servers.on(servers_core):
            connections = {one: _connections(root / one, one, tokens, stack) for one in TRANSPORTS}
        gc.freeze()
        for _ in range(rounds):
            for transport, (sidecar, empty) in connections.items():
                for in_flight in IN_FLIGHT:
                    asked, answers = wave(sidecar, request, in_flight)
                    if not all(map(is_valid, answers)):
                        raise RuntimeError("an answer is wrong")
                    bare, _ = wave(empty, b"", in_flight)
                    waves[transport, in_flight].append((asked, bare))
    return section(waves)


def _connections(
    directory: Path, transport: str, tokens: Tokens, stack: ExitStack
) -> tuple[Connection, Connection]:
    stack.enter_context(servers.sidecar(configure(directory, transport, tokens)))
    stack.enter_context(servers.empty(directory / "empty", transport))
    sidecar = stack.enter_context(Connection(str(directory / "socket"), VALIDATE))
    return sidecar, stack.enter_context(Connection(str(directory / "empty"), EMPTY.method))


def section(waves: Waves) -> Section:
    """A table for each transport."""
    head = ("calls in flight", "calls/s", "p50, µs", "p99, µs", "p50 in E's", "p99 in E's")
    tables, ratios = list[str](), dict[str, Spread]()
    for transport in TRANSPORTS:
        rows = []
        for in_flight in IN_FLIGHT:
            rounds = waves[transport, in_flight]
            p50 = Spread(tuple(one.p50 / empty.p50 for one, empty in rounds))
            p99 = Spread(tuple(one.p99 / empty.p99 for one, empty in rounds))
            rows.append(
                (
                    f"{in_flight}",
                    str(Spread(tuple(one.rate for one, _ in rounds))),
                    str(Spread(tuple(one.p50 for one, _ in rounds))),
                    str(Spread(tuple(one.p99 for one, _ in rounds))),
                    str(p50),
                    str(p99),
                )
            )
            ratios[f"{transport}: p50 with {in_flight} in flight, in E's"] = p50
            ratios[f"{transport}: p99 with {in_flight} in flight, in E's"] = p99
        tables.append(f"Transport {transport}:\n\n{table(head, rows)}")
    title = "## ValidateToken, token seen before, at rising load"
    return Section("\n\n".join([title, *tables]), ratios)
