"""One scripted and one real sidecar for all tests."""

from collections.abc import AsyncIterator, Iterator

import pytest

from jwt_sidecar_client import AsyncClient, Client
from tests import sidecars


@pytest.fixture(scope="session")
def scripted() -> Iterator[str]:
    with sidecars.scripted() as (_, address):
        yield address


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with sidecars.real(tmp_path_factory.mktemp("sidecar")) as address:
        yield address


@pytest.fixture(scope="session")
def real_client(real: str) -> Iterator[Client]:
    with Client(real, timeout=10) as client:
        yield client


@pytest.fixture(scope="session")
def client(scripted: str) -> Iterator[Client]:
    with Client(scripted, timeout=10) as client:
        yield client


@pytest.fixture
async def aio_client(scripted: str) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(scripted, timeout=10) as client:
        yield client
