"""Floods a sidecar, from a process of its own: `python -m bench.flooder SOCKET FLOOD`.

Of each line with a number of calls, and how many are in flight, it prepares the calls and says
that it is ready; at the next line it makes them, and prints the seconds that they took.
"""

import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bench.load import Connection
from bench.numbered import NumberedTokens
from bench.work import ISSUER, VALIDATE, validate_request
from sidecar.v1.reason_pb2 import (
    REASON_KEY_NOT_FOUND,
    REASON_SIGNATURE_INVALID,
    REASON_UNSPECIFIED,
    Reason,
)
from sidecar.v1.token_service_pb2 import ValidateTokenResponse

REMOTE: Final = f"{ISSUER}/remote"
"""The issuer whose keys come over HTTP."""
FORGED: Final = "forged tokens"
NEW: Final = "valid tokens, each new"
UNKNOWN: Final = "unknown kids"


@dataclass(frozen=True, slots=True)
class Kind:
    """What a flood consists of."""

    token: Callable[[NumberedTokens, int], str]
    """One that nobody has seen, by number."""
    reason: Reason.ValueType
    """Why it is refused, if it is."""

    def is_wrong(self, answer: bytes) -> bool:
        """Whether this answer is none that it may have."""
        response = ValidateTokenResponse.FromString(answer)
        return response.reason != self.reason or response.valid != (not self.reason)


FLOODS: Final[Mapping[str, Kind]] = {
    FORGED: Kind(
        lambda tokens, number: tokens.forged(number, ISSUER, "RS256"), REASON_SIGNATURE_INVALID
    ),
    NEW: Kind(lambda tokens, number: tokens.valid(number), REASON_UNSPECIFIED),
    UNKNOWN: Kind(
        lambda tokens, number: tokens.forged(number, REMOTE, f"unknown-{number}"),
        REASON_KEY_NOT_FOUND,
    ),
}
READY: Final = "ready"
_ABOVE: Final = 1_000_000
"""The first number: those below are of tokens that were seen."""


def main(path: str, flood: str) -> None:
    """Floods as often as it is told to."""
    os.nice(19)  # who measures on the same core comes first
    tokens, kind, number = NumberedTokens(ISSUER, REMOTE), FLOODS[flood], _ABOVE
    with Connection(path, VALIDATE) as connection:
        for line in sys.stdin:
            calls, in_flight = map(int, line.split())
            numbers = range(number, number + calls)
            requests = [validate_request(kind.token(tokens, one)) for one in numbers]
            number += calls
            print(READY, flush=True)
            sys.stdin.readline()
            start = time.perf_counter()
            answers = connection.call(requests, in_flight)
            print(time.perf_counter() - start, flush=True)
            if any(map(kind.is_wrong, answers)):
                raise RuntimeError(f"{flood}: an answer is wrong")


if __name__ == "__main__":
    main(*sys.argv[1:])
