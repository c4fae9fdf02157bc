"""Tokens as a test wants them, good and bad, and what is said of them."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from sidecar.steady import forget_nothing
from sidecar.token.claims import required_claims
from sidecar.token.keyset import KeySet
from sidecar.token.outside import NOTHING, Outside
from sidecar.token.reason import Reason
from sidecar.token.replay import ProofMemory, UsedProofs
from sidecar.token.request import Refusal, Request, Verdict, Verified
from sidecar.token.revocation import Reference
from sidecar.token.revocation import revoked as revocation_by
from sidecar.token.revoked import Revoked
from sidecar.token.snapshot import (
    ClaimRules,
    Consumer,
    Consumers,
    Issuer,
    Limits,
    Signer,
    Snapshot,
)
from sidecar.token.validator import (
    CHECKS,
    Explanation,
    Outcome,
    explain,
    revocation_of,
    validate,
)
from tests.authors import CORP, Author, author, key_set

NOW: Final = 1_800_000_000
"""The time at which the tests take place, in seconds since the epoch."""
ISSUER: Final = "https://corp.example"
AUDIENCE: Final = "orders"
ABSENT: Final = object()
"""The value of a claim or header parameter that is to be left out."""
CLAIMS: Final[Mapping[str, Any]] = {
    "iss": ISSUER,
    "sub": "alice",
    "aud": AUDIENCE,
    "iat": NOW - 60,
    "exp": NOW + 600,
}


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def mint(by: Author = CORP, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
    """A good token of CORP's, signed, but for what is changed."""
    return sign(header_of(by, **(header or {})), _without_absent({**CLAIMS, **claims}), by)


def header_of(by: Author = CORP, **parameters: Any) -> dict[str, Any]:
    key_id = ABSENT if by.key_id is None else by.key_id
    return _without_absent({"alg": by.algorithm, "typ": "JWT", "kid": key_id, **parameters})


def sign(header: object, payload: object, by: Author = CORP) -> str:
    """A token of exactly this header and payload: bytes as they are, other values as JSON."""
    parts = [encode(one if isinstance(one, bytes) else as_json(one)) for one in (header, payload)]
    return seal(".".join(parts), by)


def seal(signing_input: str, by: Author = CORP) -> str:
    return f"{signing_input}.{encode(by.sign(signing_input.encode()))}"


def rules(**changes: Any) -> ClaimRules:
    """The rules of a configuration that names an audience, without clock skew."""
    return replace(ClaimRules(audiences=frozenset({AUDIENCE}), clock_skew=0.0), **changes)


def issuer(
    name: str = "corp",
    iss: str | None = ISSUER,
    keys: KeySet | None = None,
    algorithms: frozenset[str] | None = None,
    **rule_changes: Any,
) -> Issuer:
    return Issuer(name, iss, rules(**rule_changes), keys or key_set(CORP), algorithms)


def consumer(name: str, by: Author, key: str | None = None) -> Consumer:
    """A consumer of this name, whose key claim has the value `key` or `NAME-key`."""
    credential = by.secret_key() if by.algorithm.startswith("HS") else key_set(by).keys[0]
    return Consumer(name, key or f"{name}-key", by.algorithm, credential)


JACK: Final = author("HS256", None)
JACK_KEY: Final = "jack-key"


def consumers(*these: Consumer, key_claim: str = "key", **rule_changes: Any) -> Consumers:
    """These consumers, or JACK alone."""
    these = these or (consumer("jack", JACK),)
    return Consumers(
        key_claim,
        rules(**{"audiences": None, **rule_changes}),
        {one.key: one for one in these},
        {one.name: one for one in these},
    )


def world(*parties: Issuer | Consumers | Signer | Limits) -> Snapshot:
    """A configuration with these parties."""
    return Snapshot.of(
        issuers=tuple(one for one in parties if isinstance(one, Issuer)),
        consumers=next((one for one in parties if isinstance(one, Consumers)), None),
        signers=tuple(one for one in parties if isinstance(one, Signer)),
        limits=next((one for one in parties if isinstance(one, Limits)), None),
    )


def judge(
    token: str,
    *parties: Issuer | Consumers | Limits,
    now: float = NOW,
    claims: Mapping[str, Any] | None = None,
    used: UsedProofs | None = None,
    revoked: Revoked | None = None,
    outside: Outside = NOTHING,
    **request: Any,
) -> Verdict:
    """What the validator says where these are configured, or CORP alone.

    It says the same as the first check that fails in an explanation, and uses nothing up there.
    """
    if not any(isinstance(one, Issuer | Consumers) for one in parties):
        parties = (issuer(), *parties)
    asked = Request(token, claims=required_claims(claims or {}), **request)
    used = ProofMemory(forget_nothing) if used is None else used
    explanation = explain(asked, world(*parties), now, used, outside, revoked)
    verdict = validate(asked, world(*parties), now, used, None, outside, revoked)
    assert_explains(explanation, verdict)
    return verdict


def revoking(
    *targets: str | Reference,
    among: tuple[Issuer | Consumers, ...] = (),
    now: float = NOW,
) -> Revoked:
    """A memory in which these tokens, or what is referred to, are revoked; CORP's without more."""
    memory, known = Revoked("secret"), world(*(among or (issuer(),)))
    for target in targets:
        if isinstance(target, str):
            found = revocation_of(Request(target), known, now)
            assert not isinstance(found, Refusal), found
            memory.add(found)
        else:
            memory.add(revocation_by(target, known, now))
    return memory


def assert_explains(explanation: Explanation, verdict: Verdict) -> None:
    """That the explanation has this verdict, and that its first failed check is the reason."""
    failed = [one for one in explanation.findings if one.outcome is Outcome.FAILED]
    assert [one.name for one in explanation.findings] == [check.name for check in CHECKS]
    assert all(one.detail for one in explanation.findings)
    if isinstance(verdict, Refusal):
        assert isinstance(explanation.verdict, Refusal)
        assert (failed[0].reason, failed[0].detail) == (verdict.reason, verdict.message)
        assert explanation.verdict == verdict
    else:
        assert isinstance(explanation.verdict, Verified)
        assert all(one.outcome is Outcome.PASSED for one in explanation.findings)


def assert_refused(verdict: Verdict, reason: Reason, *words: str) -> Refusal:
    """That the token is refused for this reason, in a message with all of these words."""
    assert isinstance(verdict, Refusal), f"passed, and should be refused with {reason.name}"
    assert verdict.reason is reason, f"{verdict.reason.name}: {verdict.message}"
    for word in words:
        assert word in verdict.message, f"{word!r} is not in: {verdict.message}"
    return verdict


def assert_passes(verdict: Verdict) -> Verified:
    assert isinstance(verdict, Verified), f"refused: {verdict.reason.name}: {verdict.message}"
    return verdict


def _without_absent(members: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not ABSENT}
