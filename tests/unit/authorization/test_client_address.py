from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.authorization.client import client_address
from sidecar.authorization.http_request import HttpRequest

PEER = "192.0.2.1"


def asked(*forwarded_for: str) -> HttpRequest:
    """A request of a peer with these headers X-Forwarded-For."""
    headers = {"x-forwarded-for": forwarded_for} if forwarded_for else {}
    return HttpRequest("GET", "h", "/", headers, source_address=PEER)


@pytest.mark.parametrize(
    ("forwarded_for", "hops", "address"),
    [
        pytest.param((), 0, PEER, id="the peer"),
        pytest.param(("10.0.0.1",), 0, PEER, id="no header counts"),
        pytest.param(("10.0.0.1",), 1, "10.0.0.1", id="one proxy has added one"),
        pytest.param(("6.6.6.6, 10.0.0.1",), 1, "10.0.0.1", id="the client has sent one before"),
        pytest.param(("6.6.6.6, 10.0.0.1, 10.9.9.9",), 2, "10.0.0.1", id="two proxies"),
        pytest.param(("6.6.6.6", "10.0.0.1", "10.9.9.9"), 2, "10.0.0.1", id="in several headers"),
        pytest.param(("rubbish, 10.0.0.1",), 1, "10.0.0.1", id="rubbish of the client's"),
        pytest.param(("10.0.0.1:4711",), 1, "10.0.0.1", id="with a port"),
        pytest.param(("[2001:db8::1]:4711",), 1, "2001:db8::1", id="IPv6 with a port"),
        pytest.param(("[2001:db8::1]",), 1, "2001:db8::1", id="IPv6 in brackets"),
        pytest.param(("2001:db8::1",), 1, "2001:db8::1", id="IPv6"),
        pytest.param(("\t10.0.0.1 ",), 1, "10.0.0.1", id="white space"),
        pytest.param((), 1, "", id="no header"),
        pytest.param(("10.0.0.1",), 2, "", id="fewer than proxies"),
        pytest.param(("10.0.0.1, rubbish",), 2, "", id="rubbish of a trusted proxy"),
        pytest.param(("10.0.0.1, ",), 1, "", id="an empty entry"),
        pytest.param(("[10.0.0.1]",), 1, "", id="IPv4 in brackets"),
        pytest.param(("unknown",), 1, "", id="a word"),
        pytest.param(("10.0.0.1:",), 1, "", id="a port that is none"),
    ],
)
def test_whose_address_counts(forwarded_for: tuple[str, ...], hops: int, address: str) -> None:
    assert client_address(asked(*forwarded_for), hops) == address


@given(st.lists(st.text(max_size=20), max_size=4), st.integers(0, 5))
def test_whatever_is_sent_gives_an_address_or_none(headers: list[str], hops: int) -> None:
    found = client_address(asked(*headers), hops)
    assert found == "" or ip_address(found) is not None


@given(
    st.lists(st.text(max_size=20), max_size=4), st.lists(st.ip_addresses(), min_size=1, max_size=3)
)
def test_what_a_client_sends_changes_nothing(said: list[str], added: list[object]) -> None:
    """Each of the trusted proxies has added an entry behind what came."""
    trusted = [str(one) for one in added]
    assert client_address(asked(*said, ", ".join(trusted)), len(trusted)) == trusted[0]
