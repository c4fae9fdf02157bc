"""What a hundred thousand verified tokens take in memory: run as a process of its own.

Called with the path of a configuration; prints MiB.
"""

import sys
import time
from pathlib import Path
from typing import Final

from bench.work import Tokens
from sidecar.api.token_service import validate_response
from sidecar.config.load import load
from sidecar.config.snapshot import build
from sidecar.steady import forget_nothing
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Request, Verdict, Verified
from sidecar.token.seen import RefusedTokens, SeenTokens, VerifiedTokens, digest_of
from sidecar.token.validator import validate

KEPT: Final = 100_000
_WARM_UP: Final = 1000


def main(configuration: str) -> None:
    """Verifies and answers for tokens of the consumer, which are the quickest to make."""
    snapshot = build(load(configuration, {}).settings, generated={})
    seen = SeenTokens(VerifiedTokens(KEPT, 3600.0), RefusedTokens(1, 1.0))
    used, tokens = ProofMemory(forget_nothing), Tokens()
    before = 0.0
    for number in range(KEPT + _WARM_UP):
        if number == _WARM_UP:
            before = _resident()
        token = tokens.new("HS256")
        _keep(token, validate(Request(token), snapshot, time.time(), used, seen), seen)
    if len(seen.verified) != KEPT:
        raise RuntimeError(f"only {len(seen.verified)} are kept")
    print(_resident() - before)


def _keep(token: str, verdict: Verdict, seen: SeenTokens) -> None:
    """As ValidateToken does."""
    if not isinstance(verdict, Verified) or verdict.grounds is None:
        raise RuntimeError("a token is not kept")
    answer = validate_response(verdict).SerializeToString()
    seen.verified.keep(digest_of(token), b"", verdict.grounds, verdict.issuer_name, answer)


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main(sys.argv[1])
