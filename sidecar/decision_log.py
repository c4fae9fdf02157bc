"""A line in the log for each decision, as the setting `log.decisions` says."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sidecar.logs import FIELDS
from sidecar.token.reason import Reason
from sidecar.token.request import Refusal, Verdict, Verified

BURST: Final = 20
"""Lines for one reason that are written at once."""
PER_SECOND: Final = 1.0
"""Those that follow: an attack must not fill a disk."""
_LONGEST: Final = 256
"""Characters of what others have chosen."""
_OUTAGES: Final = frozenset({Reason.KEYS_UNAVAILABLE, Reason.STATE_UNAVAILABLE})

log = logging.getLogger("sidecar.decisions")


@dataclass(frozen=True, slots=True)
class About:
    """The request that a decision was made for; what is not known is empty."""

    client_address: str = ""
    method: str = ""
    path: str = ""
    """Without query, fragment and parameters, which may hold a token."""
    request_id: str = ""
    rule: str = ""


class Limit:
    """How many refusals are written, reason by reason; times in seconds of any clock."""

    def __init__(self) -> None:
        self._left: dict[Reason, tuple[float, float, int]] = {}

    def admit(self, reason: Reason, now: float) -> int | None:
        """How many lines were left out since the last one; None: this one is to be left out too."""
        credit, last, left_out = self._left.get(reason, (float(BURST), now, 0))
        credit = min(float(BURST), credit + max(0.0, now - last) * PER_SECOND)
        if credit < 1.0:
            self._left[reason] = (credit, now, left_out + 1)
            return None
        self._left[reason] = (credit - 1.0, now, 0)
        return left_out


class DecisionLog:
    """Writes refusals, all decisions or none; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.refused = False
        """Whether refusals are written, as far as the level and their number allow."""
        self.passed = False
        """Whether each token that passes is written too."""
        self._clock = clock
        self._limit = Limit()

    def decided(
        self, surface: str, verdict: Verdict | None, seconds: float, about: Callable[[], About]
    ) -> None:
        """Writes a decision that took so long, if it is to be written.

        A `verdict` of None: the request passed without a token. `about` is called only for what is
        written.
        """
        if isinstance(verdict, Refusal):
            if self.refused:
                self._refuse(surface, verdict, seconds, about)
        elif self.passed:
            fields = _fields(surface, "OK", seconds, about())
            if verdict is not None:
                fields |= _identity(verdict)
            message = "passed" if verdict is not None else "passed without a token"
            log.info(message, extra={FIELDS: fields})

    def _refuse(
        self, surface: str, refusal: Refusal, seconds: float, about: Callable[[], About]
    ) -> None:
        level = logging.WARNING if refusal.reason in _OUTAGES else logging.INFO
        if not log.isEnabledFor(level):
            return
        left_out = self._limit.admit(refusal.reason, self._clock())
        if left_out is None:
            return
        fields = _fields(surface, refusal.reason.name, seconds, about())
        fields |= _claimed(refusal)
        if left_out:
            fields["left_out"] = left_out
        log.log(level, "refused: %s", refusal.message, extra={FIELDS: fields})


def _fields(surface: str, reason: str, seconds: float, about: About) -> dict[str, Any]:
    known = {
        "client_address": about.client_address,
        "method": about.method,
        "path": about.path,
        "request_id": about.request_id,
        "rule": about.rule,
    }
    return {
        "surface": surface,
        "reason": reason,
        "duration_ms": round(seconds * 1000, 3),
        **{name: _cut(value) for name, value in known.items() if value},
    }


def _identity(verified: Verified) -> dict[str, Any]:
    consumer = verified.consumer.name if verified.consumer else ""
    known = {"issuer": verified.issuer_name, "consumer": consumer, "kid": verified.key_id}
    return _named(known, verified.claims)


def _claimed(refusal: Refusal) -> dict[str, Any]:
    """What a refused token says of itself, which nobody may have signed."""
    known = {"issuer": refusal.issuer_name, "consumer": refusal.consumer}
    token = refusal.token
    if token is None:
        return _named(known, {})
    fields = _named({**known, "kid": token.key_id or ""}, refusal.claims)
    return fields if refusal.is_verified else {**fields, "verified": False}


def _named(known: dict[str, str], claims: Any) -> dict[str, Any]:
    named = {**known, **{name: claims.get(name) for name in ("jti", "sub")}}
    return {name: _cut(value) for name, value in named.items() if isinstance(value, str) and value}


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
