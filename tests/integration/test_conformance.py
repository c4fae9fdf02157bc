"""Cases of other projects, from a file that the environment names, and the page about them."""

import hashlib
import os
from functools import cache
from pathlib import Path

import pytest

from tests.conformance.cases import read
from tests.conformance.outcomes import Outcome, Standing, judged
from tests.conformance.page import PAGE, page

NAMED = os.environ.get("CONFORMANCE_CASES")

pytestmark = pytest.mark.skipif(
    not NAMED, reason="name a file of cases (see docs/conformance.md): CONFORMANCE_CASES=FILE"
)


@cache
def data() -> bytes:
    return Path(NAMED or "").read_bytes()


@cache
def outcomes() -> list[Outcome]:
    return [judged(case) for case in read(data())]


def test_every_verdict_that_follows_from_the_rfcs_is_ours() -> None:
    must = [one for one in outcomes() if one.case.must]
    assert {one.case.valid for one in must} == {True, False}
    assert [str(one) for one in must if one.standing is not Standing.RIGHT] == []


def test_no_token_without_a_claims_set_passes() -> None:
    assert [str(one) for one in outcomes() if one.passed and not one.case.claims] == []


def test_no_token_passes_that_its_project_refuses_but_for_the_audience_that_it_may_not_have() -> (
    None
):
    """Any audience passes where none is configured: that is how a case is to be read."""
    passed = [one for one in outcomes() if one.passed and not one.case.valid]
    assert [str(one) for one in passed if one.case.why != "audience_unexpected"] == []


def test_the_page_is_what_this_run_gives() -> None:
    written = PAGE.read_text()
    if hashlib.sha256(data()).hexdigest() not in written:
        pytest.skip("the page was written from another file")
    assert written == page(data()), "write it again: make conformance CASES=FILE"
