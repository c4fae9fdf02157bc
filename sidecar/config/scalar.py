"""What a plain YAML scalar means: the core schema of YAML 1.2.2, section 10.3.2.

Under it `yes` and `on` are text, `0660` is a number and no octal one, and a date is text.
"""

import math
import re
from typing import Final

NUMBER: Final = re.compile(
    r"""(?: (?P<int>[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+)
      | (?P<float>[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?)
      | (?P<never>[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)) )\Z""",
    re.VERBOSE,
)
_WORDS: Final = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True,
    "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_NUMBER_STARTS: Final = frozenset("-+.0123456789")
_LONGEST_NUMBER: Final = 40

Scalar = str | int | float | bool | None


def scalar(text: str) -> Scalar:
    """The value of a plain scalar.

    Raises ValueError for infinity, NaN and numbers that are longer than 40 characters or
    beyond a double's range: JSON, in which claims are compared, has none of them.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMBER_STARTS:
        return text
    match = NUMBER.match(text)
    if match is None:
        return text
    if match["never"] or len(text) > _LONGEST_NUMBER:
        raise ValueError
    if match["int"]:
        return int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number
