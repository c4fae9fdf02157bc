"""A server that is measured, and a connection to it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bench.figures import Cost
from bench.load import Connection
from bench.servers import Server
from bench.work import Work

CALLS: Final = 1000
"""Of each kind in a round."""
WARM_UP: Final = 100
"""Calls before these, which are not counted."""


@dataclass(frozen=True, slots=True)
class Target:
    """A running server, and a connection to it for one kind of call."""

    server: Server
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
