"""The check of what a rule demands beyond the token: whose it may be, and a condition."""

from sidecar.token.attempt import Attempt, Check
from sidecar.token.reason import Reason, Refused


def _check_rule(attempt: Attempt) -> None:
    demand, consumer = attempt.request.demand, attempt.consumer
    if demand is None:
        return
    if consumer and not demand.takes_consumer(consumer.name):
        raise Refused(
            Reason.RULE_DENIED,
            f"the token is of {consumer.title}; {demand.rule} takes those of {demand.parties()}",
        )
    if demand.condition is None:
        return
    header = attempt.jws.unverified_header
    if consumer:
        # It writes its own header too. These are held against its record and its rules.
        header = {name: header[name] for name in ("alg", "typ") if name in header}
    problem = demand.condition.why_not(header, attempt.claims, consumer)
    if problem:
        raise Refused(Reason.RULE_DENIED, f"{demand.rule}: {problem}")


def _rule(attempt: Attempt) -> str:
    demand = attempt.request.demand
    if demand is None:
        return "no rule demands more"
    condition = "; its condition is met" if demand.condition else ""
    return f"{demand.rule} takes tokens of {demand.parties()}{condition}"


CHECKS = (Check("rule", _check_rule, _rule, ("jws", "party", "key", "claims")),)
