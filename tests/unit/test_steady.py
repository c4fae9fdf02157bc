"""The clock by which what refuses is forgotten never runs ahead of the time that has passed."""

from dataclasses import dataclass, field
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.steady import MAX_GAP, UNKNOWN, ClockState, SteadyClock

HOLD: Final = 600.0
STEP: Final = 30.0
START: Final = 1_800_000_000.0
DAY: Final = 86400.0
ROUNDING: Final = 1e-5


@dataclass
class Machine:
    """A machine whose wall clock is wrong by `ahead`; it has been up for so many seconds."""

    true: float = START
    up: float = 5000.0
    ahead: float = 0.0
    clock: SteadyClock = field(init=False)

    def __post_init__(self) -> None:
        self.start(None)

    def start(self, state: ClockState | None) -> None:
        self.clock = SteadyClock(lambda: self.true + self.ahead, lambda: self.up, HOLD, state)

    def run(self, seconds: float) -> None:
        """Let time pass, and the clock be looked at."""
        while seconds > 0:
            step = min(seconds, STEP)
            self.true += step
            self.up += step
            seconds -= step
            self.clock()

    def restart(self, downtime: float) -> None:
        self.true += downtime
        self.up = 10.0
        self.start(self.clock.state)

    @property
    def late(self) -> float:
        """Seconds that the clock is behind the true time."""
        return self.true - self.clock()


def test_it_is_the_wall_clock_while_that_is_right() -> None:
    machine = Machine()
    machine.run(10 * HOLD)
    assert machine.late == 0.0


@pytest.mark.parametrize("ahead", [1.0, 3600.0, 2 * DAY])
def test_a_clock_that_is_ahead_for_a_while_is_not_believed(ahead: float) -> None:
    machine = Machine()
    machine.run(50.0)
    machine.ahead = ahead
    machine.run(HOLD - STEP)
    assert machine.late == 0.0
    machine.ahead = 0.0
    machine.run(10 * HOLD)
    assert machine.late == 0.0


def test_nor_is_it_however_often_it_comes_back() -> None:
    machine = Machine()
    for _ in range(100):
        machine.ahead = 2 * DAY
        machine.run(HOLD - STEP)
        machine.ahead = 0.0
        machine.run(STEP)
        assert machine.late == 0.0


def test_nor_is_it_over_restarts() -> None:
    machine = Machine()
    machine.run(50.0)
    machine.ahead = 2 * DAY
    for _ in range(4):
        machine.run(HOLD / 5)
        machine.restart(0.0)
    machine.run(HOLD / 5 - STEP)
    machine.ahead = 0.0
    assert machine.late == 0.0


def test_a_process_that_starts_while_it_is_ahead_goes_on_from_before() -> None:
    machine = Machine()
    machine.run(50.0)
    machine.ahead = 2 * DAY
    machine.restart(100.0)
    assert machine.late == 100.0


def test_a_store_of_unknown_age_forgets_nothing_for_a_period() -> None:
    machine = Machine()
    machine.start(UNKNOWN)
    machine.run(HOLD - STEP)
    assert machine.clock() < HOLD
    machine.run(STEP)
    assert machine.late == 0.0


@pytest.mark.parametrize("downtime", [60.0, 30 * DAY])
def test_after_downtime_it_catches_up(downtime: float) -> None:
    machine = Machine()
    machine.run(50.0)
    machine.restart(downtime)
    assert machine.late == downtime
    machine.run(2 * HOLD)
    assert machine.late == 0.0


def test_so_it_does_where_the_machine_never_runs_for_a_whole_period() -> None:
    machine = Machine()
    for _ in range(30):
        machine.run(HOLD / 2)
        machine.restart(HOLD / 4)
    assert machine.late <= HOLD


def test_a_suspended_machine_is_one_that_was_down() -> None:
    machine = Machine()
    machine.run(50.0)
    machine.true += DAY
    assert machine.late == DAY
    machine.run(2 * HOLD)
    assert machine.late == 0.0


@pytest.mark.parametrize("back", [5.0, 2 * DAY])
def test_a_clock_that_is_set_back_is_followed_at_once(back: float) -> None:
    """What expires by a clock that is behind is needed for longer."""
    machine = Machine()
    machine.run(50.0)
    before = machine.clock()
    machine.ahead = -back
    assert machine.late == back
    assert machine.clock.latest == before
    machine.ahead = 0.0
    machine.run(2 * HOLD)
    assert machine.late == 0.0


def test_one_that_was_ahead_at_the_first_start_is_corrected_at_once() -> None:
    machine = Machine(ahead=DAY)
    machine.run(50.0)
    machine.ahead = 0.0
    assert machine.late == 0.0


def test_two_looks_that_are_far_apart_are_no_period() -> None:
    """Nobody has seen the clock in between."""
    machine = Machine()
    for _ in range(int(HOLD / MAX_GAP) - 1):
        machine.true += HOLD
        machine.up += HOLD
        machine.ahead = DAY
        assert machine.late == 0.0


STEPS: Final = st.lists(
    st.tuples(
        st.floats(-3 * DAY, 3 * DAY),  # how wrong the clock is
        st.floats(0.0, HOLD - 2 * STEP),  # for how long
        st.floats(0.0, HOLD),  # how long it is right after that
        st.booleans(),  # whether the process restarts then
        st.floats(0.0, DAY),  # after being down for so long
    ),
    max_size=20,
)


@given(STEPS)
def test_it_is_never_ahead_if_the_clock_is_right_once_a_period(
    steps: list[tuple[float, float, float, bool, float]],
) -> None:
    machine = Machine()
    for ahead, wrong, right, restarts, downtime in steps:
        machine.ahead = ahead
        machine.run(wrong)
        assert machine.clock() <= machine.true + ROUNDING
        machine.ahead = 0.0
        machine.run(STEP + right)
        assert machine.clock() <= machine.true + ROUNDING
        if restarts:
            machine.restart(downtime)
    machine.run(2 * HOLD)
    assert machine.late == pytest.approx(0.0, abs=ROUNDING)
