"""Checks of whether the presenter of a token holds the key that it is bound to (RFC 7800)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sidecar.token import base64url
from sidecar.token.attempt import Attempt, Check
from sidecar.token.dpop import check_dpop
from sidecar.token.reason import DpopError, Reason, Refused
from sidecar.token.replay import CheckedProof, Room
from sidecar.token.request import Scheme
from sidecar.token.snapshot import Binding
from sidecar.token.use import FirstUse, Use
from sidecar.token.words import kind, listed

_JKT: Final = "jkt"
"""Thumbprint of a DPoP key (RFC 9449, section 6.1)."""
_CERTIFICATE: Final = "x5t#S256"
"""Thumbprint of a client certificate (RFC 8705, section 3.1)."""
_CLOCKS_APART: Final = 60.0
"""Seconds by which the clocks of those who share a store, and its own, may differ."""
_NO_ROOM: Final = {
    Room.OVER_QUOTA: "the client's key has used up its share of the DPoP proofs that can be "
    "remembered; send fewer requests, or wait a minute",
    Room.FULL: "more DPoP proofs were used within the last minutes than can be remembered; try "
    "again",
    Room.FORGOTTEN: "the DPoP proof may have been used before: proofs that old are forgotten, and "
    "the clock of the sidecar's machine was set back since; correct the clock, or restart the "
    "sidecar if the clock was ahead before",
}


@dataclass(frozen=True, slots=True)
class ProofUse(FirstUse):
    """Whether this is the first use of a DPoP proof."""


def _check_proof(attempt: Attempt) -> None:
    attempt.checked_proof = _checked_proof(attempt)


def _checked_proof(attempt: Attempt) -> CheckedProof | None:
    if attempt.rules.proof is Binding.IGNORED:
        return None
    claims = attempt.jws.unverified_claims
    if "cnf" not in claims:
        _check_unbound(attempt)
        return None
    bindings = _bindings(claims["cnf"])
    if _CERTIFICATE in bindings:
        _check_certificate(attempt, bindings[_CERTIFICATE])
    if _JKT in bindings or _uses_dpop(attempt):
        return _checked_dpop(attempt, bindings.get(_JKT))
    return None


def _check_unbound(attempt: Attempt) -> None:
    if attempt.rules.proof is Binding.REQUIRED:
        raise _refused(
            f"the token is bound to no key (claim cnf), as {attempt.party.title} requires"
        )
    if _uses_dpop(attempt):
        raise _unbound(attempt, "no key (claim cnf)")


def _uses_dpop(attempt: Attempt) -> bool:
    """Whether the presenter thinks that the token is bound to a DPoP key."""
    proof = attempt.request.proof
    return bool(proof.dpop) or proof.scheme is Scheme.DPOP


def _unbound(attempt: Attempt, what: str) -> Refused:
    """A token that is bound to no DPoP key may not come as one (RFC 9449, section 7.1)."""
    if attempt.request.proof.scheme is Scheme.DPOP:
        return Refused(
            Reason.PROOF_INVALID,
            f"the token is bound to {what} and came under the scheme DPoP; send it as Bearer",
            DpopError.TOKEN,
        )
    return _refused(f"a DPoP proof came with a token that is bound to {what}")


def _bindings(confirmation: Any) -> Mapping[str, str]:
    if not isinstance(confirmation, dict):
        raise _refused(f"claim cnf is {kind(confirmation)} and not an object")
    bindings = {name: confirmation[name] for name in (_JKT, _CERTIFICATE) if name in confirmation}
    if not bindings:
        raise _refused(
            f"claim cnf binds the token to a key by {listed(confirmation)}; only {_JKT} (DPoP) and "
            f"{_CERTIFICATE} (client certificate) can be checked"
        )
    for name, value in bindings.items():
        if not isinstance(value, str):
            raise _refused(f"claim cnf.{name} is {kind(value)} and not a string")
    return bindings


def _check_certificate(attempt: Attempt, expected: str) -> None:
    shown = attempt.request.proof.client_certificate_sha256
    if not shown:
        raise _refused("the token is bound to a client certificate (cnf.x5t#S256); none was shown")
    if expected != base64url.encode(shown).decode():
        raise _refused("the token is bound to another client certificate than the one shown")


def _checked_dpop(attempt: Attempt, expected: str | None) -> CheckedProof:
    if expected is None:
        raise _unbound(attempt, "no DPoP key (cnf.jkt)")
    if attempt.request.proof.scheme is Scheme.BEARER:
        raise _without_proof(
            "it came as a bearer token (RFC 9449, section 7.2); send it under the "
            "scheme DPoP, with a proof"
        )
    if not attempt.request.proof.dpop:
        raise _without_proof("no DPoP proof came with it")
    return check_dpop(attempt.request, expected, attempt.now, attempt.rules.clock_skew)


def _proof(attempt: Attempt) -> str:
    if attempt.rules.proof is Binding.IGNORED:
        return f"{attempt.party.title} has proof: ignore"
    confirmation = attempt.jws.unverified_claims.get("cnf")
    if confirmation is None:
        return "the token is bound to no key, and needs no proof"
    return f"the token is bound by {listed(_bindings(confirmation))}, and the proof holds"


def _check_replay(attempt: Attempt) -> None:
    proof = attempt.checked_proof
    if proof is None:
        return
    room = attempt.used_proofs.room(proof)
    if room is Room.USED:
        raise _replayed()
    if room is not Room.FREE:
        raise Refused(Reason.STATE_UNAVAILABLE, _NO_ROOM[room])
    if attempt.used_proofs.shared:
        _check_shared(attempt, proof)


def _check_shared(attempt: Attempt, proof: CheckedProof) -> None:
    """Refuse a proof that was used in any process on the same store."""
    question = ProofUse(proof.proof_id.hex(), proof.end + _CLOCKS_APART, attempt.uses_up)
    use = attempt.answer(question)
    if use is Use.UNKNOWN:
        raise Refused(
            Reason.STATE_UNAVAILABLE,
            "whether the DPoP proof was used before is not known, as the store does not answer; "
            "try again",
        )
    if use is Use.FORGOTTEN:
        raise Refused(Reason.STATE_UNAVAILABLE, _NO_ROOM[Room.FORGOTTEN])
    if use is not Use.FIRST:
        raise _replayed()


def _replayed() -> Refused:
    return Refused(
        Reason.REPLAYED,
        "the DPoP proof was used before; make a new one, with its own jti, for each request",
    )


def _replay(attempt: Attempt) -> str:
    if attempt.checked_proof is None:
        return "no DPoP proof was needed, and none is used up"
    return "the DPoP proof is used once"


def _without_proof(problem: str) -> Refused:
    message = f"the token is bound to a DPoP key (cnf.jkt), and {problem}"
    return Refused(Reason.PROOF_INVALID, message, DpopError.PROOF)


def _refused(message: str) -> Refused:
    return Refused(Reason.PROOF_INVALID, message)


CHECKS = (Check("proof", _check_proof, _proof, ("jws", "party")),)
REPLAY = (Check("replay", _check_replay, _replay, ("jws", "party", "checked_proof")),)
