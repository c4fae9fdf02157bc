"""Check the rest of what a rule requires: which consumers it takes, and its condition."""

from sidecar.token.attempt import Attempt, Check


def _check_rule(attempt: Attempt) -> None:
    demand, consumer = attempt.request.demand, attempt.consumer
    if demand is None:
        return
    if consumer and not demand.takes_consumer(consumer.name):
        raise demand.takes_others(consumer.title)
    if demand.condition is None:
        return
    header = attempt.jws.unverified_header
    if consumer:
        # It writes its own header too. These are held against its record and its rules.
        header = {name: header[name] for name in ("alg", "typ") if name in header}
    problem = demand.condition.why_not(header, attempt.claims, consumer)
    if problem:
        raise demand.unmet(problem)


def _rule(attempt: Attempt) -> str:
    demand = attempt.request.demand
    if demand is None:
        return "no rule demands more"
    condition = "; its condition is met" if demand.condition else ""
    return f"{demand.rule} takes tokens of {demand.parties()}{condition}"


CHECKS = (Check("rule", _check_rule, _rule, ("jws", "party", "key", "claims")),)
