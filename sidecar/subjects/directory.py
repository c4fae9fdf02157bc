"""One directory: what is remembered of it, and how it is asked when that is not enough."""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from sidecar.subjects.remembered import Remembered
from sidecar.token.subject import Standing, SubjectAnswer
from sidecar.token.words import quoted

AT_ONCE: Final = 8
"""Questions to one directory at a time, and connections to it."""
MOST_ASKED: Final = 1000
"""Questions to one directory, those that wait for their turn included."""
PATIENCE: Final = 3
"""Failures in a row after which a directory is spared: one question at a time, and none for a
while after it failed. So calls need not wait for what is known to be down."""
PAUSE: Final = 1.0
"""Seconds that it is spared."""
QUIET: Final = 10.0
"""Seconds at least between two outages that are logged."""
SPREAD: Final = 0.1
"""Part of its time by which an answer may hold longer or shorter, so that not all end at once."""
NOBODY: Final = "jwt-sidecar-start"
"""A subject that is asked about at the start, to see whether the directory answers."""

log = logging.getLogger(__name__)


class NoAnswer(Exception):
    """A directory could not be asked, or says what can't be understood.

    `problem` is for callers; `cause` adds, for the log, what the other side says.
    """

    def __init__(self, problem: str, cause: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Found:
    """What a directory says of a subject; nothing of NO_ANSWER."""

    standing: Standing
    detail: str = ""


class Source(Protocol):
    """What is asked in the end: a database, a service."""

    async def look_up(self, subject: str) -> Found:
        """What it says; raises NoAnswer. Ends soon after it was cancelled."""

    async def close(self) -> None:
        """Gives back what it holds."""


@dataclass(frozen=True, slots=True)
class Times:
    """How long answers hold and how long one may take, in seconds."""

    ttl: float
    missing_ttl: float
    timeout: float


class Directory:
    """Answers from memory, or by one question at a time for each subject, shared by who waits.

    `now` gives seconds since the epoch, `random` numbers from 0 to 1. Runs on the event loop's
    clock.
    """

    def __init__(
        self,
        name: str,
        source: Source,
        times: Times,
        remembered: Remembered,
        random: Callable[[], float],
        now: Callable[[], float] = time.time,
    ) -> None:
        self.remembered = remembered
        self._name = name
        self._source = source
        self._times = times
        self._random = random
        self._now = now
        self._places = asyncio.Semaphore(AT_ONCE)
        self._asked: dict[str, asyncio.Task[SubjectAnswer]] = {}
        self._tasks: set[asyncio.Task[Found]] = set()
        self._failures = 0
        self._problem = ""
        self._spared_until = 0.0
        self._told_at: float | None = None

    def known(self, subject: str, now: float) -> SubjectAnswer | None:
        """The answer that is remembered and holds, None where there is none."""
        return self.remembered.get(subject, now)

    async def find(self, subject: str, at_most: float) -> SubjectAnswer:
        """The answer, within so many seconds; NO_ANSWER where the directory gives none."""
        task = self._asked.get(subject)
        if task is None:
            refused = self._refused()
            if refused:
                return self._no_answer(subject, refused)
            task = self._asked[subject] = asyncio.create_task(self._ask(subject))
        await asyncio.wait({task}, timeout=at_most)
        if task.done() and not task.cancelled():
            return task.result()
        return self._no_answer(subject, "it did not answer in the time that the caller gives")

    def try_out(self) -> None:
        """Asks about nobody, so that what is wrong is logged before the first token comes."""
        if NOBODY not in self._asked:
            self._asked[NOBODY] = asyncio.create_task(self._ask(NOBODY))

    def abandon(self) -> None:
        """Ends the questions under way, as nobody needs their answers any more."""
        for task in self._asked.values():
            task.cancel()

    async def close(self) -> None:
        """Lets the questions under way end, which takes no longer than one may, and the source."""
        await asyncio.gather(*self._asked.values(), return_exceptions=True)
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._source.close()

    def _refused(self) -> str:
        """Why nothing more is asked just now, empty where it may be."""
        if len(self._asked) >= MOST_ASKED:
            return f"{MOST_ASKED} other questions to it wait"
        spared = self._failures >= PATIENCE
        if spared and (self._asked or asyncio.get_running_loop().time() < self._spared_until):
            return self._problem
        return ""

    async def _ask(self, subject: str) -> SubjectAnswer:
        try:
            found = await self._found(subject)
        except NoAnswer as error:
            return self._fail(subject, error)
        except Exception:
            log.exception("asking subject directory %s", self._name)
            return self._fail(subject, NoAnswer("an error of the sidecar's own, which is logged"))
        finally:
            del self._asked[subject]
        self._succeed()
        return self._remember(subject, found)

    async def _found(self, subject: str) -> Found:
        """What the source says in time; a question keeps its place until it really ends."""
        task = asyncio.create_task(self._look_up(subject))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=self._times.timeout)
        if task.done():
            return task.result()
        task.cancel()
        raise NoAnswer(f"it did not answer within {self._times.timeout:g} s")

    async def _look_up(self, subject: str) -> Found:
        async with self._places:
            return await self._source.look_up(subject)

    def _ended(self, task: asyncio.Task[Found]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen, also where nobody waited for it any more

    def _remember(self, subject: str, found: Found) -> SubjectAnswer:
        now, unknown = self._now(), found.standing is Standing.UNKNOWN
        ttl = self._times.missing_ttl if unknown else self._times.ttl
        answer = SubjectAnswer(found.standing, now, found.detail)
        spread = 1 + SPREAD * (2 * self._random() - 1)
        self.remembered.add(subject, answer, now + ttl * spread)
        log.debug("subject directory %s: %s %s", self._name, quoted(subject), found.standing.value)
        return answer

    def _no_answer(self, subject: str, problem: str) -> SubjectAnswer:
        last = self.remembered.last(subject)
        return SubjectAnswer(Standing.NO_ANSWER, self._now(), problem, last)

    def _fail(self, subject: str, error: NoAnswer) -> SubjectAnswer:
        now = asyncio.get_running_loop().time()
        self._failures += 1
        self._spared_until = now + PAUSE
        self._problem = error.problem
        if self._failures == 1 and (self._told_at is None or now >= self._told_at + QUIET):
            self._told_at = now
            cause = f" ({error.cause})" if error.cause else ""
            log.warning("subject directory %s: %s%s", self._name, error.problem, cause)
        return self._no_answer(subject, error.problem)

    def _succeed(self) -> None:
        if self._failures >= PATIENCE:
            log.info("subject directory %s answers again", self._name)
        self._failures = 0
