import ssl
from pathlib import Path

import pytest
from aiohttp import web

from sidecar.keys.answer import DownloadFailed, Outcome
from sidecar.keys.download import Access, downloader
from tests.identities import Ca
from tests.unit.keys.certificates import Authority
from tests.unit.keys.servers import Handler, http, raw


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """The CA that the servers' certificates are from."""
    return Authority(tmp_path, "ours")


async def hello(_: web.BaseRequest) -> web.StreamResponse:
    """Answers anything."""
    return web.Response(body=b"hello")


async def body(url: str, ca_file: Path | None) -> bytes | None:
    """What is downloaded from a URL with this CA file or the system's."""
    download = downloader(1000)
    return (await download(url, Access(5.0, ca_file), None)).body


async def failure(url: str, ca_file: Path | None) -> str:
    """Why nothing is downloaded, with the URL left out."""
    with pytest.raises(DownloadFailed) as failed:
        await body(url, ca_file)
    assert failed.value.outcome is Outcome.TLS
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
    assert "certificate is not valid for '127.0.0.1': no subjectAltName in it has" in problem


@pytest.mark.parametrize(
    ("sans", "is_trusted"),
    [
        pytest.param(("localhost",), True, id="the host is one of its names"),
        pytest.param((), False, id="no names"),
        pytest.param(("spiffe://shop/keys",), False, id="a URI alone"),
        pytest.param(("keys.example.com",), False, id="another host's name"),
    ],
)
async def test_the_common_name_of_a_certificate_does_not_count(
    tmp_path: Path, sans: tuple[str, ...], is_trusted: bool
) -> None:
    """RFC 9525, section 2. All of them have the host as common name."""
    ca, ca_file = Ca(), tmp_path / "ca.pem"
    ca_file.write_bytes(ca.certificate)
    own = ca.certify(*sans, common_name="localhost")
    own.write(tmp_path / "own.pem", tmp_path / "own.key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem", tmp_path / "own.key")
    async with http(hello, context) as address:
        url = address.replace("127.0.0.1", "localhost")
        if is_trusted:
            assert await body(url, ca_file) == b"hello"
        else:
            assert "no subjectAltName in it has this name" in await failure(url, ca_file)


async def test_one_issuers_ca_file_serves_no_other_issuer(authority: Authority) -> None:
    async with http(hello, authority.server()) as url:
        download = downloader(1000)
        assert (await download(url, Access(5.0, authority.ca_file), None)).body == b"hello"
        with pytest.raises(DownloadFailed, match="not trusted"):
            await download(url, Access(5.0), None)


async def test_a_ca_file_that_changes_is_read_again(authority: Authority, tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_bytes(Authority(tmp_path, "other").ca_file.read_bytes())
    async with http(hello, authority.server()) as url:
        download = downloader(1000)
        with pytest.raises(DownloadFailed, match="not trusted"):
            await download(url, Access(5.0, ca_file), None)
        ca_file.write_bytes(authority.ca_file.read_bytes() + b"# another length\n")
        assert (await download(url, Access(5.0, ca_file), None)).body == b"hello"


async def test_a_link_that_is_swapped_is_a_ca_file_that_changes(
    authority: Authority, tmp_path: Path
) -> None:
    link = tmp_path / "ca.pem"
    link.symlink_to(Authority(tmp_path, "other").ca_file)
    async with http(hello, authority.server()) as url:
        download = downloader(1000)
        with pytest.raises(DownloadFailed, match="not trusted"):
            await download(url, Access(5.0, link), None)
        (tmp_path / "new").symlink_to(authority.ca_file)
        (tmp_path / "new").rename(link)
        assert (await download(url, Access(5.0, link), None)).body == b"hello"


@pytest.mark.parametrize(
    "content",
    [pytest.param("-----BEGIN CERT", id="half written"), pytest.param(None, id="not there")],
)
async def test_a_ca_file_that_breaks_leaves_the_old_one_in_use(
    authority: Authority, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    async with http(hello, authority.server()) as url:
        download = downloader(1000)
        access = Access(5.0, authority.ca_file)
        assert (await download(url, access, None)).body == b"hello"
        authority.ca_file.unlink()
        if content is not None:
            authority.ca_file.write_text(content)
        assert (await download(url, access, None)).body == b"hello"
    assert "what it held before is still trusted" in caplog.text


async def test_a_certificate_that_expired(authority: Authority) -> None:
    async with http(hello, authority.server(days=-1)) as url:
        problem = await failure(url, authority.ca_file)
    assert "certificate has expired" in problem


def redirecting(*paths: str, to: str = "") -> Handler:
    """Leads along these paths, then answers, or leads on to another place."""

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        ahead = [*paths, to] if to else [*paths]
        step = paths.index(request.path) + 1 if request.path in paths else 0
        if step < len(ahead):
            there = ahead[step].replace("PORT", str(request.url.port))
            return web.Response(status=302, headers={"location": there})
        return web.Response(body=b"{}")

    return answer


@pytest.mark.parametrize("paths", [("/1",), ("/1", "/2"), ("/1", "/2", "/3")], ids=len)
async def test_redirects_on_the_same_server_are_followed(
    authority: Authority, paths: tuple[str, ...]
) -> None:
    async with http(redirecting(*paths), authority.server()) as url:
        assert await body(url, authority.ca_file) == b"{}"


@pytest.mark.parametrize(
    ("handler", "problem"),
    [
        pytest.param(
            redirecting("/1", "/2", "/3", "/4"),
            "URL leads through more than 3 redirects",
            id="more than three",
        ),
        *(
            pytest.param(
                redirecting(to=to),
                "URL answers 302, a redirect, which is followed only over https to the same host "
                "and port: configure the URL that it leads to",
                id=name,
            )
            for name, to in {
                "to another host": "https://keys.example.com/jwks",
                "to another port": "https://127.0.0.1:1/jwks",
                "to plain HTTP": "http://127.0.0.1/jwks",
                "to plain HTTP on the same port": "http://127.0.0.1:PORT/jwks",
                "to a host without a scheme": "//keys.example.com/jwks",
                "with a password": "https://joe:secret@127.0.0.1:PORT/jwks",
                "to a file": "file:///etc/passwd",
                "to half an address": "https://[MARKER",
                "to a port that is none": "https://127.0.0.1:MARKER/",
            }.items()
        ),
    ],
)
async def test_redirects_that_are_refused(
    authority: Authority, handler: Handler, problem: str
) -> None:
    async with http(handler, authority.server()) as url:
        with pytest.raises(DownloadFailed) as failed:
            await body(url, authority.ca_file)
    assert failed.value.outcome is Outcome.REDIRECT
    assert str(failed.value).replace(url, "URL") == problem


async def test_a_redirect_without_tls_is_refused_on_the_same_server_too() -> None:
    async with http(redirecting("/1")) as url:
        with pytest.raises(DownloadFailed, match="followed only over https"):
            await body(url, None)


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
