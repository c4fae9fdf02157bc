"""Tokens by number are what they say: the sidecar's own checks judge them."""

import time

import pytest

from bench.flooder import FLOODS, FORGED, NEW, REMOTE, UNKNOWN
from bench.numbered import NumberedTokens
from bench.work import ISSUER, Tokens, configure
from sidecar.config.load import load
from sidecar.config.snapshot import build
from sidecar.steady import forget_nothing
from sidecar.token.reason import Reason
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Request, Verdict, Verified
from sidecar.token.snapshot import Snapshot
from sidecar.token.validator import validate

TOKENS = NumberedTokens(ISSUER, REMOTE)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    path = configure(tmp_path_factory.mktemp("bench") / "native", "native", Tokens())
    return build(load(path, {}).settings, generated={})


def judged(token: str, snapshot: Snapshot) -> Verdict:
    return validate(Request(token), snapshot, time.time(), ProofMemory(forget_nothing))


def test_a_number_is_a_token() -> None:
    assert TOKENS.valid(1) == TOKENS.valid(1)
    assert len({FLOODS[flood].token(TOKENS, one) for flood in FLOODS for one in range(9)}) == 27


def test_a_valid_one_passes(snapshot: Snapshot) -> None:
    verdict = judged(FLOODS[NEW].token(TOKENS, 7), snapshot)
    assert isinstance(verdict, Verified)
    assert verdict.claims["jti"].endswith("7")


@pytest.mark.parametrize(
    ("flood", "reason"),
    [(FORGED, Reason.SIGNATURE_INVALID), (UNKNOWN, Reason.ISSUER_UNKNOWN)],
)
def test_the_others_do_not(snapshot: Snapshot, flood: str, reason: Reason) -> None:
    """The issuer with keys over HTTP is one that only the flooded sidecar has."""
    verdict = judged(FLOODS[flood].token(TOKENS, 7), snapshot)
    assert not isinstance(verdict, Verified)
    assert verdict.reason is reason
