"""What a configuration refers to outside its own text: files and the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sidecar.config.problems import Problem

if TYPE_CHECKING:
    from sidecar.config.document import Document


class Unreadable(Exception):
    """A file that can't be read, and why; the message names its absolute path."""


class _WithContext(Protocol):
    @property
    def context(self) -> object: ...


@dataclass(slots=True)
class Surroundings:
    """Where relative paths start and where secrets are, and what came to light on the way."""

    directory: str
    """Of the configuration file, as it was named."""
    environment: Mapping[str, str] = field(repr=False)
    files: set[str] = field(default_factory=set)
    """Absolute paths of every file that was asked for, found or not."""
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
        self.files.add(path)
        return read(path, most)


def read(path: str, most: int) -> bytes:
    """The bytes of a file; raises Unreadable where there is none or it has more than `most`."""
    try:
        with open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror or 'an input error'}") from None
    except ValueError:
        raise Unreadable("the path can't be one of a file") from None
    if len(data) > most:
        raise Unreadable(f"{path} is larger than {most} bytes")
    return data
