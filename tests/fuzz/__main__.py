"""Looks for input that breaks a parser: `make fuzz`, or `make fuzz SECONDS=36000` for a night.

Finds are kept in build/fuzz, so that the next run goes on from there. An input that breaks
something is written there too; `python -m tests.fuzz FILE` gives it to its target again.
"""

import argparse
import sys
from pathlib import Path

try:
    import atheris
except ImportError:
    sys.exit("atheris, the fuzzer, is there for Linux on x86-64 only")

with atheris.instrument_imports(include=["sidecar"]):
    from tests.fuzz.targets import LONG, one_input

HERE = Path(__file__).parent
FOUND = Path("build/fuzz")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="how long to look")
    parser.add_argument("inputs", nargs="*", metavar="FILE", help="run these inputs only")
    arguments = parser.parse_args()
    (FOUND / "corpus").mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={arguments.seconds}",
        f"-max_len={LONG // 16}",
        f"-dict={HERE / 'words.dict'}",
        f"-artifact_prefix={FOUND}/",
        "-timeout=2",  # seconds for one input; in linear time it is some milliseconds
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
    ]
    inputs = arguments.inputs or [str(FOUND / "corpus"), str(HERE / "seeds")]
    atheris.Setup([sys.argv[0], *options, *inputs], check)
    atheris.Fuzz()


def check(data: bytes) -> None:
    one_input(data)


main()
