"""Binding to an address: what must hold before, and what is left behind. Needs no gRPC."""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sidecar.config.addresses import Address

MODE: Final = "0660"
"""Permissions of a Unix socket, where no setting says others."""


class ListenFailed(Exception):
    """An address can't be listened on; the message names it, the cause and the remedy."""


@contextlib.contextmanager
def binding(address: Address, mode: str = MODE, shared: bool = False) -> Iterator[None]:
    """What binding to an address needs before and after, and the cause where it fails.

    A Unix socket gets its permissions before anyone can connect. A port that is `shared` is bound
    with SO_REUSEPORT by each who shares it. Raises ListenFailed.
    """
    check_free(address, shared)
    umask = os.umask(0o777 & ~int(mode, 8))
    try:
        yield
    except (OSError, RuntimeError) as error:
        cause = getattr(error, "strerror", None) or error
        raise ListenFailed(f"{address} can't be listened on: {cause}") from error
    finally:
        os.umask(umask)


def check_free(address: Address, shared: bool = False) -> None:
    """Whether an address can be bound, with the cause that the gRPC libraries keep to themselves.

    A Unix socket that nobody listens on any more is removed. Raises ListenFailed.
    """
    if address.is_unix:
        _check_socket_free(Path(address.path))
    else:
        _bound(address, socket.SO_REUSEPORT if shared else socket.SO_REUSEADDR).close()


@contextlib.contextmanager
def reserved(address: Address) -> Iterator[None]:
    """Keeps a port for processes of ours that share it inside the block; raises ListenFailed.

    With SO_REUSEPORT alone two sidecars would share one without noticing, each with rules of its
    own: so it must be free first, and what keeps it lets nobody else have it.
    """
    check_free(address)
    try:
        keeping = _bound(address, socket.SO_REUSEPORT)
    except ListenFailed:  # connections of a process before that are just ending
        keeping = _bound(address, socket.SO_REUSEPORT, socket.SO_REUSEADDR)
    with keeping:
        yield


def remove_socket(address: Address) -> None:
    """Removes the file of a Unix socket."""
    if address.is_unix:
        Path(address.path).unlink(missing_ok=True)


def _check_socket_free(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        if not path.parent.is_dir():
            raise ListenFailed(
                f"unix:{path}: the directory {path.parent} is not there; create it"
            ) from None
        if not os.access(path.parent, os.W_OK | os.X_OK):
            raise ListenFailed(
                f"unix:{path} can't be made; let the sidecar's user write to {path.parent}, on a "
                "volume that is not read-only"
            ) from None
        return
    except OSError as error:
        raise ListenFailed(f"unix:{path} can't be listened on: {error.strerror}") from error
    if not stat.S_ISSOCK(mode):
        raise ListenFailed(f"unix:{path} exists and is no socket; remove it or choose another path")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)  # of a process that hangs, the queue may be full
        try:
            probe.connect(str(path))
        except BlockingIOError:
            pass
        except OSError as error:
            if error.errno == errno.ECONNREFUSED:
                path.unlink()
                return
            raise ListenFailed(f"unix:{path}: {error.strerror}") from error
    raise ListenFailed(f"unix:{path} is in use by another process; stop it or choose another path")


def _bound(address: Address, *options: int) -> socket.socket:
    """A socket that has the address and does not listen; raises ListenFailed."""
    try:
        family, kind, proto, _, target = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, proto)
        try:
            for option in options:
                bound.setsockopt(socket.SOL_SOCKET, option, 1)
            bound.bind(target)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        raise ListenFailed(f"{address} can't be listened on: {error.strerror}") from error
    return bound
