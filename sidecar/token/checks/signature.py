"""Checks of whose key signed a token, and whether it did."""

from sidecar.token import jws
from sidecar.token.algorithms import ALGORITHMS, ASYMMETRIC, spellings
from sidecar.token.attempt import Attempt, Check
from sidecar.token.key import Key
from sidecar.token.reason import Reason, Refused
from sidecar.token.snapshot import Issuer
from sidecar.token.words import duration, names, quoted


def _check_algorithm(attempt: Attempt) -> None:
    alg = attempt.jws.algorithm
    if alg in _allowed_algorithms(attempt) and alg in ALGORITHMS:
        return
    raise Refused(Reason.ALGORITHM_NOT_ALLOWED, _algorithm(attempt))


def _algorithm(attempt: Attempt) -> str:
    alg = attempt.jws.algorithm
    found = f"alg is {quoted(alg)}" if alg else "the header has no alg"
    accepts = "uses" if attempt.consumer else "accepts"
    return f"{found}; {attempt.party.title} {accepts} {names(_allowed_algorithms(attempt))}"


def _allowed_algorithms(attempt: Attempt) -> frozenset[str]:
    if attempt.consumer:
        return spellings(attempt.consumer.algorithm) & attempt.consumer.credential.algorithms
    if attempt.issuer is None:
        return frozenset()
    # Whether a key fits is for the key check to say: one that is yet to be fetched may.
    return ASYMMETRIC if attempt.issuer.algorithms is None else attempt.issuer.algorithms


def _check_key(attempt: Attempt) -> None:
    if attempt.consumer:
        attempt.candidates = (attempt.consumer.credential,)
        return
    issuer = attempt.issuer
    if issuer is None or issuer.keys is None:
        name, source, problem = (
            (issuer.name, issuer.source, issuer.problem) if issuer else ("", "", "")
        )
        raise Refused(
            Reason.KEYS_UNAVAILABLE,
            f"the keys of issuer {name} are not there (from {source}): {problem}",
        )
    try:
        attempt.candidates = issuer.keys.candidates(attempt.jws.algorithm, attempt.jws.key_id)
    except Refused as refused:
        raise Refused(
            refused.reason, f"{refused.message} ({_origin(issuer, attempt.now)})"
        ) from None


def _origin(issuer: Issuer, now: float) -> str:
    fetched = f", fetched {duration(now - issuer.fetch_time)} ago" if issuer.fetch_time else ""
    return f"issuer {issuer.name}, keys from {issuer.source}{fetched}"


def _key(attempt: Attempt) -> str:
    if attempt.issuer is None:
        return f"{attempt.candidates[0].describe()}: that of {attempt.party.title}"
    if len(attempt.candidates) > 1:
        fit = f"{len(attempt.candidates)} keys fit {attempt.jws.algorithm}, and each is tried"
    else:
        key = attempt.candidates[0]
        name = "the key" if key.key_id is None else f"key {quoted(key.key_id)}"
        fit = f"{name} fits: {key.describe()}"
    return f"{fit} ({_origin(attempt.issuer, attempt.now)})"


def _check_signature(attempt: Attempt) -> None:
    seen = attempt.seen
    if seen is not None and seen.tried == attempt.candidates:
        attempt.key = seen.key
        return
    key = _verifying_key(attempt)
    if key is None:
        raise Refused(Reason.SIGNATURE_INVALID, _why_not(attempt))
    attempt.key = key


def _verifying_key(attempt: Attempt) -> Key | None:
    """The first of the keys that the signature holds with; remembered, whatever comes out."""
    memory, keys, now = attempt.seen_tokens, attempt.candidates, attempt.now
    if memory is None:
        return _tried(attempt.jws, keys)
    depth = attempt.snapshot.limits.json_depth
    if attempt.seen is not None:
        # The keys are others now, and what a verification needs was not kept.
        memory.verified.forget(attempt.digest)
        attempt.seen, attempt.jws = None, jws.parse(attempt.text, depth)
    if memory.refused.knows(attempt.digest, keys, now):
        return None
    key = _tried(attempt.jws, keys)
    if key is None:
        memory.refused.add(attempt.digest, keys, now)
    else:
        attempt.seen = memory.verified.add(attempt.digest, attempt.jws, keys, key, depth, now)
    return key


def _tried(token: jws.Jws, keys: tuple[Key, ...]) -> Key | None:
    for key in keys:
        if key.verify(token.algorithm, token.signing_input, token.signature):
            return key
    return None


def _why_not(attempt: Attempt) -> str:
    token = attempt.jws
    if len(attempt.candidates) > 1:
        whose = f"any of the {len(attempt.candidates)} keys that fit {token.algorithm}"
    elif attempt.consumer:
        whose = f"consumer {attempt.consumer.name}'s key"
    else:
        key_id = attempt.candidates[0].key_id
        whose = f"key {quoted(key_id)}" if key_id is not None else "the issuer's key"
    return f"the {token.algorithm} signature {_wrong(attempt, whose)}"


def _wrong(attempt: Attempt, whose: str) -> str:
    """What is wrong with a signature that does not hold, and what usually is behind it."""
    alg, size = attempt.jws.algorithm, len(attempt.jws.signature)
    fitting = (key for key in attempt.candidates if alg in key.algorithms)
    sizes = sorted({key.signature_bytes(alg) for key in fitting})
    if not sizes or size in sizes:
        return f"does not hold with {whose}: the token was changed, or signed with another key"
    cause = "the token was cut off" if size < sizes[0] else "something was added to the token"
    needed = " or ".join(str(one) for one in sizes)
    return f"has {size} bytes, and one with {whose} has {needed}: {cause}"


def _signature(attempt: Attempt) -> str:
    key_id = attempt.key.key_id
    whose = f"key {quoted(key_id)}" if key_id is not None else f"the key of {attempt.party.title}"
    return f"the {attempt.jws.algorithm} signature holds with {whose}"


CHECKS = (
    Check("algorithm", _check_algorithm, _algorithm, ("jws", "party")),
    Check("key", _check_key, _key, ("jws", "party")),
    Check("signature", _check_signature, _signature, ("jws", "party", "candidates")),
)
