"""What a worker is told, and where it listens."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sidecar.config import watching
from sidecar.config.addresses import MOST_PATH_BYTES, Address
from sidecar.config.fixed import fixed
from sidecar.config.load import load
from sidecar.config.settings import Settings
from sidecar.generation import Generation
from sidecar.serve import Sidecar
from sidecar.state.store import StoreFailed
from sidecar.token.snapshot import Signer
from sidecar.workers.worker import LONGEST_NAME, Worker

TEXT = """
workers: 2
listeners:
  - {address: "unix:s.sock", mode: "0600", services: [validate]}
  - {address: "0.0.0.0:9191", services: [validate]}
http: {address: "unix:http.sock"}
signers: [{name: a, issuer: a, keys: [{generate: ES256}], accept: true}]
store: {url: "sqlite:state.db"}
"""


def settings(directory: Path, text: str = TEXT) -> Settings:
    path = directory / "jwt-sidecar.yaml"
    path.write_text(text)
    return load(path, {}).settings


def test_a_process_knows_which_worker_it_is(tmp_path: Path) -> None:
    worker = Worker(64, "/run/x", fixed(settings(tmp_path)))
    assert Worker.of(worker.environment()) == worker
    assert Worker.of({}) is None


def test_sockets_are_its_own_and_ports_are_shared(tmp_path: Path) -> None:
    given = settings(tmp_path)
    one, other = (Worker(number, "/run/x", {}).placed(given) for number in (1, 2))
    assert one.http
    assert other.http
    places = [
        *(listener.address for listener in (*one.listeners, *other.listeners)),
        one.http.address,
        other.http.address,
    ]
    assert {str(place) for place in places if not place.is_unix} == {"0.0.0.0:9191"}
    paths = [place.path for place in places if place.is_unix]
    assert len(set(paths)) == len(paths) == 4
    assert all(path.startswith("/run/x/") for path in paths)
    assert one.listeners[0].mode == "0600"


def test_the_longest_path_is_as_long_as_is_said() -> None:
    directory = "/" + "d" * (MOST_PATH_BYTES - LONGEST_NAME - 1)
    worker = Worker(64, directory, {})
    found = worker.place(Address(path="/s.sock"))
    assert len(found.path) == MOST_PATH_BYTES
    assert len(worker.counts(64).path) < MOST_PATH_BYTES


async def test_a_reload_that_the_store_kept_from_one_worker_is_tried_again(
    tmp_path: Path, places: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it would go on with the old configuration beside the others."""
    monkeypatch.setattr(watching, "INTERVAL", 0.02)
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(TEXT.replace("0.0.0.0:9191", "unix:other.sock"))
    sidecar = Sidecar(load(path, {}), Worker(1, str(places), {}))
    prepare, failures = Generation.prepare, iter([True, True, False])

    async def failing(self: Generation, *these: Any) -> None:
        if next(failures):
            raise StoreFailed("the store is busy")
        await prepare(self, *these)

    async with sidecar.serving():
        monkeypatch.setattr(Generation, "prepare", failing)
        new = tmp_path / "new.yaml"
        new.write_text(path.read_text().replace("issuer: a", "issuer: b"))
        new.rename(path)
        async with asyncio.timeout(20):
            while not sidecar.engine.metrics.reloads["changed"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert sidecar.engine.metrics.reloads == {"failed": 2, "changed": 1, "unchanged": 0}
        assert has_iss(sidecar.engine.snapshot.signers, "b")
        assert next(failures, None) is None


def has_iss(signers: Mapping[str, Signer], iss: str) -> bool:
    return all(one.issuer == iss for one in signers.values())
