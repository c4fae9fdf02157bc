"""Asking a running sidecar."""

import argparse
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import grpc

from sidecar.cli import UNREACHABLE, WRONG_USAGE, CommandFailed
from sidecar.v1.token_service_pb2_grpc import TokenServiceStub

TIMEOUT: Final = 10.0
"""Seconds that a call may take."""
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
    """The service at the address that the options name; errors become CommandFailed."""
    if not re.fullmatch(r"unix:(///|/(?!/)|[^/]).*|.+:[0-9]{1,5}", options.address):
        raise CommandFailed(f"--address {options.address}: it must be unix:PATH or HOST:PORT")
    with grpc.insecure_channel(options.address) as channel:
        try:
            yield TokenServiceStub(channel)
        except grpc.RpcError as error:
            raise _failure(cast(grpc.Call, error), options.address) from error


def _failure(error: grpc.Call, address: str) -> CommandFailed:
    if error.code() is grpc.StatusCode.UNIMPLEMENTED:
        return CommandFailed(f"what answers at {address} is no jwt-sidecar", UNREACHABLE)
    if error.code() in _OURS:
        return CommandFailed(
            f"{address} can't be reached: {error.details()}. Is a sidecar running there, and is "
            "--address (or JWT_SIDECAR_ADDRESS) right?",
            UNREACHABLE,
        )
    return CommandFailed(error.details() or error.code().name, WRONG_USAGE)
