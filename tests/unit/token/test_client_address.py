"""Addresses of an issuer, of a consumer and of a request: each must allow the client's."""

from dataclasses import replace
from typing import Any

import pytest

from sidecar.token.addresses import AddressRules, Networks, network_range
from sidecar.token.reason import Reason
from sidecar.token.validator import Outcome
from tests.authors import STRANGER
from tests.tokens import (
    ABSENT,
    JACK,
    JACK_KEY,
    assert_passes,
    assert_refused,
    consumer,
    consumers,
    issuer,
    judge,
    mint,
    rules,
)
from tests.unit.token.test_explain import detail, explained


def addresses(allow: str = "", deny: str = "") -> AddressRules:
    allowed = Networks.of(map(network_range, allow.split()))
    return AddressRules(allowed if allow else None, Networks.of(map(network_range, deny.split())))


INSIDE = addresses(allow="10.0.0.0/8")
CORP_INSIDE = issuer(addresses=INSIDE)
JACKS = mint(JACK, iss=ABSENT, key=JACK_KEY)
JACK_INSIDE = replace(
    consumer("jack", JACK), rules=rules(audiences=None, addresses=addresses(allow="10.0.0.0/8"))
)


@pytest.mark.parametrize(
    ("token", "party", "request_addresses", "address", "whose"),
    [
        pytest.param(mint(), issuer(), None, "", None, id="no rules, no address"),
        pytest.param(mint(), issuer(), None, "203.0.113.1", None, id="no rules"),
        pytest.param(mint(), CORP_INSIDE, None, "10.1.2.3", None, id="issuer"),
        pytest.param(mint(), CORP_INSIDE, None, "11.1.2.3", "issuer corp", id="issuer, outside"),
        pytest.param(mint(), CORP_INSIDE, None, "", "issuer corp", id="issuer, no address"),
        pytest.param(JACKS, consumers(addresses=INSIDE), None, "10.1.2.3", None, id="consumers"),
        pytest.param(
            *(JACKS, consumers(addresses=INSIDE), None, "11.1.2.3", "consumer jack"),
            id="consumers, outside",
        ),
        pytest.param(JACKS, consumers(JACK_INSIDE), None, "10.1.2.3", None, id="one consumer"),
        pytest.param(
            *(JACKS, consumers(JACK_INSIDE), None, "11.1.2.3", "consumer jack"),
            id="one consumer, outside",
        ),
        pytest.param(mint(), issuer(), INSIDE, "10.1.2.3", None, id="request"),
        pytest.param(mint(), issuer(), INSIDE, "11.1.2.3", "the rule for", id="request, outside"),
        pytest.param(mint(), issuer(), INSIDE, "", "the rule for", id="request, no address"),
        pytest.param(
            *(mint(), CORP_INSIDE, addresses(allow="0.0.0.0/0"), "11.1.2.3", "issuer corp"),
            id="a request widens nothing",
        ),
        pytest.param(
            *(mint(), CORP_INSIDE, addresses(deny="10.6.6.6"), "10.6.6.6", "the rule for"),
            id="both, the request denies",
        ),
    ],
)
def test_every_list_must_allow_the_clients_address(
    token: str, party: Any, request_addresses: AddressRules | None, address: str, whose: str | None
) -> None:
    verdict = judge(token, party, addresses=request_addresses, client_address=address)
    if whose is None:
        assert_passes(verdict)
    else:
        assert_refused(verdict, Reason.ADDRESS_DENIED, f"(addresses of {whose}")


def test_who_gives_no_address_is_told_how_to() -> None:
    verdict = judge(mint(), CORP_INSIDE)
    words = ("client_address", "authorization.client_address")
    assert_refused(verdict, Reason.ADDRESS_DENIED, "not known", *words)


def test_a_stranger_learns_nothing_of_the_addresses() -> None:
    """Neither in a refusal, nor in an explanation, which skips the check."""
    refusal = assert_refused(judge(mint(STRANGER), CORP_INSIDE), Reason.SIGNATURE_INVALID)
    assert "address" not in refusal.message
    said = explained(mint(STRANGER), CORP_INSIDE, client_address="10.1.2.3")
    assert detail(said, "address") == (Outcome.SKIPPED, "its signature was not verified")


@pytest.mark.parametrize(
    ("party", "request_addresses", "address", "said"),
    [
        (
            *(issuer(), None, ""),
            "no client address was given; issuer corp has no addresses that it allows or denies",
        ),
        (
            *(CORP_INSIDE, None, "10.1.2.3"),
            'the client\'s address is "10.1.2.3"; allowed by addresses of issuer corp',
        ),
        (
            *(CORP_INSIDE, INSIDE, "10.1.2.3"),
            'the client\'s address is "10.1.2.3"; allowed by addresses of issuer corp and of the '
            "rule for this request",
        ),
    ],
)
def test_an_explanation_has_the_address_and_whose_lists_were_asked(
    party: Any, request_addresses: AddressRules | None, address: str, said: str
) -> None:
    found = explained(mint(), party, addresses=request_addresses, client_address=address)
    assert detail(found, "address") == (Outcome.PASSED, said)
