"""Which store the configuration means, and what it loads."""

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.config.redis import parse
from sidecar.config.store import Store, StoreUrl
from sidecar.config.surroundings import Surroundings
from sidecar.state.opening import opened
from sidecar.state.store import StoreFailed
from sidecar.steady import forget_nothing

MEMORY = Store.model_construct(url=StoreUrl())


@pytest.mark.parametrize("setting", [None, MEMORY], ids=["no store", "memory"])
async def test_without_a_file_nothing_outlives_the_process(setting: Store | None) -> None:
    async with opened(lambda: setting, forget_nothing) as store:
        assert not store.is_durable


async def test_a_file_outlives_it(tmp_path: Path) -> None:
    setting = Store.model_construct(url=StoreUrl(str(tmp_path / "state.db")))
    async with opened(lambda: setting, forget_nothing) as store:
        assert store.is_durable
    assert (tmp_path / "state.db").exists()


def test_without_a_file_no_database_is_loaded() -> None:
    code = (
        "import sys, sidecar.serve, sidecar.commands.serve\n"
        "print({'redis', 'sqlite3'} & {*sys.modules})"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout == b"set()\n"


async def test_without_its_package_redis_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "sidecar.state.redis", raising=False)
    monkeypatch.setitem(sys.modules, "redis.asyncio.connection", None)
    url = parse("redis://redis", Surroundings("/", {}))
    setting = Store.model_construct(url=StoreUrl(redis=url))
    with pytest.raises(StoreFailed, match=r"install jwt-sidecar with its extra redis"):
        async with opened(lambda: setting, forget_nothing):
            pass
