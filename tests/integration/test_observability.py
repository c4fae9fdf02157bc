"""The alerts and the dashboard in deploy/, asked of what a real sidecar counts."""

import json
import math
import re
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import grpc
import pytest
import pytest_asyncio
import yaml
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc

from sidecar.keys.answer import Outcome
from sidecar.token.reason import Reason
from sidecar.v1 import admin_service_pb2 as admin
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.integration.test_remote_keys import Provider, mint, providing
from tests.prometheus import TARGET, Scrape, installed, prometheus, promtool
from tests.running import CONSUMERS_AND_SIGNER, Running, fails, running, until
from tests.unit.test_docs import anchors

ALERTS: Final = Path("deploy/prometheus/alerts.yaml")
ALERT_TESTS: Final = Path("deploy/prometheus/alerts_test.yaml")
METRICS: Final = Path("docs/metrics.md")
DASHBOARD: Final = Path("deploy/grafana/dashboard.json")
CONFIGURATION: Final = f"""
listeners:
  - {{address: 'unix:s.sock', services: [validate, issue, admin]}}
  - {{address: 'unix:x.sock', services: [ext_authz]}}
http: {{address: 'unix:http.sock', serve: [metrics, check]}}
store: {{url: 'sqlite:state.db'}}
authorization: {{forward: {{headers: {{x-jwt-subject: sub}}}}}}
shutdown: {{drain: 0s, grace: 2s}}
{CONSUMERS_AND_SIGNER}
issuers:
  - name: corp
    issuer: https://login.example
    audiences: [orders]
    keys: {{url: '%s/jwks.json'}}
"""
AWAY: Final = """
  - name: away
    issuer: https://away.example
    audiences: [orders]
    keys: {url: 'http://127.0.0.1:9/jwks.json', required: false}
"""
BETWEEN: Final = 60.0
"""Seconds between two scrapes, as Prometheus is told."""
DEPENDS_ON_THE_MACHINE: Final = {"JwtSidecarSlow"}

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass(frozen=True)
class Recording:
    """Scrapes of a sidecar that is well, and those of its faults that come after."""

    well: Sequence[str]
    faults: Sequence[str]

    def until(self, now: float, *, faults: bool) -> tuple[Scrape, ...]:
        texts = (*self.well, *self.faults) if faults else self.well
        start = now - BETWEEN * (len(texts) - 1)
        return tuple(Scrape(start + BETWEEN * at, text) for at, text in enumerate(texts))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    directory = tmp_path_factory.mktemp("observed")
    async with AsyncExitStack() as stack:
        provider = await stack.enter_async_context(providing())
        one = await stack.enter_async_context(running(directory, CONFIGURATION % provider.url))
        channel = await stack.enter_async_context(
            grpc.aio.insecure_channel(f"unix:{directory}/x.sock")
        )
        connector = aiohttp.UnixConnector(str(directory / "http.sock"))
        client = aiohttp.ClientSession("http://sidecar", connector=connector)
        caller = Caller(one, channel, await stack.enter_async_context(client))
        return await recorded(caller, provider, directory)
    raise AssertionError


@dataclass(frozen=True)
class Caller:
    """Asks a sidecar on each of its surfaces."""

    sidecar: Running
    channel: grpc.aio.Channel
    http: aiohttp.ClientSession

    async def scrape(self) -> str:
        async with self.http.get("/metrics") as answer:
            assert answer.status == 200
            return await answer.text()

    async def work(self) -> None:
        """What a usual minute brings: each kind of call, and some refusals."""
        token = await self.sidecar.issue(subject="alice")
        split = await self.sidecar.issue(subject="alice\r\nx-consumer: admin")
        for asked in [token, mint(), await self.sidecar.issue(subject="bob")] * 12:
            assert (await self.sidecar.validate(asked)).valid
        for asked in (token, split):
            assert await self.check(asked) == 200
            assert await self.ext_authz(asked)
        for asked in ("", "a.b", mint("k1", "https://nobody.example")):
            assert not (await self.sidecar.validate(asked)).valid
            assert await self.check(asked) in {400, 401}
            assert not await self.ext_authz(asked)
        await self.sidecar.tokens.RevokeToken(messages.RevokeTokenRequest(token=token))
        assert not (await self.sidecar.validate(token)).valid

    async def check(self, token: str) -> int:
        asked = {"x-forwarded-method": "GET", "x-forwarded-uri": "/", "x-forwarded-host": "shop"}
        asked |= {"authorization": f"Bearer {token}"} if token else {}
        async with self.http.get("/check", headers=asked) as answer:
            return answer.status

    async def ext_authz(self, token: str) -> bool:
        request = external_auth_pb2.CheckRequest()
        request.attributes.request.http.method = "GET"
        request.attributes.request.http.path = "/"
        if token:
            request.attributes.request.http.headers["authorization"] = f"Bearer {token}"
        stub: Any = external_auth_pb2_grpc.AuthorizationStub(self.channel)
        answer = await stub.Check(request)
        return bool(answer.status.code == 0)

    async def reload(self) -> None:
        await AdminServiceStub(self.sidecar.channel).ReloadConfig(admin.ReloadConfigRequest())


async def recorded(caller: Caller, provider: Provider, directory: Path) -> Recording:
    await caller.sidecar.sidecar.wait_until_ready()
    well = [await caller.scrape()]
    for _ in range(3):
        await caller.work()
        await caller.reload()
        well.append(await caller.scrape())
    path = directory / "jwt-sidecar.yaml"
    text = path.read_text()
    path.write_text(text + AWAY)
    await caller.reload()
    path.write_text("listeners: []\n")
    with fails(grpc.StatusCode.INVALID_ARGUMENT, "CONFIG_INVALID"):
        await caller.reload()
    faults = [await caller.scrape()]
    for _ in range(2):
        for _ in range(60):
            away = mint("k1", "https://away.example")
            assert not (await caller.sidecar.validate(away)).valid
        faults.append(await until_another_fetch_failed(caller, faults[-1]))
    return Recording(well, faults)


async def until_another_fetch_failed(caller: Caller, before: str) -> str:
    """The first scrape with more failed fetches: one comes after a second, the next after two."""
    texts = [before]

    async def failed_again() -> bool:
        texts.append(await caller.scrape())
        return failed(texts[-1]) > failed(before)

    await until(failed_again)
    return texts[-1]


def failed(text: str) -> float:
    found = re.search(r'key_fetches_total\{issuer="away",outcome="unreachable"\} (\S+)', text)
    return float(found[1]) if found else 0.0


@dataclass(frozen=True)
class Query:
    """An expression in PromQL, with what its surroundings show of its result."""

    where: str
    expression: str
    shown: str

    def __str__(self) -> str:
        return self.where


def alerts() -> Iterator[Mapping[str, Any]]:
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        yield from group["rules"]


def queries_of_alerts() -> Iterator[Query]:
    for one in alerts():
        shown = " ".join(one.get("annotations", {}).values())
        yield Query(one.get("alert", one.get("record")), one["expr"], shown)


def queries_of_dashboard() -> Iterator[Query]:
    dashboard = json.loads(DASHBOARD.read_text())
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            where = f"{panel['title']} {target['refId']}"
            yield Query(where, filled(target["expr"]), target["legendFormat"])
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            found = re.fullmatch(r"label_values\((.+), (\w+)\)", variable["query"]["query"])
            assert found
            expression = f"count by ({found[2]}) ({filled(found[1])})"
            yield Query(f"variable {variable['name']}", expression, "")


def filled(expression: str) -> str:
    """With everything chosen that Grafana lets its user choose."""
    for name, value in (("__rate_interval", "5m"), ("job", ".*"), ("instance", ".*")):
        expression = expression.replace(f"${name}", value)
    return expression


OF_ALERTS: Final = tuple(queries_of_alerts())
OF_DASHBOARD: Final = tuple(queries_of_dashboard())
SELECTOR: Final = re.compile(r"(?P<name>jwt_sidecar_\w+|\bup\b)(?:\{(?P<matchers>[^}]*)\})?")
MATCHER: Final = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"([^"]*)"')
GROUPING: Final = re.compile(r"\b(?:by|on|group_left|ignoring|without)\s*\(([^)]*)\)")
VALUES: Final = {
    "reason": {"OK", *(one.name for one in Reason)},
    "outcome": {*Outcome, "changed", "unchanged", "failed"},
    "job": {TARGET["job"]},
}
"""What the labels that queries compare may be."""


def labels_of(recording: Recording) -> Mapping[str, set[str]]:
    """The labels of each name that a sidecar has told of, and those that Prometheus adds."""
    found: dict[str, set[str]] = defaultdict(lambda: set(TARGET))
    for text in (*recording.well, *recording.faults):
        for sample in Scrape(0.0, text).samples():
            found[sample.name] |= set(sample.labels)
    return {**found, "up": set(TARGET)}


def recorded_rules() -> Mapping[str, str]:
    return {one["record"]: one["expr"] for one in alerts() if "record" in one}


@pytest.mark.parametrize("query", [*OF_ALERTS, *OF_DASHBOARD], ids=str)
async def test_what_a_query_names_is_there(recording: Recording, query: Query) -> None:
    known = labels_of(recording)
    expression = query.expression
    for name, text in recorded_rules().items():
        expression = expression.replace(name, text)
    used = list(SELECTOR.finditer(expression))
    assert used
    for one in used:
        assert one["name"] in known
        for label, values in MATCHER.findall(one["matchers"] or ""):
            assert label in known[one["name"]]
            if set(values.split("|")) not in ({""}, {".*"}):
                assert set(values.split("|")) <= VALUES[label]
    labels = set().union(*(known[one["name"]] for one in used))
    grouped = {one for names in GROUPING.findall(expression) for one in re.findall(r"\w+", names)}
    assert grouped <= labels
    shown = set(re.findall(r"\$labels\.(\w+)", query.shown))
    shown |= set(re.findall(r"\{\{(\w+)\}\}", query.shown))
    assert shown <= grouped


async def test_the_dashboard_is_one_that_can_be_imported() -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    ids = [one["id"] for one in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    assert dashboard["schemaVersion"] == 42
    assert [one["name"] for one in dashboard["templating"]["list"]] == [
        "datasource",
        "job",
        "instance",
    ]
    shown = {
        (x, y)
        for one in dashboard["panels"]
        for x in range(one["gridPos"]["x"], one["gridPos"]["x"] + one["gridPos"]["w"])
        for y in range(one["gridPos"]["y"], one["gridPos"]["y"] + one["gridPos"]["h"])
    }
    area = sum(one["gridPos"]["w"] * one["gridPos"]["h"] for one in dashboard["panels"])
    assert len(shown) == area, "panels lie on each other"
    assert max(x for x, _ in shown) == 23


async def test_every_metric_is_on_the_dashboard(recording: Recording) -> None:
    used = {one["name"] for query in OF_DASHBOARD for one in SELECTOR.finditer(query.expression)}
    assert {one for one in labels_of(recording) if not one.endswith("_created")} == used


@pytest.mark.parametrize(
    "alert", [one for one in alerts() if "alert" in one], ids=lambda one: one["alert"]
)
async def test_an_alert_says_what_to_do_and_where_to_read_on(alert: Mapping[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning"}
    assert alert["annotations"].keys() == {"summary", "description", "runbook_url"}
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert page == "docs/troubleshooting.md"
    assert anchor in anchors(Path(page))


async def test_the_page_lists_every_alert() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (critical|warning) \|", METRICS.read_text(), re.M)
    expected = [(one["alert"], one["labels"]["severity"]) for one in alerts() if "alert" in one]
    assert sorted(rows) == sorted(expected)


async def test_every_alert_has_a_test_in_which_it_fires(recording: Recording) -> None:
    tests = yaml.safe_load(ALERT_TESTS.read_text())["tests"]
    expected = [
        sample["labels"]
        for test in tests
        for asked in test["promql_expr_test"]
        for sample in asked["exp_samples"]
    ]
    fired = {found[1] for one in expected if (found := re.search(r'alertname="(\w+)"', one))}
    assert fired == {one["alert"] for one in alerts() if "alert" in one}
    known = labels_of(recording)
    for one in (series["series"] for test in tests for series in test["input_series"]):
        found = SELECTOR.fullmatch(one)
        assert found, one
        labels = dict(MATCHER.findall(found["matchers"]))
        assert set(labels) == known[found["name"]], one
        assert labels.get("reason", "OK") in VALUES["reason"], one
        assert labels.get("outcome", "failed") in VALUES["outcome"], one


@installed
@pytest.mark.parametrize("command", [("check", ALERTS), ("test", ALERT_TESTS)], ids=str)
async def test_promtool_finds_the_alerts_right(command: tuple[str, Path]) -> None:
    what, path = command
    said = await promtool(what, "rules", str(path))
    assert "SUCCESS" in said


@installed
async def test_every_query_of_the_dashboard_shows_something(
    recording: Recording, tmp_path: Path
) -> None:
    now = time.time()
    scrapes = recording.until(now, faults=True)
    async with prometheus(tmp_path, scrapes, ALERTS) as server:
        found = {one.where: await server.query(one.expression, now) for one in OF_DASHBOARD}
    assert [where for where, values in found.items() if all(map(math.isnan, values))] == []
    assert max(found["Decisions A"]) > 0


@installed
async def test_no_alert_comes_from_a_sidecar_that_is_well(
    recording: Recording, tmp_path: Path
) -> None:
    async with prometheus(tmp_path, recording.until(time.time(), faults=False), ALERTS) as server:

        async def evaluated() -> bool:
            return await server.rounds() >= 3

        await until(evaluated)
        assert await server.alerts() <= DEPENDS_ON_THE_MACHINE


@installed
async def test_faults_of_a_real_sidecar_are_alerted_on(
    recording: Recording, tmp_path: Path
) -> None:
    expected = {
        "JwtSidecarKeysUnavailable",
        "JwtSidecarKeyFetchesFail",
        "JwtSidecarRefusalsJump",
        "JwtSidecarReloadFailed",
    }
    async with prometheus(tmp_path, recording.until(time.time(), faults=True), ALERTS) as server:

        async def alerted() -> bool:
            return await server.alerts() - DEPENDS_ON_THE_MACHINE == expected

        await until(alerted)
