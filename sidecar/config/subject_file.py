"""A file of subjects, one a line, in little more memory than the file takes."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Self

from sidecar.config.section import Written, fault
from sidecar.config.surroundings import Surroundings, Unreadable
from sidecar.token.subject import LONGEST

MOST_BYTES: Final = 64 * 1024 * 1024
"""A million subjects of 64 bytes; they stay in memory."""
_IN_A_BUCKET: Final = 8
"""Subjects, about: so many are looked through for one."""


@dataclass(frozen=True, slots=True)
class SubjectFile(Written):
    """A file with one subject a line. Blank lines and those that begin with # don't count."""

    path: str
    digest: str
    """Of its content: the same for the same subjects."""
    subjects: "SubjectSet" = field(repr=False, compare=False)

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """Raises a fault where the file can't be read, is not UTF-8 or has no subject."""
        path = surroundings.absolute(text)
        try:
            data = surroundings.read(path, MOST_BYTES)
        except Unreadable as error:
            raise fault(str(error)) from None
        return cls(path, hashlib.sha256(data).hexdigest(), SubjectSet(_subjects(path, data)))

    def __str__(self) -> str:
        """Its absolute path."""
        return self.path


class SubjectSet:
    """Many subjects, as lines in buckets: an object for each would take three times as much."""

    def __init__(self, subjects: Iterable[bytes]) -> None:
        distinct = set(subjects)
        self._size = len(distinct)
        self._mask = (1 << (self._size // _IN_A_BUCKET).bit_length()) - 1
        lines: list[list[bytes]] = [[] for _ in range(self._mask + 1)]
        for subject in distinct:
            lines[hash(subject) & self._mask].append(subject)
        self._buckets = tuple(b"\n%b\n" % b"\n".join(one) for one in lines)

    def __contains__(self, subject: str) -> bool:
        """Whether just this text is one of them."""
        wanted = subject.encode()
        return (
            b"\n" not in wanted and b"\n%b\n" % wanted in self._buckets[hash(wanted) & self._mask]
        )

    def __len__(self) -> int:
        """How many there are."""
        return self._size


def _subjects(path: str, data: bytes) -> Iterable[bytes]:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise fault(f"{path} is not UTF-8 in line {line}") from None
    lines = (line.strip() for line in data.removeprefix(b"\xef\xbb\xbf").split(b"\n"))
    subjects = [line for line in lines if line and not line.startswith(b"#")]
    if not subjects:
        raise fault(f"{path} has no subject, so every token would be refused; write one a line")
    if len(max(subjects, key=len)) > 4 * LONGEST:
        raise fault(
            f"{path} has a line of more than {LONGEST} characters; write one subject a line"
        )
    return subjects
