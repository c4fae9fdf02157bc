"""Listeners that change while they run, with servers that do nothing."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import grpc
import pytest

from sidecar.api.binding import ListenFailed
from sidecar.api.listener import Listener
from sidecar.api.listeners import Listeners
from sidecar.config.addresses import Address
from sidecar.config.listeners import Listener as Settings
from tests.simulated_time import in_simulated_time

GRACE = 10.0


def settings(port: int = 1, **more: Any) -> Settings:
    address = Address(host="127.0.0.1", port=port)
    return Settings.model_construct(address=address, services=("validate",), **more)


PLAIN, OTHER = settings(), settings(reflection=False)


@dataclass
class Ports:
    """Addresses, one listener at each; what is stopped holds its own for so many seconds."""

    seconds_to_stop: float = 0.0
    taken: set[Address] = field(default_factory=set)
    """By somebody else."""
    bound: list[Address] = field(default_factory=list)

    def bind(self, wanted: Settings) -> Listener:
        if wanted.address in (*self.taken, *self.bound):
            raise ListenFailed(f"{wanted.address} is in use")
        self.bound.append(wanted.address)
        server = cast(grpc.aio.Server, _Server(self, wanted.address))
        return Listener(wanted.address, wanted.services, "fake", server)


@dataclass
class _Server:
    ports: Ports
    address: Address

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def stop(self, _: float) -> None:
        await asyncio.sleep(self.ports.seconds_to_stop)
        self.ports.bound.remove(self.address)


async def changed(listeners: Listeners, *wanted: Settings) -> None:
    await listeners.prepare(wanted)
    await listeners.change(wanted, GRACE)


@in_simulated_time
async def test_a_change_waits_for_listeners_that_are_opened_anew() -> None:
    listeners = Listeners(Ports(seconds_to_stop=0.5).bind)
    await changed(listeners, PLAIN)
    await changed(listeners, OTHER)
    assert len(listeners.all) == 1


@in_simulated_time
async def test_a_call_that_holds_the_address_does_not_hold_up_the_change() -> None:
    listeners = Listeners(Ports(seconds_to_stop=GRACE).bind)
    await changed(listeners, PLAIN)
    await changed(listeners, OTHER)
    assert listeners.all == ()
    assert asyncio.get_running_loop().time() < 2
    await asyncio.sleep(GRACE)
    assert len(listeners.all) == 1


@in_simulated_time
async def test_an_address_that_somebody_else_has_is_opened_when_it_is_free(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ports = Ports()
    listeners = Listeners(ports.bind)
    await changed(listeners, PLAIN)
    ports.taken.add(PLAIN.address)
    await changed(listeners, OTHER)
    await asyncio.sleep(60)
    assert listeners.all == ()
    assert caplog.text.count("127.0.0.1:1 is in use") == 1
    ports.taken.clear()
    await asyncio.sleep(2)
    assert len(listeners.all) == 1


@in_simulated_time
async def test_an_address_that_still_drains_can_be_wanted_again() -> None:
    listeners = Listeners(Ports(seconds_to_stop=GRACE).bind)
    await changed(listeners, PLAIN)
    await changed(listeners)
    await changed(listeners, PLAIN)
    await asyncio.sleep(GRACE)
    assert len(listeners.all) == 1


@in_simulated_time
async def test_what_is_not_wanted_any_more_is_not_opened() -> None:
    ports = Ports(seconds_to_stop=GRACE)
    listeners = Listeners(ports.bind)
    await changed(listeners, PLAIN)
    await changed(listeners, OTHER)
    await changed(listeners, settings(port=2))
    await asyncio.sleep(2 * GRACE)
    assert ports.bound == [settings(port=2).address]


@in_simulated_time
async def test_nothing_is_opened_once_all_are_stopped() -> None:
    ports = Ports(seconds_to_stop=GRACE)
    listeners = Listeners(ports.bind)
    await changed(listeners, PLAIN)
    await changed(listeners, OTHER)
    await listeners.stop(GRACE)
    await asyncio.sleep(2 * GRACE)
    assert ports.bound == []
