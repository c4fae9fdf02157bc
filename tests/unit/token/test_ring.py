"""Which key of a ring signs, which are published, and when the next one is made."""

import math
from dataclasses import replace
from itertools import count, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.token.ring import (
    CLOCK_SKEW,
    LEAST_LEAD,
    LONGEST_LEAD,
    MOST_KEYS,
    UNUSED,
    Ring,
    RingKey,
    Slot,
    Wanted,
    lacking,
    next_event,
    settled,
    signing,
    with_key,
)

NOW = 1_800_000_000.0
HOUR = 3600.0
DAY = 24 * HOUR
MONTH = 30 * DAY
MONTHLY = Slot("ES256", rotate=MONTH)
FOR_EVER = Slot("ES256")
KEY_IDS = count(1)


def wanted(*slots: Slot, lifetime: float = HOUR) -> Wanted:
    return Wanted(slots or (MONTHLY,), lifetime)


def at(ring: Ring, now: float, want: Wanted | None = None) -> Ring:
    """The ring as a sidecar leaves it that looks at it now."""
    want = want or wanted()
    ring = settled(ring, want, now)
    for slot in lacking(ring, want, now):
        ring = with_key(ring, slot, f"k{next(KEY_IDS)}", b"MARKER", want, now)
    return ring


def new() -> Ring:
    return at((), NOW)


def signs(ring: Ring, now: float, slot: Slot = MONTHLY) -> int:
    """The place in the ring of the key that signs."""
    key = signing(ring, slot, now)
    assert key is not None
    return ring.index(key)


@pytest.mark.parametrize(
    ("rotate", "lead"),
    [
        pytest.param(HOUR, 15 * 60, id="a quarter of an hour"),
        pytest.param(4 * DAY, DAY, id="a quarter of four days"),
        pytest.param(365 * DAY, LONGEST_LEAD, id="a day at most"),
        pytest.param(60, LEAST_LEAD, id="as long as the key set may be cached at least"),
    ],
)
def test_how_long_a_key_is_published_before_it_signs(rotate: float, lead: float) -> None:
    assert Slot("ES256", rotate=rotate).lead == lead


def test_the_first_key_signs_at_once() -> None:
    ring = new()
    assert [(key.created, key.signs_from) for key in ring] == [(NOW, NOW)]
    assert signs(ring, NOW) == 0


def test_an_empty_ring_has_no_key_that_signs() -> None:
    assert signing((), MONTHLY, NOW) is None


def test_the_next_key_is_made_ahead_of_its_time() -> None:
    ring, due = new(), NOW + MONTH - DAY
    assert at(ring, due - 1) == ring
    assert next_event(ring, wanted(), NOW) == due
    after = at(ring, due)
    assert [(key.created, key.signs_from) for key in after[1:]] == [(due, NOW + MONTH)]
    assert at(after, NOW + MONTH - 1) == after


def test_the_next_key_signs_when_its_time_has_come() -> None:
    ring = at(new(), NOW + MONTH - DAY)
    assert next_event(ring, wanted(), NOW + MONTH - DAY) == NOW + MONTH
    assert signs(ring, NOW + MONTH - 1) == 0
    assert signs(ring, NOW + MONTH) == 1


def test_the_old_key_is_kept_until_its_last_token_has_expired() -> None:
    ring = at(new(), NOW + MONTH - DAY)
    last = NOW + MONTH + HOUR + CLOCK_SKEW
    assert next_event(ring, wanted(), NOW + MONTH) == last
    assert at(ring, last - 1) == ring
    assert at(ring, last) == ring[1:]


def test_a_key_that_is_made_late_signs_late_and_the_old_one_longer() -> None:
    late = NOW + 3 * MONTH
    ring = at(new(), late)
    assert ring[1].signs_from == late + DAY
    assert signs(ring, late + DAY - 1) == 0
    assert at(ring, late + DAY + HOUR) == ring


def test_without_rotation_a_key_signs_for_ever() -> None:
    ring = at((), NOW, wanted(FOR_EVER))
    assert at(ring, NOW + 100 * 365 * DAY, wanted(FOR_EVER)) == ring
    assert next_event(ring, wanted(FOR_EVER), NOW) == math.inf


def test_each_algorithm_has_keys_of_its_own() -> None:
    want = wanted(MONTHLY, Slot("EdDSA"))
    ring = at((), NOW, want)
    assert [key.algorithm for key in ring] == ["ES256", "EdDSA"]
    ring = at(ring, NOW + MONTH, want)
    assert [key.algorithm for key in ring] == ["ES256", "EdDSA", "ES256"]


def test_a_key_of_another_name_is_another() -> None:
    ring = at((), NOW, wanted(Slot("ES256", "a")))
    assert [key.name for key in at(ring, NOW, wanted(Slot("ES256", "b")))] == ["a", "b"]


@pytest.mark.parametrize(
    ("rotate", "due"),
    [
        pytest.param(7 * DAY, NOW + 6 * DAY, id="a shorter one holds at once"),
        pytest.param(90 * DAY, NOW + 89 * DAY, id="a longer one too"),
        pytest.param(None, math.inf, id="none any more"),
    ],
)
def test_a_changed_rotation(rotate: float | None, due: float) -> None:
    want = wanted(Slot("ES256", rotate=rotate))
    assert next_event(at(new(), NOW + DAY, want), want, NOW + DAY) == due


def test_a_much_shorter_rotation_still_publishes_before_it_signs() -> None:
    want = wanted(Slot("ES256", rotate=HOUR))
    ring = at(new(), NOW + DAY, want)
    assert [key.signs_from for key in ring] == [NOW, NOW + DAY + HOUR / 4]


def test_a_longer_lifetime_keeps_the_key_that_signs_longer() -> None:
    ring = at(at(new(), NOW, wanted(lifetime=DAY)), NOW + 1, wanted(lifetime=HOUR))
    assert ring[0].token_lifetime == DAY
    ring = at(ring, NOW + MONTH - DAY)
    assert at(ring, NOW + MONTH + DAY) == ring
    assert at(ring, NOW + MONTH + DAY + CLOCK_SKEW) == ring[1:]


def test_a_longer_lifetime_is_known_of_the_next_key_before_it_signs() -> None:
    ring = at(new(), NOW + MONTH - DAY)
    _, following = at(ring, NOW + MONTH - DAY + 1, wanted(lifetime=DAY))
    assert following.token_lifetime == DAY


def test_a_longer_lifetime_does_not_keep_a_key_that_signed_before() -> None:
    ring = at(new(), NOW + MONTH - DAY)
    ring = at(ring, NOW + MONTH, wanted(lifetime=DAY))
    assert [key.token_lifetime for key in ring] == [HOUR, DAY]


EDDSA = wanted(Slot("EdDSA", rotate=MONTH))


def test_with_another_algorithm_its_first_key_signs_at_once() -> None:
    ring = at(new(), NOW + DAY, EDDSA)
    assert [key.algorithm for key in ring] == ["ES256", "EdDSA"]
    assert signing(ring, EDDSA.slots[0], NOW + DAY) == ring[1]


def test_the_key_of_an_algorithm_that_went_is_kept_until_its_last_token_has_expired() -> None:
    ring = at(new(), NOW + DAY, EDDSA)
    last = NOW + DAY + UNUSED + HOUR + CLOCK_SKEW
    assert next_event(ring, EDDSA, NOW + DAY) == last
    assert at(ring, last - 1, EDDSA) == ring
    assert at(ring, last, EDDSA) == ring[1:]


def test_an_algorithm_that_comes_back_has_its_key_again() -> None:
    ring = at(new(), NOW + DAY, EDDSA)
    assert signs(at(ring, NOW + DAY + HOUR), NOW + DAY + HOUR) == 0
    back = at(ring, NOW + DAY + UNUSED + MONTH / 2)
    assert [key.unused_since is None for key in back] == [True, False]


def test_two_configurations_on_one_store_write_a_few_times_a_day() -> None:
    ring, changes = new(), 0
    for minute in range(2 * 24 * 60):
        for want in (wanted(), wanted(Slot("EdDSA"))):
            after = at(ring, NOW + minute * 60, want)
            changes += after != ring
            ring = after
    assert changes <= 2 * 2 * 4
    assert [key.algorithm for key in ring] == ["ES256", "EdDSA"]


@pytest.mark.parametrize("back", [1.0, HOUR, DAY, 20 * 365 * DAY])
def test_a_clock_that_goes_back_loses_no_key(back: float) -> None:
    ring = at(at(new(), NOW + MONTH - DAY), NOW + MONTH)
    after = at(ring, NOW + MONTH - back)
    assert [key.key_id for key in after[:2]] == [key.key_id for key in ring]
    assert signing(after, MONTHLY, NOW + MONTH - back) is not None


def test_a_ring_of_the_future_rotates_from_now_on() -> None:
    future = NOW + 14 * 365 * DAY
    ring = at(at((), future), future + MONTH - DAY)
    after = at(ring, NOW)
    assert [key.signs_from for key in after] == [NOW, NOW + DAY]
    assert [key.key_id for key in after] == [key.key_id for key in ring]
    assert next_event(after, wanted(), NOW) == NOW + DAY


def test_a_key_of_the_future_does_not_end_those_of_the_present() -> None:
    ring = at(new(), NOW + 14 * 365 * DAY)
    assert [key.created > NOW for key in ring] == [False, True]
    after = at(ring, NOW + DAY)
    assert signs(after, NOW + DAY) == 0
    assert [key.signs_from for key in after] == [NOW, NOW + 2 * DAY]


def test_a_chain_is_bounded() -> None:
    keys = tuple(replace(new()[0], key_id=str(number)) for number in range(MOST_KEYS))
    assert lacking(keys, wanted(), NOW + MONTH) == ()
    assert lacking(keys[1:], wanted(), NOW + MONTH) == (MONTHLY,)


def test_no_private_key_is_in_a_repr() -> None:
    assert "MARKER" not in repr(new())


class World:
    """A ring in a store, and everything that was published, signed and promised by it."""

    def __init__(self, lifetime: float, rotate: float) -> None:
        self.now = NOW
        self.want = wanted(Slot("ES256", rotate=rotate), lifetime=lifetime)
        self.ring: Ring = ()
        self.first_signed: dict[str, float] = {}
        self.tokens: dict[str, float] = {}
        self.look()

    @property
    def slot(self) -> Slot:
        return self.want.slots[0]

    def look(self) -> None:
        """A sidecar that reaches the store does what is due."""
        self.ring = at(self.ring, self.now, self.want)

    def sign(self) -> RingKey:
        """A token of the longest lifetime, signed now, also while the store is away."""
        key = signing(settled(self.ring, self.want, self.now), self.slot, self.now)
        assert key is not None
        self.first_signed.setdefault(key.key_id, self.now)
        expires = self.now + self.want.token_lifetime
        self.tokens[key.key_id] = max(self.tokens.get(key.key_id, 0), expires)
        return key

    def check(self) -> None:
        published = {key.key_id for key in settled(self.ring, self.want, self.now)}
        for key_id, expires in self.tokens.items():
            assert key_id in published or expires + CLOCK_SKEW <= self.now


LIFETIMES = st.sampled_from([1.0, 60.0, HOUR, 20 * HOUR])
ROTATIONS = st.sampled_from([HOUR, 5 * HOUR, DAY, 90 * DAY])
STEPS = st.lists(
    st.tuples(
        st.one_of(st.floats(0.1, 3 * HOUR), st.sampled_from([HOUR, DAY, 40 * DAY])),
        st.sampled_from(["look", "look", "look", "store away"]),
        st.one_of(st.none(), st.tuples(LIFETIMES, ROTATIONS)),
    ),
    max_size=60,
)


@given(LIFETIMES, ROTATIONS, STEPS)
def test_in_any_life_one_key_signs_and_every_token_finds_its_key(
    lifetime: float,
    rotate: float,
    steps: list[tuple[float, str, tuple[float, float] | None]],
) -> None:
    world = World(lifetime, rotate)
    leads = {world.slot.lead}
    for seconds, what, change in steps:
        world.now += seconds
        if change is not None:
            world.want = wanted(Slot("ES256", rotate=change[1]), lifetime=change[0])
            leads.add(world.slot.lead)
            world.look()
        elif what == "look":
            world.look()
        signer = world.sign()
        world.check()
        ahead = world.first_signed[signer.key_id] - signer.created
        assert signer.signs_from == NOW or ahead >= min(leads)
        times = [key.signs_from for key in world.ring]
        assert all(before < after for before, after in pairwise(times))


@given(st.lists(st.floats(0, 4e9), min_size=1, max_size=40))
def test_whatever_the_clock_says_a_key_signs_and_the_ring_is_bounded(clock: list[float]) -> None:
    ring: Ring = ()
    for now in clock:
        before, ring = ring, at(ring, now)
        assert signing(ring, MONTHLY, now) is not None
        assert before[-1:] == () or before[-1].key_id in {key.key_id for key in ring}
        assert len(ring) <= MOST_KEYS
