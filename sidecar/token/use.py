"""What passes once: whether it was used before, as all who share a store know it."""

from dataclasses import dataclass, field
from enum import Enum

from sidecar.token.outside import Question


class Use(Enum):
    """Whether something was used before."""

    FIRST = 1
    AGAIN = 2
    UNKNOWN = 3
    """The store does not answer."""
    FORGOTTEN = 4
    """It may have been used so long ago that this is not known any more: a clock was set back."""


@dataclass(frozen=True, slots=True)
class FirstUse(Question[Use]):
    """Whether this is the first use of something. Each kind is a subclass."""

    name: str
    """What it is called."""
    expire_time: float = field(compare=False)
    """When that may be forgotten, in seconds since the epoch."""
    uses_up: bool
    """False: it is only looked at."""
