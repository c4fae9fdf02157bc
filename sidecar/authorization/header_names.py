"""Names of headers that an upstream may take for the same header.

CGI, and so WSGI, Rack and PSGI, passes a header on as a variable in which `-` has become `_`. PHP
writes `_` for a dot as well, and lighttpd for every character that is not a letter or digit: to a
program behind it, `X.Jwt.Roles`, `x~jwt~roles` and `X_Jwt_Roles` are all `X-Jwt-Roles`.
"""

import string
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final

from sidecar.token.reason import Reason, Refused

MAX_SPELLINGS: Final = 32
"""Limit of other spellings that are removed from one request; a request with more is refused."""
_ALPHANUMERIC: Final = (string.ascii_letters + string.digits).encode()
_PLAIN: Final = _ALPHANUMERIC + b"-:"
"""Nearly all names have nothing else; Envoy's pseudo-headers, such as `:path`, begin with `:`."""
_TOKEN: Final = _PLAIN + b"!#$%&'*+.^_`|~"
"""Characters that a header name may have (RFC 9110, section 5.6.2)."""
_SEPARATOR: Final = "\n"
_FOLDED: Final = bytes(
    byte if byte in _ALPHANUMERIC or byte == ord(_SEPARATOR) else ord("-") for byte in range(256)
)


def folded(name: str) -> str:
    """Return the name with `-` for every character that is not an ASCII letter or digit."""
    return name.encode(errors="replace").translate(_FOLDED).decode()


@dataclass(frozen=True, slots=True)
class ProtectedHeaders:
    """Headers that no client may send under another spelling; names in lower case."""

    names: frozenset[str]
    _folded: frozenset[str] = field(init=False, repr=False, compare=False)
    """Those that have other spellings, with hyphens."""
    _plain: frozenset[str] = field(init=False, repr=False, compare=False)
    """Other spellings that have nothing but letters, digits and hyphens."""

    def __post_init__(self) -> None:
        forms = frozenset(folded(name) for name in self.names if not name.isalnum())
        object.__setattr__(self, "_folded", forms)
        object.__setattr__(self, "_plain", self._folded - self.names)

    def other_spellings(self, sent: Collection[str]) -> tuple[str, ...]:
        """Return the names among those sent that are another spelling of a protected one.

        Takes names in lower case. Raises Refused with RULE_DENIED if there are too many to remove,
        or if a name is not a token, as upstreams read such names in different ways.
        """
        # All names at once: this runs for every request, and a loop would cost more than the rest.
        unusual = "".join(sent).encode().translate(None, _PLAIN)
        if not unusual and (not self._plain or self._plain.isdisjoint(sent)):
            return ()
        if unusual.translate(None, _TOKEN):
            raise Refused(
                Reason.RULE_DENIED,
                "a header's name has a character that no name may have (RFC 9110, section 5.1); "
                "send letters, digits and hyphens",
            )
        found = self._found(sent)
        if len(found) > MAX_SPELLINGS:
            raise Refused(
                Reason.RULE_DENIED,
                f"{len(found)} headers are other spellings of headers that only the proxy may "
                f"set, and at most {MAX_SPELLINGS} are removed; send none",
            )
        return found

    def _found(self, sent: Iterable[str]) -> tuple[str, ...]:
        forms = _SEPARATOR.join(sent).encode().translate(_FOLDED).decode().split(_SEPARATOR)
        if self._folded.isdisjoint(forms):
            return ()
        pairs = zip(sent, forms, strict=True)
        return tuple(
            [name for name, form in pairs if form in self._folded and name not in self.names]
        )
