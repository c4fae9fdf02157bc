"""Which store the configuration means, and what it loads."""

import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.config.store import Store, StoreUrl
from sidecar.state.opening import opened

MEMORY = Store.model_construct(url=StoreUrl())


@pytest.mark.parametrize("setting", [None, MEMORY], ids=["no store", "memory"])
async def test_without_a_file_nothing_outlives_the_process(setting: Store | None) -> None:
    async with opened(setting) as store:
        assert not store.is_durable


async def test_a_file_outlives_it(tmp_path: Path) -> None:
    setting = Store.model_construct(url=StoreUrl(str(tmp_path / "state.db")))
    async with opened(setting) as store:
        assert store.is_durable
    assert (tmp_path / "state.db").exists()


def test_without_a_file_no_database_is_loaded() -> None:
    code = "import sys, sidecar.serve, sidecar.commands.serve; print('sqlite3' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert found.stdout == b"False\n"
