"""Each reason for which a token is refused, and what its message tells the reader."""

import pytest

from sidecar.token.reason import ErrorReason, Reason
from sidecar.v1 import reason_pb2
from tests.authors import STRANGER
from tests.refusals import REFUSALS, Case
from tests.tokens import (
    ABSENT,
    JACK,
    JACK_KEY,
    assert_refused,
    consumers,
    judge,
    mint,
)

NOT_YET_REACHABLE: set[Reason] = set()
"""What the validator doesn't check yet. Take a reason out here when it gets a row in REFUSALS."""


@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_says_what_was_expected_and_what_came(case: Case) -> None:
    parties = [case.party] if case.party else []
    verdict = judge(case.token, *parties, **(case.request or {}))
    assert_refused(verdict, case.reason, *case.words)


def test_every_reason_has_a_row_but_those_not_yet_reachable() -> None:
    covered = {row.values[0].reason for row in REFUSALS}
    assert set(Reason) - covered == NOT_YET_REACHABLE | {Reason.UNSPECIFIED}
    assert not covered & NOT_YET_REACHABLE


def test_reasons_are_those_of_the_contract() -> None:
    contract = {name.removeprefix("REASON_"): number for name, number in reason_pb2.Reason.items()}
    assert {one.name: one.value for one in Reason} == contract


def test_error_reasons_are_those_of_the_contract() -> None:
    contract = {
        name.removeprefix("ERROR_REASON_"): number
        for name, number in reason_pb2.ErrorReason.items()
    }
    assert {one.name: one.value for one in ErrorReason} == contract


def test_a_refusal_names_the_issuer_that_was_chosen() -> None:
    refusal = assert_refused(judge(mint(STRANGER)), Reason.SIGNATURE_INVALID)
    assert (refusal.issuer_name, refusal.scopes) == ("corp", ())


def test_a_refusal_names_no_issuer_where_none_was_chosen() -> None:
    refusal = assert_refused(judge("no token"), Reason.TOKEN_MALFORMED)
    assert refusal.issuer_name == ""


def test_a_refusal_for_scopes_lists_those_that_were_needed() -> None:
    verdict = judge(mint(scope="read"), scopes=("read", "write"))
    assert assert_refused(verdict, Reason.SCOPE_INSUFFICIENT).scopes == ("read", "write")


def test_a_consumer_is_told_by_a_key_of_the_right_kind_only() -> None:
    verdict = judge(mint(JACK, iss=ABSENT, key=[JACK_KEY]), consumers())
    assert_refused(verdict, Reason.CONSUMER_KEY_MISSING, "an array and not a string")
