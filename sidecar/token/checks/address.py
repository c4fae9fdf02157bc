"""The check of where a token came from: the address of the client that presents it."""

from typing import Final

from sidecar.token.attempt import Attempt, Check
from sidecar.token.reason import Reason, Refused
from sidecar.token.words import quoted

_REMEDY: Final = (
    "; give client_address with the request, or for a proxy see authorization.client_address"
)


def _check_address(attempt: Attempt) -> None:
    rules, address = attempt.rules.addresses, attempt.request.client_address
    if rules is None:
        return
    problem = rules.problem(address)
    if problem is not None:
        remedy = "" if address else _REMEDY
        whose = attempt.party.title
        raise Refused(Reason.ADDRESS_DENIED, f"{problem} (addresses of {whose}){remedy}")


def _address(attempt: Attempt) -> str:
    address, whose = attempt.request.client_address, attempt.party.title
    found = (
        f"the client's address is {quoted(address)}" if address else "no client address was given"
    )
    if attempt.rules.addresses is None:
        return f"{found}; {whose} has no addresses that it allows or denies"
    return f"{found}; allowed by addresses of {whose}"


CHECKS = (Check("address", _check_address, _address, ("jws", "party", "key")),)
