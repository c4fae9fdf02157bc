"""Answers to the questions that the checks ask: from memory at once, or found out."""

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar, cast

from sidecar.token.outside import Outside, Question, Unanswered

T = TypeVar("T")


class Answerer(Protocol):
    """What answers one kind of question."""

    def known(self, question: Any, now: float) -> Any:
        """The answer that is at hand, None where there is none; waits for nothing."""

    async def find(self, question: Any, at_most: float) -> Any:
        """The answer, within so many seconds; an outage is an answer and no error."""


class Answers:
    """The answers that are at hand, by the kind of question."""

    def __init__(self, answerers: Mapping[type[Question[Any]], Answerer]) -> None:
        self._answerers = answerers

    def answer(self, question: Question[T], now: float) -> T:
        """The answer; raises Unanswered where it is not at hand."""
        answer = self._answerers[type(question)].known(question, now)
        if answer is None:
            raise Unanswered(cast(Question[object], question))
        return cast(T, answer)

    async def find(self, question: Question[T], at_most: float) -> T:
        """The answer, within so many seconds."""
        return cast(T, await self._answerers[type(question)].find(question, at_most))


class WithFound:
    """The answers that were found out for one call; for other questions, those at hand for all."""

    def __init__(self, found: Mapping[Question[Any], Any], others: Outside) -> None:
        self._found = found
        self._others = others

    def answer(self, question: Question[T], now: float) -> T:
        """The answer; raises Unanswered where it is not at hand."""
        if question in self._found:
            return cast(T, self._found[question])
        return self._others.answer(question, now)
