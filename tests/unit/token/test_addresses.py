"""Sets of IP networks: what is in them, and how one is written."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.token.addresses import AddressRules, Networks, address_number, network_range


def networks(*texts: str) -> Networks:
    return Networks.of(network_range(text) for text in texts)


def rules(allow: tuple[str, ...] | None = None, deny: tuple[str, ...] = ()) -> AddressRules:
    return AddressRules(None if allow is None else networks(*allow), networks(*deny))


@pytest.mark.parametrize(
    ("network", "inside", "outside"),
    [
        ("10.0.0.0/8", "10.0.0.0 10.255.255.255", "9.255.255.255 11.0.0.0 ::a00:0"),
        ("192.0.2.7", "192.0.2.7", "192.0.2.6 192.0.2.8"),
        ("192.0.2.7/32", "192.0.2.7", "192.0.2.6 192.0.2.8"),
        ("192.0.2.6/31", "192.0.2.6 192.0.2.7", "192.0.2.5 192.0.2.8"),
        ("0.0.0.0/0", "0.0.0.0 255.255.255.255 ::ffff:1.2.3.4", ":: ::1 ffff::"),
        ("::/0", ":: ::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "0.0.0.0 ::ffff:1.2.3.4"),
        ("2001:db8::/32", "2001:db8:: 2001:DB8:ffff::1", "2001:db7:ffff:: 2001:db9::"),
        ("::1", "::1 0:0:0:0:0:0:0:1", "::2 127.0.0.1"),
        ("10.0.0.0/8", "::ffff:10.1.2.3 ::FFFF:0a01:0203", "::10.1.2.3 64:ff9b::10.1.2.3"),
        ("::ffff:10.0.0.0/104", "10.1.2.3 ::ffff:10.1.2.3", "11.0.0.0"),
        ("::ffff:10.1.2.3", "10.1.2.3", "10.1.2.4"),
        ("::ffff:0:0/96", "0.0.0.0 255.255.255.255", "::"),
        ("fe80::/10", "fe80::1 fe80::1%eth0", "fec0::1"),
    ],
)
def test_a_network_has_its_addresses_and_no_others(network: str, inside: str, outside: str) -> None:
    found = networks(network)
    assert all(address_number(one) in found for one in inside.split())
    assert not any(address_number(one) in found for one in outside.split())


@pytest.mark.parametrize(
    "text",
    [
        *("", "localhost", "10.0.0", "10.0.0.256", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/"),
        *("010.0.0.1", "10.0.0.0/08", "10.0.0.0/255.0.0.0", "10.0.0.0/0.255.255.255"),
        *("10.0.0.0/8/8", "10.0.0.*", "10.0.0.1-10.0.0.9", "::1::", "::/129", "[::1]", "::1:80:g"),
        *("fe80::1%eth0", "fe80::%eth0/64", " 10.0.0.1", "10.0.0.1 ", "10.0.0.1\n", "१0.0.0.0/8"),
        *("10.0.0.0/٨", "10.0.0.0/²", "167772160"),
    ],
)
def test_what_is_no_network_is_told(text: str) -> None:
    with pytest.raises(ValueError, match="must be an IP address or a network in CIDR notation"):
        network_range(text)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("10.0.0.1/8", "behind the first 8: write 10.0.0.0/8 for the network, or 10.0.0.1 for"),
        ("10.0.0.1/31", "write 10.0.0.0/31"),
        ("2001:db8::1/32", "write 2001:db8::/32"),
    ],
)
def test_a_network_that_is_written_with_a_hosts_address_is_told(text: str, remedy: str) -> None:
    with pytest.raises(ValueError, match="must have no bits set") as caught:
        network_range(text)
    assert remedy in str(caught.value)


@pytest.mark.parametrize("text", ["", "x", "10.0.0.1:80", "[::1]", "10.0.0.01", "10.0.0.0/8"])
def test_what_is_no_address_has_no_number(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the library's own words
        address_number(text)


def test_networks_that_overlap_or_touch_are_one() -> None:
    assert len(networks("10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "10.0.0.0/8").bounds) == 2
    assert networks("10.0.0.0/8", "10.0.0.0/8") == networks("10.0.0.0/8")


def test_thousands_of_networks_stay_apart() -> None:
    many = networks(*(f"10.{high}.{low}.0/25" for high in range(40) for low in range(250)))
    assert len(many.bounds) == 20_000
    assert address_number("10.39.249.127") in many
    assert address_number("10.39.249.128") not in many
    assert address_number("10.0.0.0") in many
    assert address_number("9.255.255.255") not in many


_PREFIXES = st.one_of(
    st.builds(
        lambda number, length: ipaddress.ip_network((number, length), strict=False),
        st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address),
        st.integers(0, 32),
    ),
    st.builds(
        lambda number, length: ipaddress.ip_network((number, length), strict=False),
        st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address),
        st.integers(0, 128),
    ),
)
_NEAR = st.sampled_from([-1, 0, 1])


@given(st.lists(_PREFIXES, max_size=8), st.data())
def test_a_set_has_what_one_of_its_networks_has(
    these: list[ipaddress.IPv4Network], data: st.DataObject
) -> None:
    """Compared with `ipaddress`, at and beside the ends of a network, where mistakes are made."""
    found = networks(*(str(one) for one in these))
    whose = data.draw(_PREFIXES if not these else st.sampled_from(these))
    end = data.draw(st.sampled_from([whose.network_address, whose.broadcast_address]))
    try:
        address = end + data.draw(_NEAR)
    except ipaddress.AddressValueError:
        address = end
    mapped = getattr(address, "ipv4_mapped", None) or address
    expected = any(mapped in one for one in these)
    assert (address_number(str(address)) in found) is expected


@pytest.mark.parametrize(
    ("judge", "address", "problem"),
    [
        pytest.param(rules(allow=("10.0.0.0/8",)), "10.1.2.3", None, id="allowed"),
        pytest.param(rules(allow=("10.0.0.0/8",)), "::ffff:10.1.2.3", None, id="allowed, mapped"),
        pytest.param(
            rules(allow=("10.0.0.0/8",)), "11.1.2.3", "not among those allowed", id="not allowed"
        ),
        pytest.param(rules(deny=("10.6.6.6",)), "10.6.6.7", None, id="not denied"),
        pytest.param(rules(deny=("10.6.6.6",)), "10.6.6.6", "is denied", id="denied"),
        pytest.param(rules(deny=("10.6.6.6",)), "::ffff:a06:606", "is denied", id="denied, mapped"),
        pytest.param(rules(deny=("fe80::/10",)), "fe80::1%1", "is denied", id="denied, a zone"),
        pytest.param(
            rules(("10.0.0.0/8",), ("10.6.0.0/16",)), "10.6.6.6", "is denied", id="both: deny wins"
        ),
        pytest.param(
            rules(("10.6.6.6",), ("10.0.0.0/8",)), "10.6.6.6", "is denied", id="also a wider deny"
        ),
        pytest.param(rules(("10.0.0.0/8",), ("10.6.0.0/16",)), "10.7.0.1", None, id="allow alone"),
        pytest.param(rules(allow=()), "10.1.2.3", "not among", id="nothing is allowed"),
        pytest.param(rules(allow=("0.0.0.0/0",)), "", "not known", id="none, any allowed"),
        pytest.param(rules(deny=("10.6.6.6",)), "", "not known", id="none, one denied"),
        pytest.param(rules(deny=("10.6.6.6",)), "x", "is none", id="rubbish"),
        pytest.param(rules(deny=("10.6.6.6",)), "10.0.0.1:80", "is none", id="with a port"),
        pytest.param(rules(deny=("::1",)), "::1%\r\nx: y", '"::1%\\r\\nx: y"', id="a hostile zone"),
    ],
)
def test_deny_wins_and_an_address_that_is_not_known_may_not_come(
    judge: AddressRules, address: str, problem: str | None
) -> None:
    found = judge.problem(address)
    if problem is None:
        assert found is None
    else:
        assert found is not None
        assert problem in found
