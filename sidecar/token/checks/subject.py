"""The check of a subject: does the user that the token names exist, and may that user come in."""

from sidecar.token.attempt import Attempt, Check
from sidecar.token.claims import find
from sidecar.token.reason import Reason, Refused
from sidecar.token.subject import LONGEST, Standing, SubjectAnswer, SubjectQuestion, SubjectRule
from sidecar.token.words import duration, kind, quoted


def _check_subject(attempt: Attempt) -> None:
    rule = attempt.rules.subjects
    if rule is None:
        return
    subject = _subject(attempt, rule)
    answer = attempt.answer(SubjectQuestion(rule.directory, subject))
    attempt.subject = answer
    if answer.standing is Standing.NO_ANSWER:
        if not rule.outage_passes:
            raise Refused(
                Reason.STATE_UNAVAILABLE,
                f"{_who(rule, subject)}, and subject directory {rule.directory} does not say "
                f"whether that is a user: {answer.detail}; try again",
            )
        if answer.last is None:
            return
        answer = answer.last
    if answer.standing is Standing.UNKNOWN:
        raise Refused(
            Reason.SUBJECT_UNKNOWN,
            f"{_who(rule, subject)}, whom subject directory {rule.directory} does not know; it "
            f"answered {_age(attempt, answer)}. Add the user there, or set the directory's claim "
            "to the one by which it knows its users",
        )
    if answer.standing is Standing.DISABLED:
        detail = f" ({answer.detail})" if answer.detail else ""
        raise Refused(
            Reason.SUBJECT_DISABLED,
            f"{_who(rule, subject)}, whom subject directory {rule.directory} has as disabled"
            f"{detail}; it answered {_age(attempt, answer)}. Enable the user there",
        )


def _subject(attempt: Attempt, rule: SubjectRule) -> str:
    """The claim's value; raises Refused where no directory can be asked about it."""
    value = find(attempt.claims, rule.claim)
    if value is None:
        raise Refused(
            Reason.CLAIM_MISSING,
            f"claim {quoted(rule.claim)}, which must name a user of subject directory "
            f"{rule.directory}, is missing",
        )
    if isinstance(value, str) and 0 < len(value) <= LONGEST:
        return value
    if not isinstance(value, str):
        found = kind(value)
    else:
        found = f"{len(value)} characters long" if value else "empty"
    raise Refused(
        Reason.CLAIM_MISMATCH,
        f"claim {quoted(rule.claim)} is {found}; to be looked up in subject directory "
        f"{rule.directory} it must be a string of 1 to {LONGEST} characters",
    )


def _who(rule: SubjectRule, subject: str) -> str:
    return f"claim {quoted(rule.claim)} is {quoted(subject)}"


def _age(attempt: Attempt, answer: SubjectAnswer) -> str:
    seconds = attempt.now - answer.time
    return f"{duration(seconds)} ago" if seconds >= 1 else "just now"


def _passed(attempt: Attempt) -> str:
    rule = attempt.rules.subjects
    if rule is None:
        return "no subject directory is asked"
    answer, directory = attempt.subject, f"subject directory {rule.directory}"
    who = _who(rule, _subject(attempt, rule))
    if answer.standing is not Standing.NO_ANSWER:
        return f"{who}, who exists in {directory}; it answered {_age(attempt, answer)}"
    outage = f"{directory} gives no answer ({answer.detail}), and its on_outage is allow"
    if answer.last is None:
        return f"{who}; {outage}"
    return f"{who}; {outage}; {_age(attempt, answer.last)} it said that the user exists"


CHECKS = (Check("subject", _check_subject, _passed, ("jws", "party", "key", "claims")),)
