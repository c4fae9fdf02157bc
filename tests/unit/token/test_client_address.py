"""Addresses of an issuer or of a consumer: they must allow the client's."""

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
CORP_BUT_ONE = issuer(addresses=addresses(deny="10.6.6.6"))
JACKS = mint(JACK, iss=ABSENT, key=JACK_KEY)
JACK_INSIDE = replace(
    consumer("jack", JACK), rules=rules(audiences=None, addresses=addresses(allow="10.0.0.0/8"))
)


@pytest.mark.parametrize(
    ("token", "party", "address", "whose"),
    [
        pytest.param(mint(), issuer(), "", None, id="no rules, no address"),
        pytest.param(mint(), issuer(), "203.0.113.1", None, id="no rules"),
        pytest.param(mint(), CORP_INSIDE, "10.1.2.3", None, id="issuer"),
        pytest.param(mint(), CORP_INSIDE, "11.1.2.3", "issuer corp", id="issuer, outside"),
        pytest.param(mint(), CORP_INSIDE, "", "issuer corp", id="issuer, no address"),
        pytest.param(mint(), CORP_BUT_ONE, "10.1.2.3", None, id="issuer, not denied"),
        pytest.param(mint(), CORP_BUT_ONE, "10.6.6.6", "issuer corp", id="issuer, denied"),
        pytest.param(JACKS, consumers(addresses=INSIDE), "10.1.2.3", None, id="consumers"),
        pytest.param(
            *(JACKS, consumers(addresses=INSIDE), "11.1.2.3", "consumer jack"),
            id="consumers, outside",
        ),
        pytest.param(JACKS, consumers(JACK_INSIDE), "10.1.2.3", None, id="one consumer"),
        pytest.param(
            *(JACKS, consumers(JACK_INSIDE), "11.1.2.3", "consumer jack"),
            id="one consumer, outside",
        ),
    ],
)
def test_the_list_must_allow_the_clients_address(
    token: str, party: Any, address: str, whose: str | None
) -> None:
    verdict = judge(token, party, client_address=address)
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
    ("party", "address", "said"),
    [
        (
            *(issuer(), ""),
            "no client address was given; issuer corp has no addresses that it allows or denies",
        ),
        (
            *(CORP_INSIDE, "10.1.2.3"),
            'the client\'s address is "10.1.2.3"; allowed by addresses of issuer corp',
        ),
    ],
)
def test_an_explanation_has_the_address_and_whose_list_was_asked(
    party: Any, address: str, said: str
) -> None:
    found = explained(mint(), party, client_address=address)
    assert detail(found, "address") == (Outcome.PASSED, said)
