from pathlib import Path

import pytest
from aiohttp import web

from sidecar.keys.download import DownloadFailed, downloader
from tests.unit.keys.certificates import Authority
from tests.unit.keys.servers import http, raw


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The CA that the servers' certificates are from."""
    return Authority(tmp_path, "ours")


async def hello(_: web.BaseRequest) -> web.StreamResponse:
    """Answers anything."""
    return web.Response(body=b"hello")


async def body(url: str, ca_file: Path | None) -> bytes:
    """What is downloaded from a URL with this CA file or the system's."""
    async with downloader(1000, concurrent=2) as download:
        return await download(url, 5.0, ca_file)


async def failure(url: str, ca_file: Path | None) -> str:
    """Why nothing is downloaded, with the URL left out."""
    with pytest.raises(DownloadFailed) as failed:
        await body(url, ca_file)
    return str(failed.value).replace(url, "URL")


async def test_a_certificate_from_the_ca_file(authority: Authority) -> None:
    async with http(hello, authority.server()) as url:
        assert await body(url, authority.ca_file) == b"hello"


async def test_a_certificate_from_an_unknown_ca(authority: Authority) -> None:
    async with http(hello, authority.server()) as url:
        problem = await failure(url, None)
    assert problem.startswith("URL can't be fetched: its TLS certificate is not trusted (")
    assert "unable to get local issuer certificate" in problem


async def test_a_certificate_from_another_ca_than_the_files(
    authority: Authority, tmp_path: Path
) -> None:
    async with http(hello, authority.server()) as url:
        problem = await failure(url, Authority(tmp_path, "other").ca_file)
    assert problem.startswith("URL can't be fetched: its TLS certificate is not trusted (")


async def test_a_certificate_of_another_host(authority: Authority) -> None:
    async with http(hello, authority.server("127.0.0.2")) as url:
        problem = await failure(url, authority.ca_file)
    assert problem.startswith("URL can't be fetched: its TLS certificate is not trusted (")
    assert "certificate is not valid for '127.0.0.1'" in problem


async def test_one_issuers_ca_file_serves_no_other_issuer(authority: Authority) -> None:
    async with (
        http(hello, authority.server()) as url,
        downloader(1000, concurrent=2) as download,
    ):
        assert await download(url, 5.0, authority.ca_file) == b"hello"
        with pytest.raises(DownloadFailed, match="not trusted"):
            await download(url, 5.0, None)


async def test_a_server_without_tls(authority: Authority) -> None:
    async with raw(b"HTTP/1.1 400 Bad Request\r\n\r\n", scheme="https") as url:
        problem = await failure(url, authority.ca_file)
    assert problem.startswith("URL can't be fetched: no TLS connection (")
    assert "certificate" not in problem


async def test_a_ca_file_that_is_not_there(tmp_path: Path) -> None:
    problem = await failure("https://127.0.0.1:1/", tmp_path / "ca.pem")
    assert problem == (
        f"URL can't be fetched: {tmp_path / 'ca.pem'} can't be read (No such file or directory)"
    )


async def test_a_ca_file_without_certificates(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("MARKER")
    problem = await failure("https://127.0.0.1:1/", tmp_path / "ca.pem")
    assert problem == f"URL can't be fetched: {tmp_path / 'ca.pem'} holds no PEM certificate"
