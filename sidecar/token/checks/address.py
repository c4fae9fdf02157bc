"""The check of where a token came from: the address of the client that presents it."""

from typing import Final

from sidecar.token.addresses import AddressRules
from sidecar.token.attempt import Attempt, Check
from sidecar.token.reason import Reason, Refused
from sidecar.token.words import quoted

_REQUEST: Final = "the rule for this request"
_REMEDY: Final = (
    "; give client_address with the request, or for a proxy see authorization.client_address"
)


def _check_address(attempt: Attempt) -> None:
    own, asked = attempt.rules.addresses, attempt.request.addresses
    if own is not None:
        _check(attempt, own, attempt.party.title)
    if asked is not None:
        _check(attempt, asked, _REQUEST)


def _check(attempt: Attempt, rules: AddressRules, whose: str) -> None:
    problem = rules.problem(attempt.request.client_address)
    if problem is None:
        return
    remedy = "" if attempt.request.client_address else _REMEDY
    raise Refused(Reason.ADDRESS_DENIED, f"{problem} (addresses of {whose}){remedy}")


def _address(attempt: Attempt) -> str:
    asked = attempt.request.client_address
    found = f"the client's address is {quoted(asked)}" if asked else "no client address was given"
    judges = (
        (attempt.rules.addresses, attempt.party.title),
        (attempt.request.addresses, _REQUEST),
    )
    allowing = [whose for rules, whose in judges if rules is not None]
    if not allowing:
        return f"{found}; {attempt.party.title} has no addresses that it allows or denies"
    return f"{found}; allowed by addresses of {' and of '.join(allowing)}"


CHECKS = (Check("address", _check_address, _address, ("jws", "party", "key")),)
