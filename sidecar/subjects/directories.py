"""All directories of one configuration, which answer the questions of the checks."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from sidecar.aiohttp_import import without_certificates
from sidecar.config.subject_file import SubjectFile
from sidecar.config.subjects import Subjects
from sidecar.subjects.directory import Directory, Source, Times
from sidecar.subjects.remembered import Remembered
from sidecar.token.subject import Standing, SubjectAnswer, SubjectQuestion


class _Answering(Protocol):
    def known(self, subject: str, now: float) -> SubjectAnswer | None:
        """The answer that is at hand."""

    async def find(self, subject: str, at_most: float) -> SubjectAnswer:
        """The answer, within so many seconds."""

    async def close(self) -> None:
        """Gives back what it holds."""


class FileDirectory:
    """A file in memory: it always answers, and at once."""

    def __init__(self, file: SubjectFile, now: Callable[[], float]) -> None:
        self._subjects = file.subjects
        self._now = now

    def known(self, subject: str, now: float) -> SubjectAnswer:
        """Whether it is in the file."""
        exists = subject in self._subjects
        return SubjectAnswer(Standing.EXISTS if exists else Standing.UNKNOWN, now)

    async def find(self, subject: str, at_most: float) -> SubjectAnswer:
        """As `known`."""
        return self.known(subject, self._now())

    async def close(self) -> None:
        """Holds nothing."""


class Directories:
    """The directories by name. One whose settings stay is handed over with all that it knows."""

    def __init__(self, settings: Iterable[Subjects], now: Callable[[], float] = time.time) -> None:
        self._settings = {one.name: one for one in settings}
        self._by_name: dict[str, _Answering] = {}
        self._now = now

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self._settings)

    def open(self, before: "Directories | None" = None) -> None:
        """Begins with those that the ones before lack."""
        for name, setting in self._settings.items():
            if before is None or before._settings.get(name) != setting:
                self._by_name[name] = _opened(setting, self._now)

    def take_over(self, before: "Directories") -> None:
        """Goes on with those that both have."""
        for name in self._settings.keys() - self._by_name.keys():
            self._by_name[name] = before._by_name.pop(name)

    def known(self, question: SubjectQuestion, now: float) -> SubjectAnswer | None:
        """The answer that is at hand, None where there is none."""
        return self._by_name[question.directory].known(question.subject, now)

    async def find(self, question: SubjectQuestion, at_most: float) -> SubjectAnswer:
        """The answer, within so many seconds; an outage is one too."""
        return await self._by_name[question.directory].find(question.subject, at_most)

    def remembered(self) -> dict[str, Remembered]:
        """What is remembered, by the directory's name, in the order of the configuration."""
        found = ((name, self._by_name.get(name)) for name in self._settings)
        return {name: one.remembered for name, one in found if isinstance(one, Directory)}

    def abandon(self) -> None:
        """Ends the questions under way, so that closing waits for none."""
        for one in self._by_name.values():
            if isinstance(one, Directory):
                one.abandon()

    async def close(self) -> None:
        """Ends those that were not handed over."""
        await asyncio.gather(*(one.close() for one in self._by_name.values()))


def _opened(setting: Subjects, now: Callable[[], float]) -> _Answering:
    if setting.file is not None:
        return FileDirectory(setting.file, now)
    if setting.sql is not None:
        from sidecar.subjects.sql import SqlSource

        return _asking(setting, SqlSource(setting.sql), setting.sql.timeout, now)
    if setting.http is not None:
        with without_certificates():
            from sidecar.subjects.http import HttpSource

        return _asking(setting, HttpSource(setting.http), setting.http.timeout, now)
    raise TypeError("a directory has sql, http or file")


def _asking(
    setting: Subjects, source: Source, timeout: float, now: Callable[[], float]
) -> Directory:
    cache = setting.cache
    times = Times(cache.ttl, cache.missing_ttl, timeout)
    remembered = Remembered(cache.entries)
    directory = Directory(setting.name, source, times, remembered, random.random, now)
    directory.try_out()
    return directory
