"""One of several processes that serve: who it is, where it listens, and whom it obeys."""

import asyncio
import hashlib
import json
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Self

from sidecar.config.addresses import Address
from sidecar.config.settings import Settings

VARIABLE: Final = "JWT_SIDECAR_WORKER"
"""Environment variable by which a process knows that it is a worker, and which one."""
LONGEST_NAME: Final = len("/64-0123456789abcdef.sock")
"""Of a socket in the directory, with the slash before it."""
READY: Final = b"\n"
"""What a worker writes once it is ready. Anything else says why it can't be."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Worker:
    """What the supervisor tells a worker when it starts it."""

    number: int
    """From 1 on."""
    directory: str
    """Where its own sockets are, which nobody else may enter."""
    fixed: Mapping[str, Any]
    """What must be in its configuration as it is in that of the others."""

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """The one that this process is; None where it is none."""
        text = environment.get(VARIABLE)
        return cls(**json.loads(text)) if text else None

    def environment(self) -> Mapping[str, str]:
        """What a process is given to be this one."""
        return {VARIABLE: json.dumps(asdict(self))}

    def place(self, address: Address) -> Address:
        """Where it listens in place of this one: a Unix socket can't be shared, a port can."""
        if not address.is_unix:
            return address
        name = hashlib.sha256(os.fsencode(address.path)).hexdigest()[:16]
        return Address(path=os.path.join(self.directory, f"{self.number}-{name}.sock"))

    def counts(self, number: int) -> Address:
        """Where the worker of this number tells the others what it has counted."""
        return Address(path=os.path.join(self.directory, f"{number}-counts.sock"))

    def placed(self, settings: Settings) -> Settings:
        """The settings with its own addresses."""
        listeners = tuple(
            one.model_copy(update={"address": self.place(one.address)})
            for one in settings.listeners
        )
        http = settings.http and settings.http.model_copy(
            update={"address": self.place(settings.http.address)}
        )
        return settings.model_copy(update={"listeners": listeners, "http": http})

    def say(self, said: bytes) -> None:
        """Tells the supervisor."""
        sys.stdout.buffer.write(said)
        sys.stdout.flush()

    def obey(self, handlers: Mapping[signal.Signals, Callable[[], None]]) -> None:
        """Has these called when the supervisor says so, and not by the signals themselves.

        A terminal and a service manager signal every process: what the supervisor hands on would
        be a second signal, which ends calls that may go on. Where the supervisor is gone, it is
        as on SIGINT.
        """
        loop, orders = asyncio.get_running_loop(), sys.stdin.fileno()

        def read() -> None:
            received = os.read(orders, 100)
            for one in received:
                handlers[signal.Signals(one)]()
            if not received:
                loop.remove_reader(orders)
                log.error("the process that started this worker is gone")
                handlers[signal.SIGINT]()

        for one in handlers:
            signal.signal(one, signal.SIG_IGN)
        loop.add_reader(orders, read)

    def leave(self) -> None:
        """Removes the directory, where no other worker is left and the supervisor can't."""
        with suppress(OSError):
            Path(self.directory).rmdir()
