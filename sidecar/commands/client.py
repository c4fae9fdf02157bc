"""Asking a running sidecar."""

import argparse
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import grpc

from sidecar.cli import UNREACHABLE, WRONG_USAGE, CommandFailed
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub

if TYPE_CHECKING:
    from sidecar.v1.admin_service_pb2_grpc import AdminServiceStub

TIMEOUT: Final = 10.0
"""Seconds that a call may take."""
_MOST_TOKEN_BYTES: Final = 64 * 1024
_DETAILS: Final = "grpc-status-details-bin"
_OURS: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.CANCELLED,
    }
)


@contextmanager
def token_service(options: argparse.Namespace) -> Iterator[TokenServiceStub]:
    """TokenService at the address that the options name; errors become CommandFailed."""
    with _connected(options) as channel:
        yield TokenServiceStub(channel)


@contextmanager
def admin_service(options: argparse.Namespace) -> Iterator["AdminServiceStub"]:
    """AdminService at the address that the options name; errors become CommandFailed."""
    from sidecar.v1.admin_service_pb2_grpc import AdminServiceStub

    with _connected(options) as channel:
        yield AdminServiceStub(channel)


@contextmanager
def health_service(options: argparse.Namespace) -> Iterator[Any]:
    """grpc.health.v1.Health at the address that the options name; errors become CommandFailed.

    Of no type, since the types of its stub lack the methods.
    """
    from grpc_health.v1.health_pb2_grpc import HealthStub

    with _connected(options) as channel:
        yield HealthStub(channel)


@contextmanager
def _connected(options: argparse.Namespace) -> Iterator[grpc.Channel]:
    if not _is_address(options.address):
        raise CommandFailed(
            f"--address (or JWT_SIDECAR_ADDRESS) {options.address}: it must be unix:PATH or "
            "HOST:PORT, with a port of 1 to 65535, IPv6 in brackets, and nothing before the host"
        )
    with _channel(options) as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            raise _failure(cast(grpc.Call, error), options) from error


def _is_address(text: str) -> bool:
    if re.fullmatch(r"unix:(///|/(?!/)|[^/]).*", text):
        return True
    tcp = re.fullmatch(r"(?:[^\s:/\[\]]+|\[[^\s/\[\]]+\]):([0-9]{1,5})", text)
    # gRPC takes a port above these for another one.
    return tcp is not None and 0 < int(tcp[1]) <= 65535


def _channel(options: argparse.Namespace) -> grpc.Channel:
    token = _caller_token(options.caller_token_file)
    credentials = _credentials(options)
    if credentials is None:
        channel = grpc.insecure_channel(options.address)
    else:
        channel = grpc.secure_channel(options.address, credentials)
    return grpc.intercept_channel(channel, _Showing(token)) if token else channel


def _credentials(options: argparse.Namespace) -> grpc.ChannelCredentials | None:
    """What TLS needs, None where no option asks for it; raises CommandFailed."""
    certificate, key = options.tls_certificate, options.tls_key
    if bool(certificate) != bool(key):
        raise CommandFailed("--tls-certificate and --tls-key need each other; name both")
    if not options.tls_ca:
        if certificate:
            raise CommandFailed("--tls-certificate needs --tls-ca, the CA of the sidecar")
        return None

    from sidecar.config.tls import Unfit, read_ca, read_pair

    try:
        trusted = read_ca("--tls-ca", options.tls_ca)
        if not certificate:
            return grpc.ssl_channel_credentials(trusted)
        chain, private_key = read_pair("--tls-certificate", certificate, "--tls-key", key)
    except Unfit as unfit:
        raise CommandFailed(f"{unfit.setting}: {unfit.message}") from unfit
    return grpc.ssl_channel_credentials(trusted, private_key, chain)


def _caller_token(path: str) -> str:
    """The token in a file, empty where none is named; raises CommandFailed."""
    if not path:
        return ""
    try:
        with open(path, "rb") as file:
            token = file.read(_MOST_TOKEN_BYTES).decode("ascii").strip()
    except OSError as error:
        raise CommandFailed(
            f"--caller-token-file: {path} can't be read: {error.strerror}"
        ) from error
    except UnicodeDecodeError:
        token = ""
    if re.fullmatch(r"[!-~]+", token) is None:
        raise CommandFailed(f"--caller-token-file: {path} must hold a token, without Bearer")
    return token


class _Call(NamedTuple):
    """A call that is about to be made, with the fields that gRPC looks at."""

    method: str
    timeout: float | None
    metadata: Sequence[tuple[str, str]]
    credentials: grpc.CallCredentials | None = None
    wait_for_ready: bool | None = None
    compression: grpc.Compression | None = None


class _Showing(grpc.UnaryUnaryClientInterceptor):
    """Shows a token with each call. gRPC's own call credentials would do so with TLS only."""

    def __init__(self, token: str) -> None:
        self._metadata = (("authorization", f"Bearer {token}"),)

    def intercept_unary_unary(
        self, continuation: Callable[[Any, Any], Any], client_call_details: Any, request: Any
    ) -> Any:
        """The call with the token in its metadata."""
        details = client_call_details
        return continuation(_Call(details.method, details.timeout, self._metadata), request)


def _failure(error: grpc.Call, options: argparse.Namespace) -> CommandFailed:
    address, details = options.address, error.details() or error.code().name
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return CommandFailed(f"what answers at {address} is no jwt-sidecar", UNREACHABLE)
    if error.code() in _OURS and not _is_answered(error):
        return CommandFailed(
            f"{address} can't be reached: {error.details()}. Is a sidecar running there, and is "
            f"--address (or JWT_SIDECAR_ADDRESS) right?{_about_tls(options)}",
            UNREACHABLE,
        )
    if "caller token: TOKEN_MISSING" in details:
        details += "; name a file with one by --caller-token-file"
    return CommandFailed(details, WRONG_USAGE)


def _is_answered(error: grpc.Call) -> bool:
    """Whether the sidecar said so, and not gRPC for want of one: its errors have details."""
    return any(key == _DETAILS for key, _ in error.trailing_metadata() or ())


def _about_tls(options: argparse.Namespace) -> str:
    if options.address.startswith("unix:"):
        return " A Unix socket has no TLS: leave out --tls-ca." if options.tls_ca else ""
    if not options.tls_ca:
        return " If it serves TLS, add --tls-ca."
    if not options.tls_certificate:
        return (
            " Does it serve TLS, with a certificate for this address from --tls-ca? If it serves "
            "plain text, leave out --tls-ca. If it asks callers for a certificate, add "
            "--tls-certificate and --tls-key."
        )
    return (
        " Does it serve TLS, with a certificate for this address from --tls-ca, and is "
        "--tls-certificate in force and from the listener's client_ca_file?"
    )
