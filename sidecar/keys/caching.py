"""How long an HTTP answer is fresh by its own word (RFC 9111), as a pure function."""

import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

_DIRECTIVE: Final = re.compile(
    r"(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)"
    r"(?:\s*=\s*(?:\"(?P<quoted>[^\"]*)\"|(?P<plain>[^\s,\"]*)))?"
)
_LONGEST: Final = 2.0**31
"""Seconds; what is more is read as this (section 1.2.2)."""


def lifetime(headers: Mapping[str, str], now: float) -> float | None:
    """For how many more seconds an answer with these headers is fresh; None: it doesn't say.

    Names of headers are in lower case; fields that came several times are joined by commas.
    `no-store` and `no-cache` are no time at all, and so is what can't be read (section 4.2.1);
    of several `max-age` the shortest counts. `max-age` goes before `expires`, and `age`, the
    time that the answer spent in caches, is taken off. `must-revalidate` says nothing about
    freshness, `s-maxage` is for shared caches only. `now` is seconds since the epoch.
    """
    ages: list[float] = []
    for directive in _DIRECTIVE.finditer(headers.get("cache-control", "")):
        name = directive["name"].lower()
        if name in {"no-store", "no-cache"}:
            return 0.0
        if name == "max-age":
            ages.append(_seconds(directive["quoted"] or directive["plain"] or ""))
    if ages:
        return max(0.0, min(ages) - _seconds(headers.get("age", "")))
    if "expires" not in headers:
        return None
    expires = _moment(headers["expires"])
    date = _moment(headers.get("date", ""))
    if expires is None:
        return 0.0
    left = expires - (now if date is None else date) - _seconds(headers.get("age", ""))
    return min(max(0.0, left), _LONGEST)


def _seconds(text: str) -> float:
    text = text.strip()
    if not (text.isascii() and text.isdigit()):
        return 0.0
    return min(float(text[:20]), _LONGEST)


def _moment(text: str) -> float | None:
    """Seconds since the epoch of an HTTP date (RFC 9110, section 5.6.7)."""
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
