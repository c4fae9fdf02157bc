from typing import Any

import pytest

from sidecar.config.load import show
from tests.unit.config.folder import Folder, configuration


@pytest.mark.parametrize(
    ("url", "path"),
    [
        pytest.param("memory:", "", id="memory"),
        pytest.param("sqlite:state.db", "{}/state.db", id="a file beside the configuration"),
        pytest.param("sqlite:../state.db", "{.parent}/state.db", id="a file above it"),
        pytest.param("sqlite:/var/lib/state.db", "/var/lib/state.db", id="an absolute path"),
    ],
)
def test_where_the_store_is(folder: Folder, url: str, path: str) -> None:
    store = folder.load(configuration(store={"url": url})).settings.store
    assert store is not None
    assert store.url.path == path.format(folder.path)


def test_without_the_section_there_is_none(folder: Folder) -> None:
    assert folder.load(configuration()).settings.store is None


def test_what_is_changed_elsewhere_is_seen_soon_and_an_outage_serves(folder: Folder) -> None:
    store = folder.load(configuration(store={"url": "memory:"})).settings.store
    assert store is not None
    assert (store.max_staleness, store.on_outage) == (2.0, "serve")


@pytest.mark.parametrize("url", ["memory:", "sqlite:state.db"])
def test_what_is_shown_loads_as_the_same(folder: Folder, url: str) -> None:
    shown = show(folder.load(configuration(store={"url": url})))
    assert show(folder.load(shown)) == shown


@pytest.mark.parametrize(
    ("store", "message"),
    [
        pytest.param({}, ".url: is missing", id="no url"),
        pytest.param(
            {"url": "state.db"},
            ".url: must be sqlite:PATH, such as sqlite:state.db, or memory:",
            id="a bare path",
        ),
        pytest.param(
            {"url": "memory:x"},
            ".url: must be sqlite:PATH, such as sqlite:state.db, or memory:",
            id="memory with a name",
        ),
        pytest.param(
            {"url": "sqlite:"},
            ".url: must name a file after sqlite:, such as sqlite:state.db",
            id="no path",
        ),
        pytest.param(
            {"url": "sqlite:data/"},
            ".url: must name a file after sqlite:, such as sqlite:state.db",
            id="a directory",
        ),
        pytest.param(
            {"url": "sqlite:///state.db"},
            ".url: must have no two slashes after sqlite:, which are read in different ways; "
            "write sqlite:state.db for a file beside this one, or "
            "sqlite:/var/lib/jwt-sidecar/state.db",
            id="slashes as of a URL",
        ),
        pytest.param(
            {"url": "redis://:marker@redis:6379/0"},
            ".url: Redis is not there yet; write sqlite:PATH or memory:",
            id="Redis",
        ),
        pytest.param(
            {"url": "rediss://redis:6379/0"},
            ".url: Redis is not there yet; write sqlite:PATH or memory:",
            id="Redis over TLS",
        ),
        pytest.param(
            {"url": "postgresql://me:marker@db/x"},
            ".url: must be sqlite:PATH, such as sqlite:state.db, or memory:",
            id="another database, and no word of its password",
        ),
        pytest.param(
            {"url": "memory:", "on_outage": "allow"},
            '.on_outage: must be serve or deny; it is the text "allow"',
            id="another way with an outage",
        ),
        pytest.param(
            {"url": "memory:", "max_staleness": "99ms"},
            ".max_staleness: must be at least 100ms and at most 1m; it is 99ms",
            id="staler than can be kept",
        ),
        pytest.param(
            {"url": "memory:", "max_staleness": "61s"},
            ".max_staleness: must be at least 100ms and at most 1m; it is 61s",
            id="staler than anyone wants",
        ),
    ],
)
def test_what_is_wrong_with_a_store(folder: Folder, store: dict[str, Any], message: str) -> None:
    assert folder.problems(configuration(store=store)) == [f"jwt-sidecar.yaml:1: store{message}"]
