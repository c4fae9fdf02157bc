"""What a decision asks of a subject directory: whether the user that a token names exists."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Optional

from sidecar.token.outside import Question

LONGEST: Final = 1024
"""Characters of a subject that a directory is asked about: what is remembered is as long. Those of
OpenID Connect have at most 255 (Core 1.0, section 2)."""


class Standing(Enum):
    """What a directory says of a subject."""

    EXISTS = "exists"
    DISABLED = "disabled"
    UNKNOWN = "unknown"
    NO_ANSWER = "no answer"
    """An outage: the directory can't be asked, or says nothing that can be understood."""


@dataclass(frozen=True, slots=True)
class SubjectAnswer:
    """What a directory said, and when, in seconds since the epoch."""

    standing: Standing
    time: float
    detail: str = ""
    """Of what is not plain: how it shows that the subject is disabled, why there is no answer."""
    last: Optional["SubjectAnswer"] = None
    """Of an outage: what it said before, however long ago; None where that is not remembered."""


@dataclass(frozen=True, slots=True)
class SubjectQuestion(Question[SubjectAnswer]):
    """Whether the subject exists in the directory of this name."""

    directory: str
    subject: str


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """That a token's subject must exist: in which directory, and which claim holds it."""

    directory: str
    claim: str = "sub"
    """Dotted path."""
    outage_passes: bool = False
    """Whether a token passes while the directory gives no answer."""
