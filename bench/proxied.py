"""What a request costs behind Envoy: its own filter for tokens, and the sidecar beside it."""

import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench import proxy, servers
from bench.figures import TRANSPORTS, Spread
from bench.http_load import Clients
from bench.markdown import table
from bench.section import Section
from bench.servers import Server
from bench.work import HEADERS, HOST, PATH, Tokens, configure

CONNECTIONS: Final = 64
REQUESTS: Final = 1000
"""Of each kind in a round."""
WARM_UP: Final = 100
_NONE: Final = "no filter"
_NATIVE: Final = "jwt_authn"
_CACHED: Final = "jwt_authn, token cache"


@dataclass(frozen=True, slots=True)
class Cost:
    """Microseconds of CPU time for a request."""

    envoy: float
    server: float
    """Of the server that Envoy asks."""

    @property
    def both(self) -> float:
        return self.envoy + self.server


@dataclass(frozen=True, slots=True)
class Way:
    """A listener of Envoy, and the server that its filter asks, if any."""

    clients: Clients
    server: Server | None

    def cost(self, envoy: Server, request: bytes) -> Cost:
        """What a request costs after the first few."""
        self.clients.call(request, WARM_UP)
        before = envoy.cpu_seconds(), self.server.cpu_seconds() if self.server else 0.0
        self.clients.call(request, REQUESTS)
        after = envoy.cpu_seconds(), self.server.cpu_seconds() if self.server else 0.0
        costs = ((end - start) / REQUESTS * 1e6 for start, end in zip(before, after, strict=True))
        return Cost(*costs)


def measure(rounds: int) -> Section:
    """In each round every way once, right after one another.

    Envoy has a core of its own: on one with the server that it asks, each would wake for each
    single answer of the other, and be busy with that.
    """
    servers_core, load_core = servers.cores()
    tokens = Tokens()
    request = _request(tokens.new("RS256"))
    costs: dict[str, list[Cost]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as directory, servers.on(load_core), ExitStack() as stack:
        root = Path(directory)
        upstream = _upstream(root, stack)
        asked = _asked(root, tokens, stack)
        with servers.on(servers_core):
            envoy, ways = _envoy(root, tokens, asked, upstream, stack)
        for _ in range(rounds):
            for name, way in ways.items():
                costs[name].append(way.cost(envoy, request))
    return section(costs)


def _upstream(root: Path, stack: ExitStack) -> Path:
    path, listens_on = root / "upstream.json", root / "upstream"
    proxy.write_upstream(path, listens_on)
    stack.enter_context(servers.envoy(path, [listens_on]))
    return listens_on


def _asked(root: Path, tokens: Tokens, stack: ExitStack) -> Mapping[str, tuple[Path, Server]]:
    """The servers that Envoy asks, by what they are."""
    found: dict[str, tuple[Path, Server]] = {}
    for transport in TRANSPORTS:
        path = root / f"yes-{transport}"
        found[_yes(transport)] = path, stack.enter_context(servers.yes(path, transport))
        configuration = configure(root / transport, transport, tokens)
        sidecar = stack.enter_context(servers.sidecar(configuration))
        found[_sidecar(transport)] = root / transport / "socket", sidecar
    return found


def _envoy(
    root: Path,
    tokens: Tokens,
    asked: Mapping[str, tuple[Path, Server]],
    upstream: Path,
    stack: ExitStack,
) -> tuple[Server, Mapping[str, Way]]:
    filters: dict[str, list[proxy.Part]] = {
        _NONE: [],
        _NATIVE: [proxy.jwt_authn(tokens.jwks(), remembers=False)],
        _CACHED: [proxy.jwt_authn(tokens.jwks(), remembers=True)],
        **{name: [proxy.ext_authz(_cluster(path))] for name, (path, _) in asked.items()},
    }
    sockets = {name: root / f"way-{number}" for number, name in enumerate(filters)}
    path = root / "envoy.json"
    listens_on = {sockets[name]: chain for name, chain in filters.items()}
    asks = {_cluster(one): one for one, _ in asked.values()}
    proxy.write_proxy(path, listens_on, asks, upstream)
    envoy = stack.enter_context(servers.envoy(path, sockets.values()))
    ways = {}
    for name, socket in sockets.items():
        clients = stack.enter_context(Clients(socket, CONNECTIONS))
        ways[name] = Way(clients, asked[name][1] if name in asked else None)
    return envoy, ways


def _cluster(socket: Path) -> str:
    """A name that is a host's too: Envoy sends it to the server as that."""
    return f"{socket.parent.name}-{socket.name}".replace("_", "-")


def _request(token: str) -> bytes:
    headers = {"host": HOST, **HEADERS, "authorization": f"Bearer {token}"}
    lines = (f"{name}: {value}\r\n" for name, value in headers.items())
    return f"GET {PATH} HTTP/1.1\r\n{''.join(lines)}\r\n".encode()


def _yes(transport: str) -> str:
    return f"ext_authz, always yes, {transport}"


def _sidecar(transport: str) -> str:
    return f"ext_authz, the sidecar, {transport}"


def section(costs: Mapping[str, Sequence[Cost]]) -> Section:
    """The table of all ways."""
    head = ("way", "Envoy, µs of CPU", "server, µs", "both, µs", "both in no filter")
    rows = [
        (
            name,
            str(Spread(tuple(one.envoy for one in rounds))),
            str(Spread(tuple(one.server for one in rounds))) if rounds[0].server else "",
            str(Spread(tuple(one.both for one in rounds))),
            str(_ratio(rounds, costs[_NONE])),
        )
        for name, rounds in costs.items()
    ]
    ratios = _ratios(costs)
    lines = table(("ratio", "of both"), ((name, str(one)) for name, one in ratios.items()))
    return Section(f"## Behind Envoy\n\n{table(head, rows)}\n\n{lines}", ratios)


def _ratios(costs: Mapping[str, Sequence[Cost]]) -> Mapping[str, Spread]:
    """What a team chooses by: the sidecar's answer in those of others."""
    pairs = [
        (_sidecar(transport), other)
        for transport in TRANSPORTS
        for other in (_yes(transport), _NONE, _NATIVE, _CACHED)
    ]
    return {f"{one} / {other}": _ratio(costs[one], costs[other]) for one, other in pairs}


def _ratio(some: Sequence[Cost], others: Sequence[Cost]) -> Spread:
    return Spread(tuple(one.both / other.both for one, other in zip(some, others, strict=True)))
