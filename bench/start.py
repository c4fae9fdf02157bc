"""Where the time and the memory of a start go: `python -m bench.start [CONFIGURATION]`.

Starts the sidecar with every import measured, and lists the ten packages that cost most of each.
What one package imports of another counts for the other. Measuring itself makes the whole longer.
"""

import asyncio
import contextlib
import importlib.abc
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

_SHOWN: Final = 10
_PAGE: Final = 4096


class Cost:
    """Seconds and bytes, without what was loaded meanwhile."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.bytes = 0
        self.modules = 0


class Watch(importlib.abc.MetaPathFinder):
    """Measures the execution of each module that is imported from now on."""

    def __init__(self) -> None:
        self.costs: dict[str, Cost] = defaultdict(Cost)
        self._inner: list[list[float]] = []

    def find_spec(self, name: str, path: Any, target: Any = None) -> Any:
        """The spec that the other finders give, with a loader that is measured."""
        for finder in sys.meta_path:
            if finder is self or not (spec := finder.find_spec(name, path, target)):
                continue
            if isinstance(spec.loader, importlib.abc.Loader):
                self._measure(name, spec.loader)
            return spec
        return None

    def _measure(self, name: str, loader: Any) -> None:
        for step in ("create_module", "exec_module"):
            run = getattr(loader, step)

            def measured(argument: ModuleType, run: Any = run, step: str = step) -> Any:
                with self._counted(_package(name), step == "exec_module"):
                    return run(argument)

            with contextlib.suppress(AttributeError):  # of classes, such as those of frozen modules
                setattr(loader, step, measured)

    @contextlib.contextmanager
    def _counted(self, package: str, is_last: bool) -> Iterator[None]:
        self._inner.append([0.0, 0.0])
        began, before = time.perf_counter(), _resident()
        try:
            yield
        finally:
            seconds, size = time.perf_counter() - began, _resident() - before
            inner = self._inner.pop()
            cost = self.costs[package]
            cost.seconds += seconds - inner[0]
            cost.bytes += int(size - inner[1])
            cost.modules += is_last
            if self._inner:
                self._inner[-1][0] += seconds
                self._inner[-1][1] += size


def _package(name: str) -> str:
    """The first part of a module's name; of our own and the standard library's the first two."""
    first, _, rest = name.partition(".")
    if first == "sidecar" and rest:
        return f"sidecar.{rest.split('.')[0]}"
    if first in sys.stdlib_module_names:
        return f"{first} (Python)"
    return first


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def _configured(directory: Path) -> Path:
    """The configuration that the other figures are measured with, written in another process."""
    code = (
        "import sys, pathlib; from bench.work import Tokens, configure; "
        "configure(pathlib.Path(sys.argv[1]), 'native', Tokens())"
    )
    subprocess.run((sys.executable, "-c", code, str(directory)), check=True)
    return directory / "jwt-sidecar.yaml"


async def _start(configuration: Path) -> None:
    from sidecar.config.load import load
    from sidecar.serve import Sidecar

    async with Sidecar(load(configuration, {})).serving():
        pass


def main(configuration: Path) -> None:
    """Starts and stops a sidecar, and prints the tables."""
    bare, began = _resident(), time.perf_counter()
    watch = Watch()
    sys.meta_path.insert(0, watch)
    asyncio.run(_start(configuration))
    seconds, size = time.perf_counter() - began, _resident() - bare
    print(f"{size / 2**20:.1f} MiB more than a bare Python's {bare / 2**20:.1f}, {seconds:.2f} s")
    for title, key in (("MiB", "bytes"), ("ms", "seconds")):
        print(f"\n| {title} | package | modules |\n| ---: | --- | ---: |")
        unit = 2**-20 if key == "bytes" else 1000.0
        costs = sorted(watch.costs.items(), key=lambda one: -getattr(one[1], key))
        for name, cost in costs[:_SHOWN]:
            print(f"| {getattr(cost, key) * unit:.1f} | {name} | {cost.modules} |")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as directory:
            main(_configured(Path(directory) / "start"))
