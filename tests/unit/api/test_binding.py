"""Addresses that can be had: a port that processes of ours share, and nobody else."""

import os
import socket
from pathlib import Path

import pytest

from deploy.demo.stage import free_port
from sidecar.api.binding import ListenFailed, binding, check_free, reserved
from sidecar.config.addresses import Address


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", "::1"])  # noqa: S104 what is configured too
def address(request: pytest.FixtureRequest) -> Address:
    return Address(host=request.param, port=free_port())


def listening(address: Address) -> socket.socket:
    """As a worker listens."""
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    one = socket.socket(family)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    one.bind((address.host, address.port))
    one.listen()
    return one


def test_a_reserved_port_is_for_those_who_share_it(address: Address) -> None:
    with reserved(address):
        for _ in range(2):
            with binding(address, shared=True):
                workers = [listening(address) for _ in range(3)]
            for one in workers:
                one.close()
    check_free(address)


@pytest.mark.parametrize("workers", [0, 2])
def test_nobody_else_has_it_meanwhile(address: Address, workers: int) -> None:
    """Not even before a worker listens, nor while none does."""
    with reserved(address):
        opened = [listening(address) for _ in range(workers)]
        with pytest.raises(ListenFailed, match="Address already in use"), reserved(address):
            pass
        with pytest.raises(ListenFailed, match="Address already in use"):
            check_free(address)
        for one in opened:
            one.close()


def test_a_port_that_somebody_shares_elsewhere_is_not_taken(address: Address) -> None:
    with (
        listening(address),
        pytest.raises(ListenFailed, match="Address already in use"),
        reserved(address),
    ):
        pass


def test_connections_that_are_just_ending_keep_nobody_away() -> None:
    """Those of a process before, which ended first (TIME-WAIT, RFC 9293)."""
    address = Address(host="127.0.0.1", port=free_port())
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((address.host, address.port))
        server.listen()
        with socket.create_connection((address.host, address.port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    with reserved(address), listening(address):
        pass


def test_a_directory_that_can_not_be_written_to_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: path != tmp_path)  # root may write anyway
    with pytest.raises(ListenFailed) as failed:
        check_free(Address(path=str(tmp_path / "s.sock")))
    assert str(failed.value) == (
        f"unix:{tmp_path}/s.sock can't be made; let the sidecar's user write to {tmp_path}, on a "
        "volume that is not read-only"
    )
