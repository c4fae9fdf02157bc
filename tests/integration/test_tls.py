"""TLS on real sockets: who gets in, what they are shown, and what a rotation does to them."""

import asyncio
import os
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from sidecar.api.binding import ListenFailed
from sidecar.config.load import load
from sidecar.serve import Sidecar
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub
from tests.identities import EXPIRED, HERE, NOT_YET, Ca, Certified
from tests.running import CONSUMERS_AND_SIGNER, Running, fails, running

SPIFFE = "spiffe://prod/ns/shop/sa/checkout"
CA, OTHER_CA = Ca("ours"), Ca("another")
CALLER = CA.certify(SPIFFE)


def listener(*more: str, services: str = "validate, issue", host: str = "127.0.0.1") -> str:
    """The YAML of one listener with TLS, of which `more` is added to `tls`."""
    tls = ", ".join(("certificate_file: tls.crt", "private_key_file: tls.key", *more))
    rule = "" if "client_ca_file" in tls else ", unauthenticated: true"
    return (
        f"listeners: [{{address: '{host}:0', services: [{services}], tls: {{{tls}}}{rule}}}]\n"
        f"shutdown: {{drain: 0s, grace: 2s}}\n{CONSUMERS_AND_SIGNER}"
    )


ONE_WAY = listener()
MUTUAL = listener("client_ca_file: ca.crt")
NAMED = listener("client_ca_file: ca.crt", f'client_names: ["{SPIFFE}", "other.shop"]')


@dataclass(frozen=True)
class Secured:
    """A sidecar that serves TLS, and the directory with its files."""

    running: Running
    directory: Path

    @property
    def port(self) -> int:
        return int(self.running.address.rpartition(":")[2])

    def show(self, certified: Certified) -> None:
        """Puts another certificate in place, as a program that rotates does: one by one."""
        certified.write(self.directory / "new.crt", self.directory / "new.key")
        for end in ("crt", "key"):
            os.replace(self.directory / f"new.{end}", self.directory / f"tls.{end}")

    def channel(self, caller: Certified | None = CALLER, trusts: Ca = CA) -> grpc.aio.Channel:
        """One that shares its connection with no other."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        credentials = client_credentials(caller, trusts)
        return grpc.aio.secure_channel(self.running.address, credentials, options)

    async def call(self, caller: Certified | None = CALLER, trusts: Ca = CA) -> bool:
        """Whether a call over a connection of its own is answered; raises AioRpcError."""
        async with self.channel(caller, trusts) as channel:
            return await calls(channel)

    async def shown(self) -> int:
        """The serial number of the certificate that a new connection is shown."""
        return await asyncio.to_thread(self._shown)

    async def wait_until_shown(self, certified: Certified) -> None:
        while await self.shown() != certified.serial_number:
            pass

    def _shown(self) -> int:
        context = insecure_context()
        context.load_cert_chain(self.directory / "caller.crt", self.directory / "caller.key")
        with (
            socket.create_connection(("127.0.0.1", self.port)) as plain,
            context.wrap_socket(plain) as secured,
        ):
            assert secured.selected_alpn_protocol() == "h2"
            data = secured.getpeercert(binary_form=True)
        assert data
        return x509.load_der_x509_certificate(data).serial_number


def client_credentials(caller: Certified | None, trusts: Ca) -> grpc.ChannelCredentials:
    if caller is None:
        return grpc.ssl_channel_credentials(trusts.certificate)
    return grpc.ssl_channel_credentials(trusts.certificate, caller.private_key, caller.certificate)


def insecure_context() -> ssl.SSLContext:
    """Of a client that trusts anybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    return context


async def calls(channel: grpc.aio.Channel) -> bool:
    answer = await TokenServiceStub(channel).ValidateToken(
        messages.ValidateTokenRequest(token="a.b"), timeout=10
    )
    return "TOKEN_MALFORMED" in str(answer)


@asynccontextmanager
async def secured(directory: Path, configuration: str) -> AsyncIterator[Secured]:
    CA.certify(*HERE).write(directory / "tls.crt", directory / "tls.key")
    CALLER.write(directory / "caller.crt", directory / "caller.key")
    (directory / "ca.crt").write_bytes(CA.certificate)
    async with running(directory, configuration) as one:
        yield Secured(one, directory)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
async def test_a_caller_that_trusts_the_ca_is_served(tmp_path: Path, host: str) -> None:
    async with secured(tmp_path, listener(host=host)) as one:
        assert await one.call(caller=None)


async def test_what_is_issued_over_tls_is_valid(tmp_path: Path) -> None:
    async with secured(tmp_path, NAMED) as one, one.channel() as channel:
        stub: Any = TokenServiceStub(channel)
        issued = await stub.IssueToken(messages.IssueTokenRequest(subject="alice"))
        answer = await stub.ValidateToken(messages.ValidateTokenRequest(token=issued.token))
        assert answer.valid


REFUSED: dict[str, tuple[str, Certified | None]] = {
    "no certificate": (MUTUAL, None),
    "a certificate of another CA": (MUTUAL, OTHER_CA.certify(SPIFFE)),
    "an expired certificate": (MUTUAL, CA.certify(SPIFFE, life=EXPIRED)),
    "a certificate that is not valid yet": (MUTUAL, CA.certify(SPIFFE, life=NOT_YET)),
}


@pytest.mark.parametrize(("configuration", "caller"), REFUSED.values(), ids=list(REFUSED))
async def test_no_connection_without_a_certificate_of_the_ca(
    tmp_path: Path, configuration: str, caller: Certified | None
) -> None:
    async with secured(tmp_path, configuration) as one:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await one.call(caller)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert await one.call()


async def test_a_caller_does_not_trust_another_ca(tmp_path: Path) -> None:
    async with secured(tmp_path, ONE_WAY) as one:
        with pytest.raises(grpc.aio.AioRpcError, match="CERTIFICATE_VERIFY_FAILED"):
            await one.call(trusts=OTHER_CA)


async def test_plain_text_gets_no_answer(tmp_path: Path) -> None:
    async with secured(tmp_path, ONE_WAY) as one:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await calls(one.running.channel)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("version", "is_served"),
    [
        pytest.param(ssl.TLSVersion.TLSv1_3, True, id="1.3"),
        pytest.param(ssl.TLSVersion.TLSv1_2, True, id="1.2"),
        pytest.param(ssl.TLSVersion.TLSv1_1, False, id="1.1"),
    ],
)
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_the_oldest_tls_is_1_2(
    tmp_path: Path, version: ssl.TLSVersion, is_served: bool
) -> None:
    context = insecure_context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    async with secured(tmp_path, ONE_WAY) as one:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", one.port, ssl=context)
            writer.close()
            connected = True
        except (ssl.SSLError, ConnectionError):
            connected = False
    assert connected is is_served


@pytest.mark.parametrize(
    ("sans", "is_served"),
    [
        pytest.param((SPIFFE,), True, id="the URI"),
        pytest.param(("10.0.0.1", "other.shop"), True, id="a DNS name beside another"),
        pytest.param(("spiffe://prod/ns/shop/sa/checkout2",), False, id="a longer URI"),
        pytest.param(("third.shop",), False, id="another DNS name"),
        pytest.param((), False, id="no SAN"),
    ],
)
async def test_callers_are_known_by_their_names(
    tmp_path: Path, sans: tuple[str, ...], is_served: bool
) -> None:
    async with secured(tmp_path, NAMED) as one:
        if is_served:
            assert await one.call(CA.certify(*sans))
        else:
            with fails(grpc.StatusCode.PERMISSION_DENIED, "CALLER_DENIED"):
                await one.call(CA.certify(*sans))


async def test_a_wrong_name_is_told_which_names_it_has(tmp_path: Path) -> None:
    async with secured(tmp_path, NAMED) as one:
        with pytest.raises(grpc.aio.AioRpcError, match=r'has the SANs \["third\.shop"\]'):
            await one.call(CA.certify("third.shop"))


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(
            lambda stub: stub.IssueToken(messages.IssueTokenRequest(subject="a")), id="issue"
        ),
        pytest.param(lambda stub: stub.GetJwks(messages.GetJwksRequest()), id="keys"),
    ],
)
async def test_no_method_is_for_a_wrong_name(tmp_path: Path, call: Callable[[Any], Any]) -> None:
    async with secured(tmp_path, NAMED) as one, one.channel(CA.certify("x.shop")) as channel:
        with fails(grpc.StatusCode.PERMISSION_DENIED, "CALLER_DENIED"):
            await call(TokenServiceStub(channel))


async def test_envoy_with_a_wrong_name_gets_an_rpc_error(tmp_path: Path) -> None:
    configuration = listener(
        "client_ca_file: ca.crt", f'client_names: ["{SPIFFE}"]', services="ext_authz"
    )
    async with secured(tmp_path, configuration) as one:
        for caller, is_served in ((CALLER, True), (CA.certify("x.shop"), False)):
            async with one.channel(caller) as channel:
                check: Any = channel.unary_unary("/envoy.service.auth.v3.Authorization/Check")
                if is_served:
                    assert b"TOKEN_MISSING" in await check(b"")
                else:
                    with fails(grpc.StatusCode.PERMISSION_DENIED, "CALLER_DENIED"):
                        await check(b"")


async def test_health_is_open_to_whoever_has_a_certificate(tmp_path: Path) -> None:
    async with secured(tmp_path, NAMED) as one, one.channel(CA.certify("x.shop")) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        answer = await health.Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_rotation_drops_no_call_and_no_connection(tmp_path: Path) -> None:
    old, new = CA.certify(*HERE), CA.certify(*HERE)
    async with secured(tmp_path, MUTUAL) as one:
        one.show(old)
        await one.wait_until_shown(old)
        rotated = asyncio.Event()

        async def call_without_pause(channel: grpc.aio.Channel) -> tuple[int, int]:
            before = after = 0
            while after < 20:
                assert await calls(channel)
                before, after = (before, after + 1) if rotated.is_set() else (before + 1, 0)
            return before, after

        async with one.channel() as first, one.channel() as second:
            callers = [asyncio.create_task(call_without_pause(each)) for each in (first, second)]
            await asyncio.gather(calls(first), calls(second))
            before = connections(one.port)
            one.show(new)
            await one.wait_until_shown(new)
            rotated.set()
            assert all(before and after for before, after in await asyncio.gather(*callers))
            assert len(before) == 2
            assert before <= connections(one.port)
        assert await one.call()


async def test_half_a_rotation_changes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old, new = CA.certify(*HERE), CA.certify(*HERE)
    async with secured(tmp_path, ONE_WAY) as one:
        one.show(old)
        await one.wait_until_shown(old)
        (tmp_path / "tls.crt").write_bytes(new.certificate)
        while not told(caplog):
            assert await one.shown() == old.serial_number
        assert await one.shown() == old.serial_number
        (tmp_path / "tls.key").write_bytes(new.private_key)
        await one.wait_until_shown(new)
    (message,) = told(caplog)
    assert "the certificate in use stays" in message


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of handshakes; it may also say that the files can't be reloaded."""
    return [one.getMessage() for one in caplog.records if one.name == "sidecar.api.tls"]


async def test_another_ca_of_callers_takes_the_place_of_the_first(tmp_path: Path) -> None:
    async with secured(tmp_path, MUTUAL) as one, one.channel() as kept:
        assert await calls(kept)
        (tmp_path / "ca.crt").write_bytes(OTHER_CA.certificate)
        theirs = OTHER_CA.certify(SPIFFE)
        while not await connects(one, theirs):
            pass
        assert not await connects(one, CALLER)
        assert await calls(kept)


async def test_after_a_reload_no_one_connects_by_a_ca_that_was_replaced(tmp_path: Path) -> None:
    async with secured(tmp_path, MUTUAL) as one:
        assert await connects(one, CALLER)
        (tmp_path / "ca.crt").write_bytes(OTHER_CA.certificate)
        assert await one.running.sidecar.reload()
        assert not await connects(one, CALLER)


async def connects(one: Secured, caller: Certified) -> bool:
    try:
        return await one.call(caller)
    except grpc.aio.AioRpcError:
        return False


def connections(port: int) -> set[str]:
    """Both ends of every open connection to this port of this machine (proc(5))."""
    text = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    rows = [line.split()[1:4] for line in text.splitlines()]
    return {
        f"{local} {remote}"
        for local, remote, state in rows
        if state == "01" and remote.endswith(f":{port:04X}")
    }


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def client_hello() -> bytes:
    """What a handshake begins with."""
    sent = ssl.MemoryBIO()
    unfinished = insecure_context().wrap_bio(ssl.MemoryBIO(), sent)
    with pytest.raises(ssl.SSLWantReadError):
        unfinished.do_handshake()
    return sent.read()


@pytest.mark.parametrize("configuration", [ONE_WAY, MUTUAL], ids=["one way", "mutual"])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="silence"),
        pytest.param(client_hello()[:50], id="half a greeting"),
        pytest.param(client_hello(), id="a greeting alone"),
    ],
)
async def test_a_handshake_without_an_end_is_ended(
    tmp_path: Path, configuration: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sidecar.api.listener.HANDSHAKE_MS", 200)
    async with secured(tmp_path, configuration) as one:
        reader, writer = await asyncio.open_connection("127.0.0.1", one.port)
        writer.write(data)
        await reader.read()
        writer.close()
        while not await connects(one, CALLER):  # on a busy machine a good one may take as long
            pass


async def test_what_is_no_handshake_leaves_nothing_behind(tmp_path: Path) -> None:
    half = client_hello()
    async with secured(tmp_path, MUTUAL) as one, one.channel() as channel:
        assert await calls(channel)
        before = descriptors()
        for _ in range(20):
            for data in (
                b"",
                b"\x16",
                half[:100],
                half,
                b"GET / HTTP/1.1\r\n\r\n",
                os.urandom(999),
            ):
                _, writer = await asyncio.open_connection("127.0.0.1", one.port)
                writer.write(data)
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        while descriptors() > before:
            assert await one.call()
        assert await calls(channel)
        assert await one.call()


async def test_files_that_break_between_check_and_start_are_named(tmp_path: Path) -> None:
    CA.certify(*HERE).write(tmp_path / "tls.crt", tmp_path / "tls.key")
    path = tmp_path / "jwt-sidecar.yaml"
    path.write_text(ONE_WAY)
    sidecar = Sidecar(load(path, {}))
    (tmp_path / "tls.key").unlink()
    with pytest.raises(ListenFailed, match=r"127\.0\.0\.1:0 can't be listened on: .*tls\.key"):
        async with sidecar.serving():
            pass
