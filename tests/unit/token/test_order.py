"""Checks are made in one order, and the first that fails gives the reason."""

from itertools import combinations
from typing import Any

import pytest

from sidecar.token.addresses import AddressRules, Networks, network_range
from sidecar.token.reason import Reason
from sidecar.token.request import Demand, Verdict
from sidecar.token.revocation import SubjectReference
from sidecar.token.snapshot import Limits
from sidecar.token.subject import Standing, SubjectAnswer, SubjectQuestion, SubjectRule
from sidecar.token.use import Use
from sidecar.token.validator import CHECKS
from tests.authors import STRANGER
from tests.refusals import Never, Used
from tests.tokens import (
    ABSENT,
    ISSUER,
    NOW,
    assert_passes,
    assert_refused,
    consumers,
    issuer,
    judge,
    mint,
    revoking,
)

REVOKED = revoking(SubjectReference(ISSUER, "eve", None), now=NOW + 7200)
INSIDE = AddressRules(allow=Networks.of([network_range("10.0.0.0/8")]))
DENIED = Demand("rule admin", condition=Never("false"))
STRICT = issuer(
    max_age=3600.0,
    max_lifetime=7200.0,
    required=("exp", "jti"),
    addresses=INSIDE,
    one_time=True,
    subjects=SubjectRule("users"),
)


class World(Used):
    """Beside that, a directory that knows everybody but bob."""

    def answer(self, question: Any, now: float) -> Any:
        if not isinstance(question, SubjectQuestion):
            return super().answer(question, now)
        unknown = question.subject == "bob"
        return SubjectAnswer(Standing.UNKNOWN if unknown else Standing.EXISTS, now)


GOOD: dict[str, Any] = {"jti": "1", "tenant": "blue", "scope": "write"}
FAULTS: dict[str, tuple[dict[str, Any], Reason]] = {
    "type": ({"typ": "x"}, Reason.TYPE_NOT_ALLOWED),
    "critical_headers": ({"crit": ["x"], "x": 1}, Reason.CRITICAL_HEADER_UNKNOWN),
    "issuer": ({"iss": "https://other.example"}, Reason.ISSUER_MISMATCH),
    "algorithm": ({"alg": "none"}, Reason.ALGORITHM_NOT_ALLOWED),
    "key": ({"kid": "key-2"}, Reason.KEY_NOT_FOUND),
    "signature": ({"by": STRANGER}, Reason.SIGNATURE_INVALID),
    "expiry": ({"exp": NOW - 1}, Reason.EXPIRED),
    "not_before": ({"nbf": NOW + 60}, Reason.NOT_YET_VALID),
    "issue_time": ({"iat": NOW + 60}, Reason.ISSUED_IN_FUTURE),
    "age": ({"iat": NOW - 3601}, Reason.TOO_OLD),
    "lifetime": ({"exp": NOW + 9000}, Reason.LIFETIME_TOO_LONG),
    "audience": ({"aud": "billing"}, Reason.AUDIENCE_MISMATCH),
    "required_claims": ({"jti": ABSENT}, Reason.CLAIM_MISSING),
    "claim_values": ({"tenant": "red"}, Reason.CLAIM_MISMATCH),
    "revocation": ({"sub": "eve"}, Reason.REVOKED),
    "subject": ({"sub": "bob"}, Reason.SUBJECT_UNKNOWN),
    "address": ({"client_address": "11.0.0.1"}, Reason.ADDRESS_DENIED),
    "scopes": ({"scope": "read"}, Reason.SCOPE_INSUFFICIENT),
    "proof": ({"cnf": {}}, Reason.PROOF_INVALID),
    "rule": ({"demand": DENIED}, Reason.RULE_DENIED),
    "one_time": ({"used": Use.AGAIN}, Reason.REPLAYED),
}
HEADER = {"typ", "crit", "x", "alg", "kid"}
PAIRS = [
    pytest.param(first, second, id=f"{first} before {second}")
    for first, second in combinations(FAULTS, 2)
    if not FAULTS[first][0].keys() & FAULTS[second][0].keys()
]


def judge_with(*faults: str) -> Verdict:
    changes = {**GOOD, "client_address": "10.0.0.1", "used": Use.FIRST}
    for fault in faults:
        changes |= FAULTS[fault][0]
    header = {name: changes.pop(name) for name in HEADER & changes.keys()}
    address, demand = changes.pop("client_address"), changes.pop("demand", None)
    use = changes.pop("used")
    return judge(
        mint(header=header, **changes),
        STRICT,
        issuer_name="corp",
        claims={"tenant": "blue"},
        scopes=("write",),
        client_address=address,
        demand=demand,
        revoked=REVOKED,
        outside=World(use),
    )


def test_the_token_without_a_fault_passes() -> None:
    assert_passes(judge_with())


def test_every_check_after_form_has_a_fault_in_the_table() -> None:
    """But grants, which refuses no token that would pass the others."""
    assert [check.name for check in CHECKS if check.name != "grants"] == [
        "size",
        "form",
        *list(FAULTS)[:-1],
        "replay",
        "one_time",
    ]


def test_what_a_token_says_counts_from_its_signature_on() -> None:
    names = [check.name for check in CHECKS]
    assert names[names.index("signature") + 1] == "grants"


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_alone_is_the_reason(fault: str) -> None:
    assert_refused(judge_with(fault), FAULTS[fault][1])


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_of_two_faults_the_first_is_the_reason(first: str, second: str) -> None:
    assert_refused(judge_with(first, second), FAULTS[first][1])


def test_size_comes_before_form() -> None:
    assert_refused(judge("." * 17, Limits(token_bytes=16)), Reason.TOKEN_TOO_LARGE)


def test_form_comes_before_type() -> None:
    assert_refused(judge(mint(header={"typ": "x", "kid": 1})), Reason.TOKEN_MALFORMED)


def test_form_comes_before_the_issuer() -> None:
    assert_refused(judge(mint(iss="nobody") + "="), Reason.TOKEN_MALFORMED)


def test_crit_comes_before_an_unknown_issuer() -> None:
    token = mint(iss="nobody", header={"crit": ["x"], "x": 1})
    assert_refused(judge(token), Reason.CRITICAL_HEADER_UNKNOWN)


def test_an_unknown_issuer_comes_before_typ_that_only_an_issuer_rules() -> None:
    assert_refused(judge(mint(iss="nobody", header={"typ": "x"})), Reason.ISSUER_UNKNOWN)


def test_an_unknown_consumer_comes_before_the_algorithm() -> None:
    token = mint(iss=ABSENT, key="nobody", header={"alg": "none"})
    assert_refused(judge(token, consumers()), Reason.CONSUMER_UNKNOWN)


def test_a_forged_token_says_nothing_about_its_claims() -> None:
    refusal = assert_refused(judge(mint(STRANGER, exp=NOW - 1)), Reason.SIGNATURE_INVALID)
    assert "expired" not in refusal.message
