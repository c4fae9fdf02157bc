"""A small fleet lives through a short day: the simulation holds, and the product is polite."""

import math

import pytest

from bench.chart import chart
from bench.fleet import HOUR, SCHEDULE, Day, Load, naive, simulate, table
from sidecar.config.issuers import IssuerKeys
from sidecar.config.units import parse_duration

SIDECARS = 50
DAY = Day(
    length=4 * HOUR,
    announced=HOUR,
    sudden=1.75 * HOUR,
    outage=(2 * HOUR, 2.5 * HOUR),
    flood=(3.5 * HOUR, 3.5 * HOUR + 300),
)


@pytest.fixture(scope="module")
def load() -> Load:
    return simulate(SIDECARS, DAY, seed=1)


def requests(load: Load, began: float, ended: float) -> list[int]:
    return list(load.product[int(began) : int(ended)])


def test_the_same_seed_gives_the_same_day(load: Load) -> None:
    assert simulate(SIDECARS, DAY, seed=1) == load
    assert simulate(SIDECARS, DAY, seed=2).product != load.product


def test_every_sidecar_has_the_newest_key_at_the_end(load: Load) -> None:
    assert load.wrong == 0


def test_sidecars_that_started_together_do_not_meet_again(load: Load) -> None:
    assert requests(load, 0, 1) == [SIDECARS]
    assert max(requests(load, 1, HOUR)) <= 5


def test_an_hour_has_as_many_refreshes_as_are_set(load: Load) -> None:
    usual = SIDECARS * HOUR / 600
    assert sum(requests(load, 1, HOUR)) == pytest.approx(usual, rel=0.25)


def test_an_announced_rotation_is_not_seen_in_the_requests(load: Load) -> None:
    assert max(requests(load, DAY.announced, DAY.announced + HOUR / 2)) <= 5


def test_a_sudden_rotation_costs_each_sidecar_one_request(load: Load) -> None:
    assert sum(requests(load, DAY.sudden, DAY.sudden + 60)) <= SIDECARS * 1.3


def test_an_outage_costs_each_sidecar_about_a_request_a_minute(load: Load) -> None:
    began, ended = DAY.outage
    assert sum(requests(load, began, ended)) <= SIDECARS * 40


def test_after_an_outage_they_do_not_meet_again_either(load: Load) -> None:
    back = DAY.outage[1] + 90
    assert max(requests(load, back, back + HOUR / 2)) <= 5


def test_a_flood_costs_each_sidecar_one_request_in_an_interval(load: Load) -> None:
    began, ended = DAY.flood
    most = SIDECARS * (1 + (ended - began) / 10) + SIDECARS
    assert sum(requests(load, began, ended)) <= most


def test_a_naive_cache_meets_at_every_interval() -> None:
    day = naive(SIDECARS, DAY)
    assert [day[second] for second in (0, 1, 600, 1200)] == [SIDECARS, 0, SIDECARS, SIDECARS]


def test_the_table_and_the_chart_have_every_part_of_the_day(load: Load) -> None:
    text = table(load, DAY)
    drawn = chart("a < b", load.product, load.naive, DAY.phases())
    assert all(f"| {phase.name} |" in text for phase in DAY.phases())
    assert "a &lt; b" in drawn
    assert str(math.nan) not in drawn


@pytest.mark.parametrize("name", ["refresh", "unknown_key_interval", "max_stale"])
def test_the_fleet_has_the_default_settings(name: str) -> None:
    default = IssuerKeys.model_fields[name].default
    assert getattr(SCHEDULE, name) == parse_duration(default)
