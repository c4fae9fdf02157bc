"""What a decision asks of the world outside, and how it asks without waiting.

A check calls `Outside.answer` with a question. Where the answer is not at hand, that raises
`Unanswered`: whoever runs the checks finds the answer out, and runs them again with it. So the
checks stay pure, and what is remembered of the answers is no concern of theirs.
"""

from dataclasses import dataclass
from typing import Final, Generic, Protocol, TypeVar, cast

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """Something to be found out, whose answer is a T. Each kind is a subclass; equal ones are one.

    An outage is an answer too: what follows from it is for the check to say.
    """


class Unanswered(Exception):
    """The checks can't go on without the answer to this question."""

    def __init__(self, question: Question[object]) -> None:
        super().__init__(question)
        self.question = question


class Outside(Protocol):
    """What answers questions at once, or not at all."""

    def answer(self, question: Question[T], now: float) -> T:
        """The answer, as it is known at this moment; raises Unanswered where it isn't."""


class Nothing:
    """Knows no answer."""

    def answer(self, question: Question[T], now: float) -> T:
        """Raises Unanswered."""
        raise Unanswered(cast(Question[object], question))


NOTHING: Final = Nothing()
