"""What an answer that is given again stands on: it is kept with all of that, or not at all."""

from collections.abc import Callable
from typing import Any

import pytest

from sidecar.steady import forget_nothing
from sidecar.token import again
from sidecar.token.addresses import AddressRules, Networks, network_range
from sidecar.token.again import Grounds, KeptAnswers
from sidecar.token.outside import Question
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Demand, Proof, Request, Verified
from sidecar.token.seen import RefusedTokens, SeenTokens, VerifiedTokens
from sidecar.token.snapshot import Snapshot
from sidecar.token.subject import Standing, SubjectAnswer, SubjectQuestion, SubjectRule
from sidecar.token.use import Use
from sidecar.token.validator import validate
from tests.tokens import ABSENT, NOW, issuer, mint, revoking, world

TTL = 300.0
OUTSIDE = AddressRules(None, Networks.of([network_range("192.0.2.0/24")]))


class Passing:
    """A world outside, and a condition, that lets everything pass."""

    def answer(self, asked: Question[Any], now: float) -> Any:
        if isinstance(asked, SubjectQuestion):
            return SubjectAnswer(Standing.EXISTS, now)
        return Use.FIRST

    def why_not(self, *_: object) -> str:
        return ""


def grounds(
    snapshot: Snapshot, request: Request, now: float = NOW, seen: SeenTokens | None = None
) -> Grounds | None:
    """Those of a token that passes."""
    seen = seen or memory()
    verdict = validate(
        request, snapshot, now, ProofMemory(forget_nothing), seen, Passing(), revoking()
    )
    assert isinstance(verdict, Verified)
    return verdict.grounds


def memory(capacity: int = 100) -> SeenTokens:
    return SeenTokens(VerifiedTokens(capacity, TTL), RefusedTokens(capacity, 10.0))


def test_a_pass_stands_on_the_snapshot_what_is_revoked_and_the_time() -> None:
    snapshot, revoked = world(issuer()), revoking()
    revoked.set_unknown("the store is away")
    revoked.set_unknown("")
    asked = (
        Request(mint()),
        snapshot,
        NOW,
        ProofMemory(forget_nothing),
        memory(),
        Passing(),
        revoked,
    )
    verdict = validate(*asked)
    assert isinstance(verdict, Verified)
    assert verdict.grounds == Grounds(snapshot.mark, revoked.state, NOW, NOW + TTL)
    assert revoked.state != revoking().state


@pytest.mark.parametrize(
    ("rules", "asked"),
    [
        pytest.param({"addresses": OUTSIDE}, {"client_address": "10.0.0.1"}, id="an address"),
        pytest.param({}, {"demand": Demand("a rule", condition=Passing())}, id="a condition"),
        pytest.param({}, {"proof": Proof(client_certificate_sha256=bytes(32))}, id="a proof"),
        pytest.param({"subjects": SubjectRule("users")}, {}, id="a directory"),
        pytest.param({"one_time": True}, {}, id="that it passes once"),
    ],
)
def test_a_pass_that_stands_on_more_is_never_kept(
    rules: dict[str, Any], asked: dict[str, Any]
) -> None:
    """Also where the token was seen before."""
    seen, token = memory(), mint(jti="a")
    for _ in range(2):
        assert grounds(world(issuer(**rules)), Request(token, **asked), seen=seen) is None


def test_a_pass_that_is_not_remembered_is_never_kept() -> None:
    assert grounds(world(issuer()), Request(mint()), seen=memory(0)) is None


@pytest.mark.parametrize(
    ("claims", "rules", "until"),
    [
        pytest.param({"exp": NOW + 20}, {}, NOW + 20, id="exp"),
        pytest.param({"exp": NOW + 20}, {"clock_skew": 30.0}, NOW + 20, id="exp, with skew or not"),
        pytest.param({"exp": NOW + 20, "iat": NOW - 60}, {"max_age": 65.0}, NOW + 5, id="age"),
        pytest.param({"exp": NOW + 4, "iat": NOW - 60}, {"max_age": 65.0}, NOW + 4, id="both"),
        pytest.param({"exp": ABSENT}, {"required": ()}, NOW + TTL, id="never, but for the cache"),
    ],
)
def test_a_pass_holds_until_time_could_refuse_it(
    claims: dict[str, Any], rules: dict[str, Any], until: float
) -> None:
    found = grounds(world(issuer(**rules)), Request(mint(**claims)))
    assert found is not None
    assert found.until == until


def test_a_token_that_is_seen_again_holds_for_no_longer() -> None:
    """It is forgotten when it would have been, and so is its answer."""
    seen, snapshot, request = memory(), world(issuer()), Request(mint())
    for later in (0.0, 100.0):
        found = grounds(snapshot, request, NOW + later, seen)
        assert found is not None
        assert (found.since, found.until) == (NOW + later, NOW + TTL)


DIGEST, OTHER = b"d" * 32, b"o" * 32
ASKED = b"asked"
PASS = Grounds(object(), 7, NOW, NOW + 60.0)


def keeping() -> KeptAnswers:
    """One answer, to one question about one token."""
    answers = KeptAnswers()
    answers.add(DIGEST, ASKED, PASS, "corp", b"yes")
    return answers


def found(answers: KeptAnswers, **changed: Any) -> bytes | None:
    """The answer to that question, but for what is changed."""
    asked = {
        "digest": DIGEST,
        "asked": ASKED,
        "snapshot": PASS.snapshot,
        "revocations": PASS.revocations,
        "now": NOW,
        **changed,
    }
    kept = answers.get(**asked)
    return None if kept is None else kept.answer


@pytest.mark.parametrize("now", [NOW, NOW + 59.999])
def test_the_same_question_has_the_same_answer(now: float) -> None:
    assert found(keeping(), now=now) == b"yes"


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"digest": OTHER}, id="another token"),
        pytest.param({"asked": b"more"}, id="another question"),
        pytest.param({"snapshot": object()}, id="another snapshot"),
        pytest.param({"revocations": 8}, id="something was revoked since"),
        pytest.param({"now": NOW + 60.0}, id="its time is over"),
        pytest.param({"now": NOW - 0.001}, id="the clock was set back"),
    ],
)
def test_whatever_differs_there_is_no_answer(changed: dict[str, Any]) -> None:
    assert found(keeping(), **changed) is None


def keep(answers: KeptAnswers, digest: bytes, asked: object) -> None:
    answers.add(digest, asked, PASS, "corp", repr(asked).encode())


def test_no_question_is_taken_for_one_that_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or an answer that is still there would be given to it."""
    monkeypatch.setattr(again, "_MOST_CONTEXTS", 3)
    answers = KeptAnswers()
    for number in range(3):
        keep(answers, DIGEST, number)
    for number in range(3, 6):
        keep(answers, OTHER, number)
        assert found(answers, asked=number) is None
        assert found(answers, digest=OTHER, asked=number) == repr(number).encode()


def test_questions_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "_MOST_CONTEXTS", 3)
    answers = KeptAnswers()
    for number in range(10):
        keep(answers, DIGEST, number)
    assert len(answers._contexts) <= 3


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(lambda answers: keep(answers, DIGEST, ASKED), id="kept anew"),
        pytest.param(KeptAnswers.forget_oldest, id="forgotten"),
    ],
)
def test_an_answer_that_is_gone_takes_no_room(end: Callable[[KeptAnswers], None]) -> None:
    answers = KeptAnswers()
    keep(answers, OTHER, ASKED)
    alone = answers.bytes
    keep(answers, DIGEST, ASKED)
    end(answers)
    end(answers)
    assert answers.bytes == len(answers) * alone


def test_an_answer_that_is_kept_anew_is_the_latest() -> None:
    answers = KeptAnswers()
    for digest in (DIGEST, OTHER, DIGEST):
        keep(answers, digest, ASKED)
    answers.forget_oldest()
    assert found(answers, digest=OTHER) is None
    assert found(answers) is not None
