"""A token for each reason for which one is refused, and what its message must say."""

from dataclasses import dataclass, replace
from typing import Any

import pytest

from sidecar.steady import forget_nothing
from sidecar.token.addresses import AddressRules, Networks, network_range
from sidecar.token.dpop import check_dpop
from sidecar.token.outside import Question
from sidecar.token.reason import Reason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Demand, Request
from sidecar.token.snapshot import Consumers, Issuer, Limits
from sidecar.token.subject import Standing, SubjectAnswer, SubjectRule
from sidecar.token.use import Use
from tests.authors import CORP, STRANGER, author, key_set, rsa_key
from tests.proofs import bound, proof, thumbprint
from tests.tokens import (
    ABSENT,
    ISSUER,
    JACK,
    NOW,
    consumers,
    issuer,
    mint,
    revoking,
)

WEAK = replace(author("RS256", "weak"), private_key=rsa_key("rsa-2047"))
NO_KEYS = replace(
    issuer(), keys=None, source="https://corp.example/jwks.json", problem="HTTP status 503"
)
BOUND = bound()
PROOF = proof(BOUND)
USED = ProofMemory(forget_nothing)
USED.add(check_dpop(Request(BOUND, proof=PROOF), thumbprint(), NOW, 0.0))
REVOCABLE = mint(jti="1")
NINE_KEYS = key_set(*(author("ES256", f"key-{number}", number) for number in range(9)))


class Never:
    """A condition that is never met."""

    def __init__(self, text: str) -> None:
        self._text = text

    def why_not(self, *_: object) -> str:
        return f"its condition is not met: {self._text}"


@dataclass(frozen=True)
class Used:
    """Answers of every token alike whether it was used."""

    use: Use

    def answer(self, question: Question[Any], now: float) -> Any:
        return self.use


@dataclass(frozen=True)
class Case:
    """A token, why it is refused, and words that the message must have."""

    token: str
    reason: Reason
    words: tuple[str, ...]
    party: Issuer | Consumers | Limits | None = None
    request: dict[str, Any] | None = None


class Directory:
    """A subject directory that gives this one answer."""

    def __init__(self, standing: Standing, detail: str = "") -> None:
        self._answer = SubjectAnswer(standing, NOW - 4, detail)

    def answer(self, question: Any, now: float) -> Any:
        return self._answer


USERS = issuer(subjects=SubjectRule("users"))

REFUSALS: list[Any] = [
    pytest.param(Case("", Reason.TOKEN_MISSING, ("no token",)), id="no token"),
    pytest.param(
        Case("e30.e30", Reason.TOKEN_MALFORMED, ("2 parts", "not 3")), id="not three parts"
    ),
    pytest.param(
        Case("x" * 17, Reason.TOKEN_TOO_LARGE, ("17", "16", "token_bytes"), Limits(token_bytes=16)),
        id="longer than limits.token_bytes",
    ),
    pytest.param(
        Case(mint(header={"typ": "dpop+jwt"}), Reason.TYPE_NOT_ALLOWED, ('"dpop+jwt"', "at+jwt")),
        id="another typ",
    ),
    pytest.param(
        Case(
            mint(header={"crit": ["exp"], "exp": 1}),
            Reason.CRITICAL_HEADER_UNKNOWN,
            ('"exp"', "critical_headers", "none"),
        ),
        id="crit with a name that is not understood",
    ),
    pytest.param(
        Case(
            mint(header={"crit": ["tenant"]}),
            Reason.CRITICAL_HEADER_UNKNOWN,
            ('"tenant"', "which the header does not have"),
            issuer(critical_headers=frozenset({"tenant"})),
        ),
        id="crit with a name that the header lacks",
    ),
    pytest.param(
        Case(
            mint(),
            Reason.ALGORITHM_NOT_ALLOWED,
            ('"ES256"', "issuer corp accepts PS256, RS256"),
            issuer(algorithms=frozenset({"RS256", "PS256"})),
        ),
        id="another alg",
    ),
    pytest.param(
        Case(mint(header={"alg": ABSENT}), Reason.ALGORITHM_NOT_ALLOWED, ("no alg", "corp")),
        id="no alg",
    ),
    pytest.param(
        Case(mint(iss="https://evil.example"), Reason.ISSUER_UNKNOWN, ("evil.example", ISSUER)),
        id="another iss",
    ),
    pytest.param(Case(mint(iss=ABSENT), Reason.ISSUER_UNKNOWN, ("no iss", ISSUER)), id="no iss"),
    pytest.param(
        Case(mint(iss=7), Reason.ISSUER_UNKNOWN, ("a number and not a string", ISSUER)),
        id="iss is a number",
    ),
    pytest.param(
        Case(
            mint(iss="https://other.example"),
            Reason.ISSUER_MISMATCH,
            ("other.example", "issuer corp", ISSUER),
            request={"issuer_name": "corp"},
        ),
        id="not the issuer that was named",
    ),
    pytest.param(
        Case(
            mint(iss=ABSENT),
            Reason.ISSUER_MISMATCH,
            ("no iss", "issuer corp", ISSUER),
            request={"issuer_name": "corp"},
        ),
        id="no iss where an issuer was named",
    ),
    pytest.param(
        Case(
            mint(header={"kid": ABSENT}),
            Reason.KEY_ID_MISSING,
            ("names no key (kid)", "9 keys fit ES256", "at most 8", "issuer corp"),
            issuer(keys=NINE_KEYS),
        ),
        id="no kid and nine keys",
    ),
    pytest.param(
        Case(
            mint(header={"kid": "key-2"}),
            Reason.KEY_NOT_FOUND,
            ('"key-2"', '["key-1"]', "issuer corp", "the configuration"),
        ),
        id="unknown kid",
    ),
    pytest.param(
        Case(
            mint(author("ES384")),
            Reason.KEY_MISMATCH,
            ("signed with ES384", "an EC key on P-256 for ES256", "issuer corp"),
            issuer(algorithms=frozenset({"ES256", "ES384"})),
        ),
        id="the key is for another algorithm",
    ),
    pytest.param(
        Case(
            mint(WEAK),
            Reason.KEY_TOO_WEAK,
            ('"weak"', "2047 bits", "2048"),
            issuer(keys=key_set(WEAK, CORP), algorithms=frozenset({"RS256"})),
        ),
        id="the key is too weak",
    ),
    pytest.param(
        Case(mint(), Reason.KEYS_UNAVAILABLE, ("corp", "jwks.json", "HTTP status 503"), NO_KEYS),
        id="no keys could be fetched",
    ),
    pytest.param(Case(mint(STRANGER), Reason.SIGNATURE_INVALID, ("ES256", '"key-1"')), id="forged"),
    pytest.param(
        Case(
            mint(JACK, iss="https://nobody.example", user="jack"),
            Reason.CONSUMER_KEY_MISSING,
            (
                'claim "key"',
                "is missing",
                '["iss", "sub", "aud", "iat", "exp", "user"]',
                "consumers.key_claim",
            ),
            consumers(),
        ),
        id="no key claim",
    ),
    pytest.param(
        Case(mint(JACK, iss=ABSENT, key="jill"), Reason.CONSUMER_UNKNOWN, ('"jill"',), consumers()),
        id="unknown consumer",
    ),
    pytest.param(
        Case(mint(exp=NOW - 90), Reason.EXPIRED, ("1 min 30 s ago", "2027-01-15T07:58:30Z", "0 s")),
        id="expired",
    ),
    pytest.param(
        Case(mint(nbf=NOW + 90), Reason.NOT_YET_VALID, ("in 1 min 30 s", "2027-01-15T08:01:30Z")),
        id="not yet valid",
    ),
    pytest.param(
        Case(mint(iat=NOW + 90), Reason.ISSUED_IN_FUTURE, ("1 min 30 s", "2027-01-15T08:01:30Z")),
        id="issued in the future",
    ),
    pytest.param(
        Case(
            mint(),
            Reason.TOO_OLD,
            ("1 min ago", "59 s; clock skew allowed 0 s"),
            issuer(max_age=59.0),
        ),
        id="too old",
    ),
    pytest.param(
        Case(
            mint(),
            Reason.LIFETIME_TOO_LONG,
            ("11 min", "max_lifetime is 10 min"),
            issuer(max_lifetime=600.0),
        ),
        id="lives too long",
    ),
    pytest.param(
        Case(mint(aud="billing"), Reason.AUDIENCE_MISMATCH, ('["billing"]', '["orders"]')),
        id="another audience",
    ),
    pytest.param(
        Case(mint(aud=ABSENT), Reason.AUDIENCE_MISMATCH, ("no aud", '["orders"]')),
        id="no audience",
    ),
    pytest.param(
        Case(mint(exp=ABSENT), Reason.CLAIM_MISSING, ('"exp"', "required", '"sub"')),
        id="a required claim is missing",
    ),
    pytest.param(
        Case(
            mint(tenant="red"),
            Reason.CLAIM_MISMATCH,
            ('"tenant"', '"red"', '"blue"'),
            request={"claims": {"tenant": "blue"}},
        ),
        id="a claim has another value",
    ),
    pytest.param(
        Case(
            mint(),
            Reason.ADDRESS_DENIED,
            ('"203.0.113.9"', "not among those allowed", "issuer corp"),
            issuer(addresses=AddressRules(allow=Networks.of([network_range("10.0.0.0/8")]))),
            request={"client_address": "203.0.113.9"},
        ),
        id="another address",
    ),
    pytest.param(
        Case(
            mint(),
            Reason.RULE_DENIED,
            ("rule admin", "not met", "claims.tenant"),
            request={"demand": Demand("rule admin", condition=Never("claims.tenant == 'blue'"))},
        ),
        id="a rule's condition is not met",
    ),
    pytest.param(
        Case(
            REVOCABLE,
            Reason.REVOKED,
            ('jti "1"', "issuer corp", "was revoked at 2027-01-15T08:00:00Z"),
            request={"revoked": revoking(REVOCABLE)},
        ),
        id="revoked",
    ),
    pytest.param(
        Case(
            mint(sub="bob"),
            Reason.SUBJECT_UNKNOWN,
            ('claim "sub" is "bob"', "subject directory users", "4 s ago"),
            USERS,
            {"outside": Directory(Standing.UNKNOWN)},
        ),
        id="no such user",
    ),
    pytest.param(
        Case(
            mint(sub="bob"),
            Reason.SUBJECT_DISABLED,
            ('"bob"', "users", "it answers 410", "4 s ago"),
            USERS,
            {"outside": Directory(Standing.DISABLED, "it answers 410")},
        ),
        id="a user who is disabled",
    ),
    pytest.param(
        Case(
            mint(sub="bob"),
            Reason.STATE_UNAVAILABLE,
            ('"bob"', "subject directory users", "it answers 500", "try again"),
            USERS,
            {"outside": Directory(Standing.NO_ANSWER, "it answers 500")},
        ),
        id="a subject directory is away",
    ),
    pytest.param(
        Case(
            mint(scope="read"),
            Reason.SCOPE_INSUFFICIENT,
            ('["write"]', '["read"]'),
            request={"scopes": ("read", "write")},
        ),
        id="a scope is not granted",
    ),
    pytest.param(
        Case(BOUND, Reason.PROOF_INVALID, ("cnf.jkt", "no DPoP proof came")),
        id="bound to a key, without a proof",
    ),
    pytest.param(
        Case(
            BOUND,
            Reason.REPLAYED,
            ("was used before", "jti"),
            request={"proof": PROOF, "used": USED},
        ),
        id="a proof is used twice",
    ),
    pytest.param(
        Case(
            REVOCABLE,
            Reason.REPLAYED,
            ('jti "1"', "was used before", "issuer corp has one_time", "new one"),
            issuer(one_time=True),
            {"outside": Used(Use.AGAIN)},
        ),
        id="a token that passes once is used twice",
    ),
    pytest.param(
        Case(
            REVOCABLE,
            Reason.STATE_UNAVAILABLE,
            ("used before", "store does not answer", "issuer corp has one_time", "try again"),
            issuer(one_time=True),
            {"outside": Used(Use.UNKNOWN)},
        ),
        id="whether a token was used is not known",
    ),
    pytest.param(
        Case(
            BOUND,
            Reason.STATE_UNAVAILABLE,
            ("DPoP proofs", "can be remembered", "try again"),
            request={"proof": PROOF, "used": ProofMemory(forget_nothing, most=0)},
        ),
        id="no more proofs can be remembered",
    ),
]
