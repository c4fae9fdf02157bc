"""A real Prometheus that knows what was scraped at known times."""

import asyncio
import itertools
import json
import shutil
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from deploy.demo.stage import free_port, process
from tests.running import until

installed = pytest.mark.skipif(
    shutil.which("prometheus") is None or shutil.which("promtool") is None,
    reason="needs prometheus and promtool (Debian and Ubuntu: apt install prometheus)",
)
TARGET: Final = {"job": "jwt-sidecar", "instance": "shop-1:9192"}
"""The labels that Prometheus adds to what it scrapes here."""


@dataclass(frozen=True)
class Scrape:
    """What a sidecar answered, and when, in seconds since the epoch."""

    time: float
    text: str

    def samples(self) -> Iterator[Sample]:
        """As they are in the answer."""
        for family in text_string_to_metric_families(self.text):  # type: ignore[no-untyped-call]
            yield from family.samples


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    client: aiohttp.ClientSession

    async def query(self, expression: str, time: float) -> list[float]:
        """The values of an instant query."""
        answer = await self._get("query", query=expression, time=str(time))
        return [float(one["value"][1]) for one in answer["result"]]

    async def alerts(self) -> set[str]:
        """The names of those that fire, or would if it went on like this."""
        found = (await self._get("alerts"))["alerts"]
        assert "error expanding template" not in str(found)
        return {one["labels"]["alertname"] for one in found}

    async def rounds(self) -> float:
        """How often all rules were evaluated."""
        async with self.client.get("/metrics") as answer:
            lines = (await answer.text()).splitlines()
        counts = [one for one in lines if one.startswith("prometheus_rule_group_iterations_total{")]
        return min((float(one.split()[-1]) for one in counts), default=0.0)

    async def _get(self, what: str, **parameters: str) -> Mapping[str, Any]:
        async with self.client.get(f"/api/v1/{what}", params=parameters) as answer:
            told = await answer.json()
        assert told["status"] == "success", told
        data: Mapping[str, Any] = told["data"]
        return data


async def promtool(*arguments: str) -> str:
    """What it says of what is right; fails where something is wrong."""
    child = await asyncio.create_subprocess_exec(
        "promtool", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await child.communicate()
    assert child.returncode == 0, said.decode()
    return said.decode()


@asynccontextmanager
async def prometheus(
    directory: Path, scrapes: Iterable[Scrape], rules: Path
) -> AsyncIterator[Prometheus]:
    """A server that had these scrapes, and evaluates the rules once a second."""
    text, data = directory / "scrapes.txt", directory / "data"
    lines = itertools.chain.from_iterable(map(_lines, scrapes))
    text.write_text("".join(f"{line}\n" for line in lines) + "# EOF\n")
    await promtool("tsdb", "create-blocks-from", "openmetrics", str(text), str(data))
    configuration = directory / "prometheus.yml"
    configuration.write_text(
        f"global: {{evaluation_interval: 1s}}\nrule_files: ['{rules.absolute()}']\n"
    )
    address = f"127.0.0.1:{free_port()}"
    command = ("prometheus", f"--config.file={configuration}", f"--storage.tsdb.path={data}")
    async with (
        process(*command, f"--web.listen-address={address}", "--log.level=error") as child,
        aiohttp.ClientSession(f"http://{address}") as client,
    ):

        async def is_ready() -> bool:
            assert child.returncode is None
            return await _answers(client)

        await until(is_ready)
        yield Prometheus(client)


async def _answers(client: aiohttp.ClientSession) -> bool:
    try:
        async with client.get("/-/ready") as answer:
            return answer.status == 200
    except aiohttp.ClientConnectionError:
        return False


def _lines(scrape: Scrape) -> Iterator[str]:
    """The samples of a scrape as Prometheus would keep them."""
    for sample in (*scrape.samples(), Sample("up", {}, 1)):
        labels = {**sample.labels, **TARGET}
        pairs = ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items())
        yield f"{sample.name}{{{pairs}}} {sample.value} {scrape.time}"
