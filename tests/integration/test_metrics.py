"""/metrics of a real sidecar, read as Prometheus reads it."""

from pathlib import Path

import aiohttp
import grpc
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.running import CONSUMERS_AND_SIGNER, Running, fails, listener, running

HTTP = "http: {address: 'unix:http.sock'}\n"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
"""Values by name and labels."""


async def scraped(directory: Path) -> Samples:
    connector = aiohttp.UnixConnector(str(directory / "http.sock"))
    async with (
        aiohttp.ClientSession("http://sidecar", connector=connector) as client,
        client.get("/metrics") as answer,
    ):
        assert answer.status == 200
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        text = await answer.text()
    assert text.endswith("# EOF\n")
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
        for sample in family.samples
    }


def labelled(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return f"jwt_sidecar_{name}", frozenset(labels.items())


@pytest.mark.parametrize("transport", ["native", "grpcio"])
async def test_what_happens_is_counted(tmp_path: Path, transport: str) -> None:
    text = listener(transport, services="validate, issue, admin") + CONSUMERS_AND_SIGNER + HTTP
    async with running(tmp_path, text) as one:
        token = await one.issue(subject="alice")
        for asked in (token, token, ""):
            await one.validate(asked)
        await reload_what_is_broken(one, tmp_path)
        samples = await scraped(tmp_path)
    decided = {"surface": "grpc", "issuer": "internal"}
    assert samples[labelled("decisions_total", **decided, reason="OK")] == 2
    missing = {"surface": "grpc", "issuer": "", "reason": "TOKEN_MISSING"}
    assert samples[labelled("decisions_total", **missing)] == 1
    assert samples[labelled("decision_seconds_count", surface="grpc")] == 3
    assert samples[labelled("tokens_issued_total", signer="internal")] == 1
    assert samples[labelled("cache_hits_total", cache="tokens")] == 1
    assert samples[labelled("config_reloads_total", outcome="failed")] == 1
    (build,) = [labels for name, labels in samples if name == "jwt_sidecar_build_info"]
    assert dict(build)["transport"] == transport


async def reload_what_is_broken(one: Running, directory: Path) -> None:
    (directory / "jwt-sidecar.yaml").write_text("listeners: []\n")
    with fails(grpc.StatusCode.INVALID_ARGUMENT, "CONFIG_INVALID"):
        await AdminServiceStub(one.channel).ReloadConfig(admin.ReloadConfigRequest())
