"""The benchmark's own client and servers, for a moment: a figure is only as good as they are."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from envoy.service.auth.v3 import external_auth_pb2

from bench import servers, work
from bench.latency import closed, paced
from bench.load import Connection
from bench.servers import Server
from bench.yes import answer
from tests.running import TRANSPORTS

TOKEN = "any"  # nobody looks at it


@pytest.fixture(scope="module", params=TRANSPORTS)
def yes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Connection]]:
    path: Path = tmp_path_factory.mktemp("bench") / "yes"
    with servers.yes(path, request.param) as server, Connection(str(path), work.CHECK) as calls:
        yield server, calls


def test_every_call_is_answered_and_costs_the_server_time(yes: tuple[Server, Connection]) -> None:
    server, calls = yes
    before = server.cpu_seconds()
    answers = calls.call([work.check_request(TOKEN)] * 200, in_flight=16)
    assert len(answers) == 200
    assert all(map(work.is_admitted, answers))
    assert server.cpu_seconds() > before
    assert 10 < server.resident() < 1000


def test_every_call_takes_its_time(yes: tuple[Server, Connection]) -> None:
    seconds, answers = closed(yes[1], [work.check_request(TOKEN)] * 50, in_flight=4)
    assert len(seconds) == len(answers) == 50
    assert min(seconds) > 0
    assert all(map(work.is_admitted, answers))


def test_calls_go_out_at_their_rate_and_no_longer_than_wanted(
    yes: tuple[Server, Connection],
) -> None:
    request, most = work.check_request(TOKEN), 0.2 * 100 + 1
    seconds = paced(yes[1], lambda _: request, 100.0, lambda since: since < 0.2, work.is_admitted)
    assert 1 <= len(seconds) <= most


def test_a_wrong_answer_is_no_figure(yes: tuple[Server, Connection]) -> None:
    request = work.check_request(TOKEN)
    with pytest.raises(RuntimeError, match="wrong"):
        paced(yes[1], lambda _: request, 100.0, lambda since: since < 0.2, lambda _: False)


def test_always_yes_is_said_as_the_sidecar_says_it(tmp_path: Path) -> None:
    """Then Envoy has as much to do with it."""
    tokens = work.Tokens()
    configuration = work.configure(tmp_path / "native", "native", tokens)
    path = str(tmp_path / "native" / "socket")
    with servers.sidecar(configuration), Connection(path, work.CHECK) as calls:
        said = calls.call([work.check_request(tokens.new("RS256"))], in_flight=1)[0]
    assert len(answer()) == pytest.approx(len(said), rel=0.05)
    yes, real = map(external_auth_pb2.CheckResponse.FromString, (answer(), said))
    assert set(yes.dynamic_metadata.fields) == set(real.dynamic_metadata.fields)
    assert yes.ok_response.headers_to_remove == real.ok_response.headers_to_remove
    assert list(yes.ok_response.headers) == list(real.ok_response.headers)
