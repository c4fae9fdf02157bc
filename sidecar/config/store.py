"""Where the sidecar keeps what outlives a request."""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import Field

from sidecar.config.section import Section, Written, fault
from sidecar.config.surroundings import Surroundings
from sidecar.config.units import Duration, lasting

_MEMORY: Final = "memory:"
_SQLITE: Final = "sqlite:"
_REDIS: Final = ("redis:", "rediss:")


@dataclass(frozen=True, slots=True)
class StoreUrl(Written):
    """`sqlite:PATH` or `memory:`."""

    path: str = ""
    """Absolute path of a SQLite file; empty for memory."""

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """The store in this text; raises a fault without its words: a URL may hold a password."""
        if text == _MEMORY:
            return cls()
        if text.startswith(_SQLITE):
            return cls(_sqlite_path(text.removeprefix(_SQLITE), surroundings))
        if text.startswith(_REDIS):
            raise fault("Redis is not there yet; write sqlite:PATH or memory:")
        raise fault("must be sqlite:PATH, such as sqlite:state.db, or memory:")

    def __str__(self) -> str:
        """As it is written in the file, its path absolute."""
        return f"{_SQLITE}{self.path}" if self.path else _MEMORY


class Store(Section):
    """What outlives a request, and with a file also the process."""

    url: StoreUrl
    """`sqlite:PATH` or `memory:`."""
    max_staleness: Annotated[Duration, lasting("100ms", "1m")] = Field(
        default="2s", validate_default=True
    )
    """What another sidecar on the same store changed is seen within this."""
    on_outage: Literal["serve", "deny"] = "serve"
    """While the store is away: decide by what is known, or refuse what it would be asked for."""


def _sqlite_path(path: str, surroundings: Surroundings) -> str:
    if not path or path.endswith("/") or "\0" in path:
        raise fault("must name a file after sqlite:, such as sqlite:state.db")
    if path.startswith("//"):
        raise fault(
            "must have no two slashes after sqlite:, which are read in different ways; write "
            "sqlite:state.db for a file beside this one, or sqlite:/var/lib/jwt-sidecar/state.db"
        )
    return surroundings.absolute(path)
