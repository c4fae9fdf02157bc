"""Floods a sidecar, from a process of its own: `python -m bench.flooder SOCKET FLOOD`.

Of each line with a number of calls, and how many are in flight, it prepares the calls and says
that it is ready; at the next line it makes them, and prints the seconds that they took.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Final

from bench.load import Connection
from bench.numbered import NumberedTokens
from bench.work import ISSUER, VALIDATE, validate_request

REMOTE: Final = f"{ISSUER}/remote"
"""The issuer whose keys come over HTTP."""
GARBAGE: Final = "forged tokens"
NEW: Final = "valid tokens, each new"
UNKNOWN: Final = "unknown kids"
FLOODS: Final[Mapping[str, Callable[[NumberedTokens, int], str]]] = {
    GARBAGE: lambda tokens, number: tokens.forged(number, ISSUER, "RS256"),
    NEW: lambda tokens, number: tokens.valid(number),
    UNKNOWN: lambda tokens, number: tokens.forged(number, REMOTE, f"unknown-{number}"),
}
READY: Final = "ready"
_ABOVE: Final = 1_000_000
"""The first number: those below are of tokens that were seen."""


def main(path: str, flood: str) -> None:
    """Floods as often as it is told to."""
    os.nice(19)  # who measures on the same core comes first
    tokens, token, number = NumberedTokens(ISSUER, REMOTE), FLOODS[flood], _ABOVE
    with Connection(path, VALIDATE) as connection:
        for line in sys.stdin:
            calls, in_flight = map(int, line.split())
            requests = [validate_request(token(tokens, number + one)) for one in range(calls)]
            number += calls
            print(READY, flush=True)
            sys.stdin.readline()
            start = time.perf_counter()
            connection.call(requests, in_flight)
            print(time.perf_counter() - start, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
