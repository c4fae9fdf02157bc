"""Reading claims (RFC 7519, section 4): paths, times, audiences and scopes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sidecar.token.reason import Reason, Refused
from sidecar.token.words import kind, listed, quoted

LAST_SECOND: Final = 253402300799
"""9999-12-31T23:59:59Z in seconds since the epoch, the last that a Timestamp can hold."""
_ABSENT: Final = object()
_LONGEST_PATH: Final = 1024
"""Characters."""


@dataclass(frozen=True, slots=True)
class RequiredClaim:
    """A claim, by dotted path, that must have one of these values."""

    path: str
    values: tuple[str | int | float | bool | None, ...]

    def check(self, claims: Mapping[str, Any]) -> None:
        """Raises Refused with CLAIM_MISSING or CLAIM_MISMATCH unless the claim fits.

        A value fits where it equals the claim or an element of it; true is not 1.
        """
        found = _find(claims, self.path)
        if found is _ABSENT or (found is None and None not in self.values):
            raise Refused(
                Reason.CLAIM_MISSING,
                f"claim {quoted(self.path)} is missing; it must be {self._wanted()}",
            )
        elements = found if isinstance(found, list) else [found]
        wanted = {_told_apart(value) for value in self.values}
        if any(_told_apart(one) in wanted for one in elements if not isinstance(one, dict | list)):
            return
        raise Refused(
            Reason.CLAIM_MISMATCH,
            f"claim {quoted(self.path)} is {quoted(found)}; it must be {self._wanted()}",
        )

    def _wanted(self) -> str:
        if len(self.values) == 1:
            return quoted(self.values[0])
        return f"one of {listed(self.values)}"


def required_claims(expected: Mapping[str, Any]) -> tuple[RequiredClaim, ...]:
    """The claims that a JSON object of path to value or values asks for.

    Raises ValueError, naming the path, for one of more than 1024 characters and for a value that
    is an object, an empty array or an array of anything but scalars.
    """
    required = []
    for path, value in expected.items():
        if len(path) > _LONGEST_PATH:
            raise ValueError(f"{quoted(path)} has more than {_LONGEST_PATH} characters")
        values = value if isinstance(value, list) else [value]
        if not values or any(isinstance(one, dict | list) for one in values):
            raise ValueError(
                f"{quoted(path)} must be a string, number, boolean or null, or an array of these"
            )
        required.append(RequiredClaim(path, tuple(values)))
    return tuple(required)


def find(claims: Mapping[str, Any], path: str) -> Any:
    """The claim at a dotted path, None where it is absent or null.

    A name that has dots itself is matched whole first, at every level.
    """
    found = _find(claims, path)
    return None if found is _ABSENT else found


def _find(claims: Mapping[str, Any], path: str) -> Any:
    if path in claims:
        return claims[path]
    if "." not in path:
        return _ABSENT
    for name in _beginnings(claims, path):
        inner = claims[name]
        if isinstance(inner, dict):
            found = _find(inner, path[len(name) + 1 :])
            if found is not _ABSENT:
                return found
    return _ABSENT


def trail(claims: Mapping[str, Any], path: str) -> tuple[str, ...]:
    """The names by which `find` comes to the claim at a dotted path, empty if it is absent."""
    if path in claims:
        return (path,)
    for name in _beginnings(claims, path):
        inner = claims[name]
        rest = trail(inner, path[len(name) + 1 :]) if isinstance(inner, dict) else ()
        if rest:
            return (name, *rest)
    return ()


def _beginnings(claims: Mapping[str, Any], path: str) -> Iterable[str]:
    """The names of claims that the path, which is none of them, may lead into; longest first.

    Goes by the names or by the path's beginnings, whichever are fewer: either may be thousands.
    """
    if path.count(".") < len(claims):
        ends = (index for index in range(len(path) - 1, 0, -1) if path[index] == ".")
        return (path[:end] for end in ends if path[:end] in claims)
    outer = [name for name in claims if name and path.startswith(name) and path[len(name)] == "."]
    return sorted(outer, key=len, reverse=True)


def time_of(claims: Mapping[str, Any], name: str) -> float | None:
    """A NumericDate in seconds since the epoch (RFC 7519, section 2), None where absent.

    Raises Refused with CLAIM_MISMATCH unless it is a number between the epoch and the end
    of the year 9999: beyond that it is a count of milliseconds, or an attack.
    """
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refused(
            Reason.CLAIM_MISMATCH,
            f"claim {name} is {kind(value)}; it must be a number of seconds since the epoch",
        )
    if not 0 <= value <= LAST_SECOND:
        hint = "; is it in milliseconds?" if 0 < value / 1000 <= LAST_SECOND else ""
        raise Refused(
            Reason.CLAIM_MISMATCH,
            f"claim {name} is {quoted(value)}, which is not a time in seconds from 1970 to "
            f"9999{hint}",
        )
    return value


def check_text(claims: Mapping[str, Any], name: str) -> None:
    """Raises Refused with CLAIM_MISMATCH for a claim that is there and no string."""
    if not isinstance(claims.get(name, ""), str):
        found = kind(claims[name])
        raise Refused(Reason.CLAIM_MISMATCH, f"claim {name} is {found}; it must be a string")


def audiences_of(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """`aud` (RFC 7519, section 4.1.3), a string or an array of strings, empty where absent.

    Raises Refused with CLAIM_MISMATCH for anything else.
    """
    value = claims.get("aud", ())
    if isinstance(value, str):
        return (value,)
    return _strings("aud", value)


def scopes_of(claims: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    """The granted scopes: of the first of these claims that the token has.

    A string is separated by spaces (RFC 8693, section 4.2), an array holds one scope an
    element. Raises Refused with CLAIM_MISMATCH for anything else.
    """
    for name in names:
        value = find(claims, name)
        if value is None:
            continue
        if isinstance(value, str):
            return tuple(scope for scope in value.split(" ") if scope)
        return _strings(name, value)
    return ()


def _strings(name: str, value: Any) -> tuple[str, ...]:
    if isinstance(value, list | tuple) and all(isinstance(one, str) for one in value):
        return tuple(value)
    raise Refused(
        Reason.CLAIM_MISMATCH,
        f"claim {name} is {kind(value)} and not a string or an array of strings",
    )


def _told_apart(scalar: Any) -> tuple[bool, Any]:
    """Something that is equal for equal values, where true is not 1."""
    return isinstance(scalar, bool), scalar
