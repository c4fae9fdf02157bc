"""When keys are fetched, over the whole range of what may be thrown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.keys.schedule import Schedule

RANDOM = st.floats(0, 1)
LIFETIMES = st.none() | st.floats(0, 2**31)
SECONDS = st.floats(1, 86400)


def schedule(refresh: float = 600.0, unknown_key_interval: float = 10.0) -> Schedule:
    return Schedule(refresh, unknown_key_interval, 86400.0)


@pytest.mark.parametrize(
    ("refresh", "lifetime", "earliest", "latest"),
    [
        pytest.param(600, None, 540, 660, id="nothing said: as set"),
        pytest.param(600, 86400, 540, 660, id="more than is set: as set"),
        pytest.param(600, 300, 240, 300, id="less than is set: before it ends"),
        pytest.param(600, 60, 60, 75, id="less than a tenth: about a tenth"),
        pytest.param(600, 0, 60, 75, id="none at all: about a tenth"),
        pytest.param(30, 0, 10, 12.5, id="a tenth is never less than ten seconds"),
        pytest.param(5, 0, 4.5, 5.5, id="but what is set may be"),
    ],
)
def test_intervals(refresh: float, lifetime: float | None, earliest: float, latest: float) -> None:
    between = [schedule(refresh).interval(lifetime, random) for random in (0.0, 1.0)]
    assert between == pytest.approx([earliest, latest])


@given(SECONDS, LIFETIMES, RANDOM)
def test_a_refresh_is_within_its_bounds_whatever_a_provider_says(
    refresh: float, lifetime: float | None, random: float
) -> None:
    made = schedule(refresh)
    interval = made.interval(lifetime, random)
    assert 0.9 * made.shortest <= interval <= 1.1 * refresh
    assert interval >= made.shortest or refresh <= 10 / 0.9


@given(SECONDS, LIFETIMES, RANDOM)
def test_the_first_interval_is_anywhere_within_one(
    refresh: float, lifetime: float | None, random: float
) -> None:
    made = schedule(refresh)
    first = made.first_interval(lifetime, random)
    middle = made.interval(lifetime, 0.5)
    assert 0.1 * middle * 0.999 <= first <= middle * 1.001


def test_the_first_interval_is_spread_over_all_of_it() -> None:
    between = [schedule().first_interval(None, random) for random in (0.0, 1.0)]
    assert between == pytest.approx([60, 600])


@pytest.mark.parametrize(
    ("failures", "least", "most"),
    [
        pytest.param(1, 0.5, 1.5, id="the first"),
        pytest.param(2, 1, 3, id="the second"),
        pytest.param(6, 16, 48, id="the sixth"),
        pytest.param(7, 30, 90, id="the seventh, as long as it gets"),
        pytest.param(10**6, 30, 90, id="any later one"),
    ],
)
def test_retries(failures: int, least: float, most: float) -> None:
    between = [schedule().retry(failures, random) for random in (0.0, 1.0)]
    assert between == pytest.approx([least, most])


def test_a_retry_is_never_later_than_a_refresh() -> None:
    assert schedule(refresh=5).retry(20, 1.0) == 5


def test_a_pause_for_unknown_keys_is_spread_over_a_tenth_more() -> None:
    between = [schedule().unknown_key_pause(random) for random in (0.0, 1.0)]
    assert between == pytest.approx([10, 11])


@given(st.floats(0, 86400), RANDOM)
def test_an_unknown_key_waits_no_less_than_its_interval_and_little_more(
    interval: float, random: float
) -> None:
    pause = schedule(unknown_key_interval=interval).unknown_key_pause(random)
    assert interval <= pause <= interval * 1.1001
