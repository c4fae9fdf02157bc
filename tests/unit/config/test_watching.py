"""Noticing changed files, on a simulated clock."""

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.config import watching
from sidecar.config.stamps import Stamp, stamp
from sidecar.config.watching import INTERVAL, until_changed
from tests.simulated_time import in_simulated_time_with_sockets


def rewritten(path: Path) -> None:
    path.write_text("other content")


def replaced(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_text(path.read_text())
    other.rename(path)


def removed(path: Path) -> None:
    path.unlink()


def of_other_permissions(path: Path) -> None:
    path.chmod(0o400)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_text("content")
    return path


async def noticed(*paths: Path, change: Callable[[], None]) -> float:
    """Simulated seconds from a change until it is noticed."""
    before = {str(path): stamp(str(path)) for path in paths}
    change()
    async with asyncio.timeout(100 * INTERVAL):
        await until_changed(lambda: before)
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize("change", [rewritten, replaced, removed, of_other_permissions])
@in_simulated_time_with_sockets
async def test_a_change_is_noticed_in_two_looks(file: Path, change: Callable[[Path], None]) -> None:
    assert await noticed(file, change=lambda: change(file)) == 2 * INTERVAL


@in_simulated_time_with_sockets
async def test_a_file_that_comes_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "absent"
    await noticed(path, change=lambda: rewritten(path))


@in_simulated_time_with_sockets
async def test_one_file_of_many_is_noticed(tmp_path: Path, file: Path) -> None:
    others = [tmp_path / str(number) for number in range(10)]
    await noticed(*others, file, change=lambda: rewritten(file))


@in_simulated_time_with_sockets
async def test_a_link_that_leads_elsewhere_is_noticed(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap: file -> ..data/file, ..data -> a new directory."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("content")
    (tmp_path / "..data").symlink_to("one")
    (tmp_path / "file").symlink_to("..data/file")

    def swap() -> None:
        (tmp_path / "..new").symlink_to("two")
        (tmp_path / "..new").rename(tmp_path / "..data")

    await noticed(tmp_path / "file", change=swap)


@in_simulated_time_with_sockets
async def test_what_is_still_being_written_is_waited_for(file: Path) -> None:
    before = {str(file): stamp(str(file))}

    async def write() -> None:
        for number in range(5):
            file.write_text("x" * number)
            os.utime(file, (number, number))
            await asyncio.sleep(INTERVAL)

    writing = asyncio.create_task(write())
    await until_changed(lambda: before)
    assert writing.done()


@in_simulated_time_with_sockets
async def test_what_was_read_meanwhile_is_no_change_any_more(file: Path) -> None:
    known = {str(file): stamp(str(file))}
    watching = asyncio.create_task(until_changed(lambda: known))
    rewritten(file)
    await asyncio.sleep(1.5 * INTERVAL)
    known = {str(file): stamp(str(file))}
    await asyncio.sleep(100 * INTERVAL)
    assert not watching.done()
    watching.cancel()


@in_simulated_time_with_sockets
async def test_files_that_stay_are_no_change(file: Path) -> None:
    with pytest.raises(TimeoutError):
        await noticed(file, file.with_suffix(".absent"), change=lambda: None)


async def test_a_file_system_that_hangs_holds_up_nothing_else(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, free = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hanging(path: str) -> Stamp | None:
        loop.call_soon_threadsafe(looked.set)
        assert free.wait(20)
        return stamp(path)

    monkeypatch.setattr(watching, "INTERVAL", 0.0)
    monkeypatch.setattr(watching, "stamp", hanging)
    watch = asyncio.create_task(until_changed(lambda: {str(file): None}))
    await looked.wait()
    assert not free.is_set()
    free.set()
    await watch
