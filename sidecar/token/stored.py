"""Consumers that are kept outside of the Snapshot, and what the checks ask about them."""

from dataclasses import dataclass
from typing import Final

from sidecar.token.outside import Outside, Question
from sidecar.token.reason import CallFailed, ErrorReason, not_configured
from sidecar.token.snapshot import Consumer, Consumers
from sidecar.token.words import quoted

LONGEST_KEY: Final = 1024
"""Characters of the value of a key claim: nobody has a longer one."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """What was found out about a consumer."""

    consumer: Consumer | None
    """None where there is none, and where that can't be said."""
    problem: str = ""
    """Why it can't be said; empty where it can."""


UNKNOWN: Final = Lookup(None)


@dataclass(frozen=True, slots=True)
class ConsumerQuestion(Question[Lookup]):
    """Asks who has this key."""

    key: str


@dataclass(frozen=True, slots=True)
class NamedConsumerQuestion(Question[Lookup]):
    """Asks who has this name."""

    name: str


def consumer_named(name: str, consumers: Consumers, now: float, outside: Outside) -> Consumer:
    """The consumer of this name: of the configuration, else of the store.

    Raises CallFailed where there is none or that can't be said, and Unanswered.
    """
    if name in consumers.by_name:
        return consumers.by_name[name]
    if not consumers.are_stored:
        raise not_configured("consumer", name, consumers.by_name, "consumer")
    found = outside.answer(NamedConsumerQuestion(name), now)
    if found.problem:
        raise CallFailed(ErrorReason.STORE_UNAVAILABLE, found.problem, "consumer")
    if found.consumer is None or found.consumer.key in consumers.by_key:
        raise CallFailed(
            ErrorReason.NOT_CONFIGURED,
            f"no consumer named {quoted(name)} is configured, or in the store",
            "consumer",
        )
    return found.consumer
