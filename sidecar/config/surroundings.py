"""What a configuration refers to outside its own text: files and the environment."""

import hashlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sidecar.config.problems import Problem
from sidecar.config.stamps import Stamp, stamp

if TYPE_CHECKING:
    from sidecar.config.document import Document


class Unreadable(Exception):
    """A file that can't be read, and why; the message names its absolute path, if it is one."""


class _WithContext(Protocol):
    @property
    def context(self) -> object: ...


@dataclass(slots=True)
class Surroundings:
    """Where relative paths start and where secrets are, and what came to light on the way."""

    directory: str
    """Of the configuration file, as it was named."""
    environment: Mapping[str, str] = field(repr=False)
    files: dict[str, Stamp | None] = field(default_factory=dict)
    """Every file that was asked for, by absolute path, as it was found; None where it was not."""
    found: dict[str, bytes] = field(default_factory=dict, repr=False)
    """A digest of everything that was read, by path or variable: the same for the same content."""
    problems: list[Problem] = field(default_factory=list)
    """What is wrong in the other YAML files."""
    consumers: "Document | None" = None
    """The file with more consumers."""

    @classmethod
    def of(cls, info: _WithContext) -> "Surroundings":
        """The surroundings that validation was started with."""
        if not isinstance(info.context, cls):
            raise TypeError("settings are validated with their Surroundings as context")
        return info.context

    def absolute(self, path: str) -> str:
        """A path of the file as one that holds wherever the process runs."""
        return os.path.abspath(os.path.join(self.directory, path))

    def read(self, path: str, most: int) -> bytes:
        """The bytes of a file by its absolute path.

        Raises Unreadable where there is none or it has more than `most` bytes.
        """
        self.files.setdefault(path, stamp(path))
        data = read(path, most)
        self.found[path] = hashlib.sha256(data).digest()
        return data

    def variable(self, name: str) -> str | None:
        """The value of an environment variable, None where it is not set."""
        value = self.environment.get(name)
        self.found[f"${name}"] = hashlib.sha256((value or "").encode("utf-8", "replace")).digest()
        return value


def read(path: str, most: int) -> bytes:
    """The bytes of a file; raises Unreadable where there is none or it has more than `most`.

    Never waits for what a pipe, a terminal or another thing that is no file may bring one day.
    """
    if "-----BEGIN " in path:
        raise Unreadable("must be the path of a file, and not the key or certificate in it")
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Unreadable(f"{path} can't be read: it is no regular file")
            data = file.read(most + 1)
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror or 'an input error'}") from None
    except ValueError:
        raise Unreadable("the path can't be one of a file") from None
    if len(data) > most:
        raise Unreadable(f"{path} is larger than {most} bytes")
    return data


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
