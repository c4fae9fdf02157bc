"""What is remembered of a directory's answers, for a while and in bounded memory."""

from collections import OrderedDict
from typing import Final

from sidecar.token.subject import Standing, SubjectAnswer

MOST_MISSING: Final = 10_000
"""Unknown subjects at most."""

_Entries = OrderedDict[str, tuple[SubjectAnswer, float]]


class Remembered:
    """Answers by subject, and until when each holds, in seconds since the epoch.

    The one that was not asked for longest goes first. Unknown subjects are kept apart: those that
    somebody invents push out no user. An answer that holds no more is kept as the last one.
    """

    def __init__(self, capacity: int) -> None:
        self._most_missing = min(capacity, MOST_MISSING)
        self._most_known = capacity
        self._known: _Entries = OrderedDict()
        self._missing: _Entries = OrderedDict()
        self.capacity = self._most_known + self._most_missing
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._known) + len(self._missing)

    def get(self, subject: str, now: float) -> SubjectAnswer | None:
        """The answer, where it holds; a clock that was set back ends it too."""
        entries = self._known
        found = entries.get(subject)
        if found is None:
            entries = self._missing
            found = entries.get(subject)
        if found is None or now >= found[1] or now < found[0].time:
            self.misses += 1
            return None
        self.hits += 1
        entries.move_to_end(subject)
        return found[0]

    def last(self, subject: str) -> SubjectAnswer | None:
        """The last answer, whether or not it still holds."""
        found = self._known.get(subject) or self._missing.get(subject)
        return found[0] if found else None

    def add(self, subject: str, answer: SubjectAnswer, ends: float) -> None:
        """Remembers an answer in place of the one before."""
        self._known.pop(subject, None)
        self._missing.pop(subject, None)
        entries, most = self._known, self._most_known
        if answer.standing is Standing.UNKNOWN:
            entries, most = self._missing, self._most_missing
        entries[subject] = answer, ends
        while len(entries) > most:
            entries.popitem(last=False)
