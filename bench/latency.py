"""How long each call takes, seen by its caller."""

import select
import time
from collections.abc import Callable, Sequence
from typing import Final

from bench.load import Connection

_PATIENCE: Final = 0.02
"""Seconds between two looks at whether to go on."""


def percentile(seconds: Sequence[float], share: float) -> float:
    """The least that so many of them, as a share, do not exceed."""
    ordered = sorted(seconds)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)]


def closed(
    connection: Connection, requests: Sequence[bytes], in_flight: int
) -> tuple[Sequence[float], Sequence[bytes]]:
    """The seconds that each call takes while so many are in flight, and its answer."""
    first, begun = connection.begun, list[float]()
    seconds, answers = list[float](), list[bytes]()
    while len(seconds) < len(requests):
        number = connection.send(requests[len(begun) : len(seconds) + in_flight])
        begun += [time.perf_counter()] * number
        for call, answer in connection.receive():
            seconds.append(time.perf_counter() - begun[call - first])
            answers.append(answer)
    return seconds, answers


def paced(
    connection: Connection,
    request: Callable[[int], bytes],
    rate: float,
    goes_on: Callable[[float], bool],
    is_right: Callable[[bytes], bool],
) -> Sequence[float]:
    """The seconds that each of so many calls a second takes, whether or not others have ended.

    Makes calls while `goes_on` says so of the seconds since the start; raises RuntimeError where
    an answer is wrong.
    """
    first, start = connection.begun, time.perf_counter()
    begun, seconds = list[float](), list[float]()
    going = True
    while going or len(seconds) < len(begun):
        now = time.perf_counter()
        going = going and goes_on(now - start)
        due = start + len(begun) / rate
        if going and now >= due:
            begun.append(now)
            if not connection.send([request(len(begun))]):
                raise RuntimeError("the server takes no more calls")
            continue
        wait = max(0.0, min(due - now, _PATIENCE)) if going else _PATIENCE
        if select.select([connection], [], [], wait)[0]:
            for call, answer in connection.receive():
                seconds.append(time.perf_counter() - begun[call - first])
                if not is_right(answer):
                    raise RuntimeError("an answer is wrong")
    return seconds
