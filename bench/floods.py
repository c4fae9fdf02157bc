"""What a flood of others' calls does to who asks about tokens that were seen, and to the memory."""

import contextlib
import gc
import json
import select
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench import servers
from bench.figures import TRANSPORTS, Spread
from bench.flooder import FLOODS, READY, REMOTE
from bench.latency import paced, percentile
from bench.load import Connection
from bench.markdown import met, table
from bench.numbered import NumberedTokens
from bench.plots import Plot, page
from bench.section import Section
from bench.servers import Server
from bench.work import AUDIENCE, VALIDATE, Tokens, configure, is_valid, validate_request

RATE: Final = 500.0
"""Calls a second about tokens that were seen."""
SEEN: Final = 100
"""Such tokens."""
QUIET: Final = 1.0
"""Seconds without a flood, in each round."""
CALLS: Final = {
    ("native", 1): 1000,
    ("native", 64): 30_000,
    ("grpcio", 1): 600,
    ("grpcio", 64): 2000,
}
"""Of a flood in a round, by transport and calls in flight. Together those of native are more than
a sidecar remembers of any kind."""
MOST_ROUNDS: Final = 5
MOST_SLOWER: Final = 2.0
"""How many times its quiet value a p99 may be."""
MOST_GROWN: Final = 0.02
"""The share of the memory that the last round may add, after all that is remembered is full."""
DRAWING: Final = "floods.svg"
_KEYS: Final = "jwks.json"


class Flood:
    """A process that floods when it is told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdin
        assert process.stdout
        self._stdin, self._stdout = process.stdin, process.stdout

    def prepare(self, calls: int, in_flight: int) -> None:
        """Returns when it is ready."""
        self._tell(f"{calls} {in_flight}")
        if self._stdout.readline().strip() != READY:
            raise RuntimeError("a flood is not ready")

    def begin(self) -> None:
        """Returns at once."""
        self._tell("go")

    def is_over(self) -> bool:
        """Whether all its calls were answered."""
        return bool(select.select([self._stdout], [], [], 0)[0])

    def seconds(self) -> float:
        """How long it took."""
        return float(self._stdout.readline())

    def _tell(self, line: str) -> None:
        self._stdin.write(f"{line}\n")
        self._stdin.flush()


@dataclass(frozen=True, slots=True)
class Waits:
    """How long the seen tokens' calls took in one round, in microseconds."""

    p50: float
    p99: float
    rate: float = 0.0
    """Calls a second of the flood."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A sidecar, who asks it about seen tokens, and what floods it."""

    transport: str
    sidecar: Server
    connection: Connection
    requests: Sequence[bytes]
    floods: Mapping[str, Flood]

    def quiet(self) -> Waits:
        """With no flood."""
        return self._waits(lambda seconds: seconds < QUIET)

    def flooded(self, kind: str, in_flight: int) -> Waits:
        """While a flood lasts."""
        flood, calls = self.floods[kind], CALLS[self.transport, in_flight]
        flood.prepare(calls, in_flight)
        flood.begin()
        waits = self._waits(lambda _: not flood.is_over())
        return Waits(waits.p50, waits.p99, calls / flood.seconds())

    def _waits(self, goes_on: Callable[[float], bool]) -> Waits:
        def request(number: int) -> bytes:
            return self.requests[number % len(self.requests)]

        seconds = paced(self.connection, request, RATE, goes_on, is_valid)
        return Waits(percentile(seconds, 0.5) * 1e6, percentile(seconds, 0.99) * 1e6)


@dataclass(frozen=True, slots=True)
class Found:
    """What was seen of one transport, in all rounds."""

    quiet: list[Waits] = field(default_factory=list)
    floods: dict[tuple[str, int], list[Waits]] = field(default_factory=lambda: defaultdict(list))
    """By kind and calls in flight."""
    memory: list[float] = field(default_factory=list)
    """MiB resident: before, and after each round."""


def measure(rounds: int) -> Section:
    """In each round the quiet and then every flood, one after another; in few rounds, as each is
    long."""
    servers_core, load_core = servers.cores()
    found = {transport: Found() for transport in TRANSPORTS}
    with tempfile.TemporaryDirectory() as directory, servers.on(load_core), ExitStack() as stack:
        root, tokens = Path(directory), Tokens()
        (root / _KEYS).write_text(json.dumps(tokens.jwks()))
        port = stack.enter_context(servers.files(root))
        stages = [
            _stage(root, transport, port, servers_core, tokens, stack) for transport in TRANSPORTS
        ]
        gc.freeze()
        for stage in stages:
            found[stage.transport].memory.append(stage.sidecar.resident())
        for _ in range(min(rounds, MOST_ROUNDS)):
            for stage in stages:
                _measure(stage, found[stage.transport])
    return section(found)


def _measure(stage: Stage, found: Found) -> None:
    found.quiet.append(stage.quiet())
    for transport, in_flight in CALLS:
        if transport == stage.transport:
            for kind in FLOODS:
                found.floods[kind, in_flight].append(stage.flooded(kind, in_flight))
    found.memory.append(stage.sidecar.resident())


def _stage(
    root: Path, transport: str, port: int, core: int, tokens: Tokens, stack: ExitStack
) -> Stage:
    configuration = configure(root / transport, transport, tokens)
    settings = json.loads(configuration.read_text())
    settings["issuers"].append(
        {
            "name": "remote",
            "issuer": REMOTE,
            "keys": {"url": f"http://127.0.0.1:{port}/{_KEYS}"},
            "audiences": [AUDIENCE],
        }
    )
    configuration.write_text(json.dumps(settings))
    with servers.on(core):
        sidecar = stack.enter_context(servers.sidecar(configuration))
    path = str(root / transport / "socket")
    connection = stack.enter_context(Connection(path, VALIDATE))
    numbered = NumberedTokens()
    requests = [validate_request(numbered.valid(one)) for one in range(SEEN)]
    connection.call(requests, SEEN)
    floods = {kind: stack.enter_context(_flood(path, kind)) for kind in FLOODS}
    return Stage(transport, sidecar, connection, requests, floods)


@contextlib.contextmanager
def _flood(path: str, kind: str) -> Iterator[Flood]:
    command = (sys.executable, "-m", "bench.flooder", path, kind)
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Flood(process)


def section(found: Mapping[str, Found]) -> Section:
    """How long the seen tokens' calls took, and how much memory."""
    head = ("flood", "in flight", "its calls/s", "p50, µs", "p99, µs", "p99 in quiet ones", "met")
    parts, ratios = list[str](), dict[str, Spread]()
    for transport, one in found.items():
        rows = [[*_row("quiet", "", one.quiet), "", ""]]
        for (kind, in_flight), waits in one.floods.items():
            ratio = _ratio(waits, one.quiet)
            ratios[f"{transport}: p99 beside {kind}, {in_flight} in flight, in quiet ones"] = ratio
            rate = str(Spread(tuple(wait.rate for wait in waits)))
            row = _row(kind, f"{in_flight}", waits, rate)
            rows.append([*row, str(ratio), met(ratio.over(MOST_SLOWER))])
        parts.append(f"Transport {transport}:\n\n{table(head, rows)}")
    native = found[TRANSPORTS[0]].memory
    ratios["memory after all floods, of that at rest"] = Spread((native[-1] / native[0],))
    return Section(
        "\n\n".join(
            [
                f"## Beside floods\n\n{RATE:g} calls a second about seen tokens, quiet and beside "
                f"a flood of other calls, in {len(native) - 1} rounds.",
                *parts,
                _memory(native),
                f"![Memory, in floods of each kind one after another]({DRAWING})",
            ]
        ),
        ratios,
        {DRAWING: _drawn(native)},
    )


def _row(name: str, in_flight: str, waits: Sequence[Waits], rate: str = "") -> Sequence[str]:
    p50, p99 = (
        str(Spread(values)) for values in zip(*((one.p50, one.p99) for one in waits), strict=True)
    )
    return name, in_flight, rate, p50, p99


def _ratio(waits: Sequence[Waits], quiet: Sequence[Waits]) -> Spread:
    return Spread(tuple(one.p99 / other.p99 for one, other in zip(waits, quiet, strict=True)))


def _memory(resident: Sequence[float]) -> str:
    calls = sum(calls for (transport, _), calls in CALLS.items() if transport == TRANSPORTS[0])
    rounds, grown = len(resident) - 1, resident[-1] - resident[-2]
    bounded = "it is bounded" if grown <= MOST_GROWN * resident[-1] else "**it grows on**"
    return (
        f"Memory of the sidecar on {TRANSPORTS[0]}: {resident[0]:.0f} MiB before, and "
        f"{resident[-1]:.0f} MiB after {calls * rounds:,} calls of each flood, of which the last "
        f"{calls:,} added {grown:.1f} MiB: {bounded}."
    )


def _drawn(resident: Sequence[float]) -> str:
    calls = sum(calls for (transport, _), calls in CALLS.items() if transport == TRANSPORTS[0])
    steps = [f"{calls * one // 1000}k" for one in range(len(resident))]
    title = "MiB resident, after so many calls of each flood"
    return page(title, [Plot("", steps, {title: [Spread((one,)) for one in resident]})])
