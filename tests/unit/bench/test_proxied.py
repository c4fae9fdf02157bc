"""What stands beside the sidecar behind Envoy."""

import json
from pathlib import Path

from bench import proxy
from bench.figures import TRANSPORTS, Spread
from bench.proxied import Cost, section

NAMES = ("ext_authz, always yes", "ext_authz, the sidecar")


def test_the_sidecar_is_compared_by_what_envoy_and_the_server_cost_together() -> None:
    ways = {
        "no filter": [Cost(50.0, 0.0), Cost(100.0, 0.0)],
        "jwt_authn": [Cost(100.0, 0.0), Cost(200.0, 0.0)],
        "jwt_authn, token cache": [Cost(60.0, 0.0), Cost(110.0, 0.0)],
        **{f"{NAMES[0]}, {one}": [Cost(60.0, 40.0)] * 2 for one in TRANSPORTS},
        **{f"{NAMES[1]}, {one}": [Cost(60.0, 90.0), Cost(60.0, 140.0)] for one in TRANSPORTS},
    }
    found = section(ways)
    assert found.ratios[f"{NAMES[1]}, native / {NAMES[0]}, native"] == Spread((1.5, 2.0))
    assert found.ratios[f"{NAMES[1]}, native / jwt_authn"] == Spread((1.5, 1.0))
    assert len(found.ratios) == 8
    assert (
        "| no filter | 75.0 (50.0..100) |  | 75.0 (50.0..100) | 1.00 (1.00..1.00) |" in found.text
    )


def test_a_cache_is_all_that_tells_the_two_of_envoys_own_filter_apart() -> None:
    plain, cached = (proxy.jwt_authn({"keys": []}, remembers=one) for one in (False, True))
    provider = cached["typed_config"]["providers"]["issuer"]
    assert provider.pop("jwt_cache_config") == {"jwt_cache_size": 100}
    assert plain == cached


def test_each_way_has_a_listener_and_each_server_a_cluster(tmp_path: Path) -> None:
    path, up, asked = tmp_path / "envoy.json", tmp_path / "up", tmp_path / "asked"
    listens_on = {tmp_path / "1": [], tmp_path / "2": [proxy.ext_authz("asked")]}
    proxy.write_proxy(path, listens_on, {"asked": asked}, up)
    resources = json.loads(path.read_text())["static_resources"]
    sockets = [one["address"]["pipe"]["path"] for one in resources["listeners"]]
    assert sockets == [str(one) for one in listens_on]
    assert [one["name"] for one in resources["clusters"]] == ["upstream", "asked"]
