"""What is wrong with a configuration, and where."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sidecar.config.stamps import Stamp
from sidecar.token.words import quoted

Place = tuple[str | int, ...]
"""Keys and list indexes from the top of a file to one value in it."""

_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, in one sentence. It never holds a secret."""

    file: str
    line: int | None
    """From 1; None where the file could not be read at all."""
    path: Place
    message: str

    def __str__(self) -> str:
        """As in `jwt-sidecar.yaml:12: issuers[0].keys.url: the message`."""
        where = self.file if self.line is None else f"{self.file}:{self.line}"
        return (
            f"{where}: {written(self.path)}: {self.message}"
            if self.path
            else (f"{where}: {self.message}")
        )


class InvalidConfiguration(Exception):
    """A configuration that can't be used: every problem at once.

    They are in the order of their lines, those of the file that names the others first.
    """

    def __init__(
        self, problems: Iterable[Problem], files: Mapping[str, Stamp | None] | None = None
    ) -> None:
        self.problems = tuple(problems)
        self.files = files or {}
        """The files that were read or looked for, as in `Configuration`; a change may mend it."""
        super().__init__("\n".join(str(problem) for problem in self.problems))


def in_order(problems: Iterable[Problem], first_file: str) -> tuple[Problem, ...]:
    """Each problem once, by file and line."""
    return tuple(
        sorted(
            dict.fromkeys(problems),
            key=lambda one: (one.file != first_file, one.file, one.line or 0, written(one.path)),
        )
    )


def written(path: Place) -> str:
    """A path as a person writes it: `issuers[0].keys.url`."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        elif _PLAIN_KEY.fullmatch(step):
            text += f".{step}" if text else step
        else:
            text += f"[{quoted(step)}]"
    return text


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known name that the word was probably meant to be, None where none is near."""
    by_lower_case = {name.lower(): name for name in known}
    import difflib

    matches = difflib.get_close_matches(word.lower(), list(by_lower_case), n=1)
    return by_lower_case[matches[0]] if matches else None
