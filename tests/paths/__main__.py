"""Look for request targets by which a handler runs although its rule does not permit the caller.

`make fuzz-paths`, or `make fuzz-paths SECONDS=36000 SEED=7` for a night. Ends with status 1 if
there is such a target.
"""

import argparse
import asyncio
import itertools
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.paths.stage import PERMITTED, STRIPPING, Answer, Stage, stage
from tests.paths.targets import targets
from tests.paths.upstreams import UPSTREAMS

AT_ONCE: Final = 200
"""Targets between two lines of progress."""
MAX_KINDS: Final = 100
"""Later violations are only counted."""
NAMES: Final = re.compile("|".join(PERMITTED).encode())


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.paths", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long to look")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="of the targets")
    parser.add_argument(
        "--parameters",
        choices=STRIPPING,
        default="refuse",
        help="authorization.paths.parameters, and the upstreams that it is for",
    )
    arguments = parser.parse_args()
    for one in UPSTREAMS:
        if one.missing:
            print(f"left out: {one.name} {one.missing}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as directory:
        found = asyncio.run(look(Path(directory), arguments))
    sys.exit(1 if found else 0)


async def look(directory: Path, arguments: argparse.Namespace) -> bool:
    """Whether there is one; prints what came of all."""
    outcomes: Counter[str] = Counter()
    kinds: dict[object, Answer] = {}
    source = targets(arguments.seed)
    async with stage(directory, arguments.parameters) as running:
        end = time.monotonic() + arguments.seconds
        while time.monotonic() < end:
            answers = await running.ask(itertools.islice(source, AT_ONCE))
            outcomes.update(map(outcome, answers))
            for answer in {one.target: one for one in answers if one.violations}.values():
                if len(kinds) < MAX_KINDS:
                    least = await shrunk(running, answer)
                    kinds.setdefault(kind(least), least)
            print(f"{outcomes.total()} requests, {len(kinds)} kinds of violation", flush=True)
    for least in kinds.values():
        print(*(least.described(ran) for ran in least.violations), sep="\n")
    print(f"seed {arguments.seed}:")
    for name, count in outcomes.most_common():
        print(f"  {count} {name}")
    return bool(kinds)


def outcome(answer: Answer) -> str:
    """What the summary counts."""
    if answer.violations:
        return "violations"
    if answer.status == 200:
        return "passed"
    return f"answered with {answer.status}" if answer.status else "closed without an answer"


def kind(answer: Answer) -> object:
    """The same for violations that differ in the handler's name only."""
    return NAMES.sub(b"*", answer.target), frozenset(one.upstream for one in answer.violations)


async def shrunk(running: Stage, answer: Answer) -> Answer:
    """The same violations with pieces of the target left out, as long as there are such pieces."""
    same = {(one.upstream, one.handler) for one in answer.violations}
    size = len(answer.target) // 2
    while size:
        start = 0
        while start < len(answer.target):
            shorter = answer.target[:start] + answer.target[start + size :]
            tried = await running.one(shorter, answer.proxy, answer.caller)
            if {(one.upstream, one.handler) for one in tried.violations} == same:
                answer = tried
            else:
                start += size
        size //= 2
    return answer


if __name__ == "__main__":
    main()
