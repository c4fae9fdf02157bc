"""Settings `addresses`, of issuers and consumers alike."""

import json
from typing import Any

import pytest

from sidecar.config.snapshot import build
from sidecar.token.snapshot import Snapshot
from tests.unit.config.folder import Folder, configuration, consumer, issuer


def snapshot(folder: Folder, **sections: Any) -> Snapshot:
    return build(folder.load(configuration(**sections)).settings, {})


@pytest.mark.parametrize(
    ("addresses", "messages"),
    [
        pytest.param({"allow": ["10.0.0.0/8"]}, [], id="a network"),
        pytest.param({"deny": ["10.6.6.6", "::1", "2001:db8::/32"]}, [], id="addresses"),
        pytest.param({"allow": ["10.0.0.0/8"], "deny": ["10.6.6.6"]}, [], id="both"),
        pytest.param({"allow": ["10.0.0.0/8", "10.1.0.0/16"]}, [], id="one in another"),
        pytest.param({"allow": ["10.0.0.0/8", "10.0.0.0/8"]}, [], id="one twice"),
        pytest.param(
            {}, [": has no addresses: add some to allow or to deny, or remove it"], id="neither"
        ),
        pytest.param(
            {"allow": []}, [".allow: must have at least one entry; it is empty"], id="an empty list"
        ),
        pytest.param(
            {"deny": ["10.0.0.1/8"]},
            [
                ".deny[0]: must have no bits set behind the first 8: write 10.0.0.0/8 for the "
                'network, or 10.0.0.1 for the one address; it is the text "10.0.0.1/8"'
            ],
            id="a host's address with a length",
        ),
        pytest.param(
            {"allow": ["10.0.0.0/8", "localhost"]},
            [
                ".allow[1]: must be an IP address or a network in CIDR notation, such as "
                '10.0.0.0/8 or 2001:db8::/32; it is the text "localhost"'
            ],
            id="a name",
        ),
        pytest.param(
            {"allow": [10.1]},
            [".allow[0]: must be text that is not empty; it is the number 10.1"],
            id="a number",
        ),
        pytest.param(
            {"allow": "10.0.0.0/8"},
            [".allow: must be a list; it is text"],
            id="no list",
        ),
        pytest.param(
            {"allowed": ["::1"]},
            ['.allowed: unknown key; did you mean "allow"?'],
            id="another key",
        ),
    ],
)
@pytest.mark.parametrize("place", ["issuers[0]", "consumers", "consumers.list[0]"])
def test_what_addresses_may_be(
    folder: Folder, place: str, addresses: dict[str, Any], messages: list[str]
) -> None:
    given: dict[str, Any] = {"addresses": addresses}
    consumers = {"list": [consumer(**(given if place.endswith("list[0]") else {}))]}
    found = folder.problems(
        configuration(
            issuers=[issuer(**(given if place.startswith("issuers") else {}))],
            consumers={**consumers, **(given if place == "consumers" else {})},
        )
    )
    assert found == [f"jwt-sidecar.yaml:1: {place}.addresses{one}" for one in messages]


def test_addresses_become_rules(folder: Folder) -> None:
    given = {"allow": ["10.0.0.0/8"], "deny": ["10.6.6.6"]}
    rules = snapshot(folder, issuers=[issuer(addresses=given)]).issuers["corp"].rules.addresses
    assert rules is not None
    assert [rules.problem(one) is None for one in ("10.1.2.3", "10.6.6.6", "11.0.0.1")] == [
        *(True, False, False)
    ]


def test_without_them_there_are_no_rules(folder: Folder) -> None:
    found = snapshot(folder, consumers={"list": [consumer()]})
    assert found.issuers["corp"].rules.addresses is None
    assert found.consumers is not None
    assert found.consumers.rules.addresses is None


def test_a_consumers_own_addresses_stand_in_place_of_all_consumers(folder: Folder) -> None:
    own = consumer(name="jill", key="jill", addresses={"allow": ["192.0.2.1"]})
    shared = {"list": [consumer(), own], "addresses": {"allow": ["10.0.0.0/8"]}}
    found = snapshot(folder, issuers=None, consumers=shared).consumers
    assert found is not None
    assert found.rules.addresses is not None
    assert found.rules.addresses.problem("10.1.2.3") is None
    jill = found.by_name["jill"].rules
    assert jill is not None
    assert jill.addresses is not None
    assert jill.addresses.problem("192.0.2.1") is None
    assert jill.addresses.problem("10.1.2.3") is not None


def test_yaml_takes_ipv6_without_quotes_but_for_a_colon_in_front(folder: Folder) -> None:
    text = json.dumps(configuration()).replace(
        '"audiences"', '"addresses": {"allow": [2001:db8::/32, "::1", 10.0.0.0/8]}, "audiences"'
    )
    assert folder.problems(text) == []
