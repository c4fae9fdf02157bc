"""The lines for decisions: which are written, what they say, and how many."""

import logging
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decision_log import BURST, PER_SECOND, About, DecisionLog, Limit
from sidecar.logs import FIELDS
from sidecar.token.reason import Reason
from sidecar.token.request import Refusal, Request, Verdict
from sidecar.token.snapshot import Grants
from tests.authors import STRANGER, author
from tests.tokens import ABSENT, JACK, JACK_KEY, consumers, issuer, judge, mint
from tests.tokens import consumer as token_consumer
from tests.unit.parties import consumer, verified

STRANGER_SECRET = author("HS256", None, other=1)
ABOUT = About("192.0.2.1", "GET", "/orders", "id-7", "admin")
PASSED = verified({"sub": "alice", "jti": "t-1"})
EXPIRED = Refusal(Reason.EXPIRED, "expired 5 s ago", "corp")
OUTAGE = Refusal(Reason.KEYS_UNAVAILABLE, "no keys", "corp")


class Written:
    """The lines of a log that is asked to write these decisions."""

    def __init__(self, caplog: pytest.LogCaptureFixture, decisions: str, level: str = "DEBUG"):
        caplog.set_level(level, "sidecar.decisions")
        self._caplog = caplog
        self.time = 0.0
        self._log = DecisionLog(lambda: self.time)
        self._log.refused, self._log.passed = decisions != "none", decisions == "all"

    def lines(self, *verdicts: Verdict | None, about: About = ABOUT) -> list[dict[str, Any]]:
        self._caplog.clear()
        for one in verdicts:
            self._log.decided("ext_authz", one, 0.0012345, lambda: about)
        return [
            {"level": one.levelname, "message": one.getMessage(), **getattr(one, FIELDS)}
            for one in self._caplog.records
        ]


@pytest.mark.parametrize(
    ("decisions", "written"),
    [
        pytest.param("none", [], id="none"),
        pytest.param("refused", ["EXPIRED"], id="refused"),
        pytest.param("all", ["OK", "EXPIRED", "OK"], id="all"),
    ],
)
def test_which_are_written(
    decisions: str, written: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lines = Written(caplog, decisions).lines(PASSED, EXPIRED, None)
    assert [one["reason"] for one in lines] == written


def test_what_is_said_of_a_token_that_passed(caplog: pytest.LogCaptureFixture) -> None:
    assert Written(caplog, "all").lines(PASSED) == [
        {
            "level": "INFO",
            "message": "passed",
            "surface": "ext_authz",
            "reason": "OK",
            "duration_ms": 1.234,
            "client_address": "192.0.2.1",
            "method": "GET",
            "path": "/orders",
            "request_id": "id-7",
            "rule": "admin",
            "issuer": "corp",
            "kid": PASSED.key_id,
            "jti": "t-1",
            "sub": "alice",
        }
    ]


def test_what_is_said_of_a_consumer_and_of_nobody(caplog: pytest.LogCaptureFixture) -> None:
    jacks, nobodys = Written(caplog, "all").lines(
        verified({}, by=consumer("jack")), None, about=About()
    )
    assert jacks["consumer"] == "jack"
    assert "issuer" not in jacks
    assert nobodys == {
        "level": "INFO",
        "message": "passed without a token",
        "surface": "ext_authz",
        "reason": "OK",
        "duration_ms": 1.234,
    }


def test_a_consumers_word_on_whose_token_it_is_is_not_written(
    caplog: pytest.LogCaptureFixture,
) -> None:
    jack = replace(token_consumer("jack", JACK), grants=Grants(claims={"sub": "billing"}))
    for by, said in (
        (JACK, {"consumer": "jack", "jti": "t-3", "sub": "billing"}),
        (STRANGER_SECRET, {"consumer": "jack", "verified": False}),
    ):
        token = mint(by, iss=ABSENT, key=JACK_KEY, jti="t-3", sub="root")
        refusal = judge(token, consumers(jack), scopes=("admin",))
        (line,) = Written(caplog, "refused").lines(refusal, about=About())
        common = {"level", "message", "surface", "reason", "duration_ms"}
        assert {name: value for name, value in line.items() if name not in common} == said


@pytest.mark.parametrize(
    ("token", "said"),
    [
        pytest.param(
            mint(exp=1, jti="t-2"),
            {"kid": "key-1", "jti": "t-2", "sub": "alice"},
            id="one that expired was signed",
        ),
        pytest.param(
            mint(STRANGER),
            {"kid": "key-1", "sub": "alice", "verified": False},
            id="a forged one says what it likes",
        ),
        pytest.param(
            mint(STRANGER, sub="x" * 1000),
            {"kid": "key-1", "sub": "x" * 256 + "…", "verified": False},
            id="and not as much as it likes",
        ),
        pytest.param(mint(STRANGER, sub=7, jti=[1]), {"kid": "key-1", "verified": False}, id="odd"),
        pytest.param("x", {}, id="what is no token says nothing"),
    ],
)
def test_what_is_said_of_a_refused_token(
    token: str, said: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    refusal = judge(token, issuer())
    assert isinstance(refusal, Refusal)
    (line,) = Written(caplog, "refused").lines(refusal, about=About())
    common = {"level", "message", "surface", "reason", "duration_ms", "issuer"}
    assert {name: value for name, value in line.items() if name not in common} == said
    assert line["message"] == f"refused: {refusal.message}"
    assert line["reason"] == refusal.reason.name


@pytest.mark.parametrize(
    ("level", "written"),
    [("INFO", ["EXPIRED", "KEYS_UNAVAILABLE"]), ("WARNING", ["KEYS_UNAVAILABLE"]), ("ERROR", [])],
)
def test_an_outage_is_more_severe_than_a_bad_token(
    level: str, written: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    lines = Written(caplog, "refused", level).lines(EXPIRED, OUTAGE)
    assert [one["reason"] for one in lines] == written


def test_a_flood_for_one_reason_hides_no_other_and_is_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    log = Written(caplog, "refused")
    assert len(log.lines(*[EXPIRED] * 1000)) == BURST
    assert len(log.lines(OUTAGE)) == 1
    log.time += 1.0 / PER_SECOND
    (line,) = log.lines(EXPIRED, EXPIRED)
    assert line["left_out"] == 1000 - BURST


def test_passes_are_all_written(caplog: pytest.LogCaptureFixture) -> None:
    assert len(Written(caplog, "all").lines(*[PASSED] * 1000)) == 1000


@given(st.lists(st.floats(-5, 20), max_size=200))
def test_never_more_lines_than_the_clock_allows(steps: list[float]) -> None:
    """Whatever the clock does; and of each refusal it is known that it was there."""
    limit, now, passed, written, told = Limit(), 0.0, 0.0, 0, 0
    for step in steps:
        now += step
        passed += max(0.0, step)
        left_out = limit.admit(Reason.EXPIRED, now)
        if left_out is not None:
            written += 1
            told += left_out
    assert written <= BURST + passed * PER_SECOND
    assert written + told <= len(steps)


def test_about_is_asked_for_what_is_written_only(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, "sidecar.decisions")
    log = DecisionLog(lambda: 0.0)
    log.refused = True

    def about() -> About:
        raise AssertionError("this line is not written")

    for verdict in (PASSED, EXPIRED, None):
        log.decided("grpc", verdict, 0.1, about)
    assert not caplog.records


def test_a_request_is_part_of_no_line_by_itself() -> None:
    """The token is in no repr, so that no line can have it by accident."""
    token = mint(STRANGER)
    refusal = judge(token, issuer())
    assert not any(part in f"{refusal!r} {Request(token)!r}" for part in token.split("."))
