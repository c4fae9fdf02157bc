"""What is remembered of consumers, against a plain model of it, for any course of events."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sidecar.state.consumers.cache import SPREAD, ConsumerCache
from sidecar.token.key import from_secret
from sidecar.token.snapshot import Consumer
from sidecar.token.stored import UNKNOWN

CAPACITY, TTL, MISSING_TTL = 3, 100.0, 10.0
NAMES = st.sampled_from("abcd")
KEYS = st.sampled_from(["k1", "k2", "k3", "k4", "k5"])
CREDENTIAL = from_secret(b"s" * 32, frozenset({"HS256"}))


class Remembering(RuleBasedStateMachine):
    """The model has all that was ever read; the cache may know less of it, and nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.cache = ConsumerCache(CAPACITY, TTL, MISSING_TTL, lambda: 0.5)
        self.read: dict[str, tuple[Consumer | None, float]] = {}
        self.latest = ""

    @rule(name=NAMES, key=KEYS)
    def keep(self, name: str, key: str) -> None:
        consumer = Consumer(name, key, "HS256", CREDENTIAL, {}, disabled=False)
        self.unread(name)
        assert self.cache.keep(key, consumer, 1, self.now).consumer is consumer
        self.read[key] = consumer, self.now + TTL * (1 - SPREAD / 2)
        assert self.cache.get(key, self.now).consumer is consumer  # type: ignore[union-attr]

    @rule(key=KEYS)
    def keep_missing(self, key: str) -> None:
        self.cache.keep_missing(key, UNKNOWN, self.now)
        self.read[key] = None, self.now + MISSING_TTL
        assert self.cache.get(key, self.now) is UNKNOWN

    @rule(name=NAMES)
    def forget(self, name: str) -> None:
        self.cache.forget(name)
        self.unread(name)
        assert self.cache.version(name) is None

    def unread(self, name: str) -> None:
        for key, (consumer, _) in tuple(self.read.items()):
            if consumer and consumer.name == name:
                del self.read[key]

    @rule(key=KEYS)
    def forget_key(self, key: str) -> None:
        self.cache.forget_key(key)
        self.read.pop(key, None)

    @rule()
    def clear(self) -> None:
        self.cache.clear()
        self.read.clear()

    @rule(seconds=st.floats(0, TTL))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(key=KEYS)
    def get(self, key: str) -> None:
        answer = self.cache.get(key, self.now)
        if answer is not None:
            consumer, ends = self.read[key]
            assert answer.consumer is consumer
            assert self.now < ends

    @invariant()
    def it_is_bounded(self) -> None:
        assert len(self.cache) <= CAPACITY
        assert len(self.cache._missing) <= CAPACITY
        assert len(self.cache._keys) == len(self.cache)


TestRemembering = Remembering.TestCase
TestRemembering.settings = settings(max_examples=100, stateful_step_count=40)


def consumer(name: str) -> Consumer:
    return Consumer(name, f"{name}-key", "HS256", CREDENTIAL, {}, disabled=False)


def test_the_consumer_that_was_not_asked_for_longest_goes_first() -> None:
    cache = ConsumerCache(2, TTL, MISSING_TTL, lambda: 0.0)
    for name in ("a", "b"):
        cache.keep(f"{name}-key", consumer(name), 1, 0)
    cache.get("a-key", 1)
    cache.keep("c-key", consumer("c"), 1, 2)
    assert [cache.last(f"{name}-key") is not None for name in "abc"] == [True, False, True]


def test_hits_and_misses_are_counted() -> None:
    cache = ConsumerCache(2, TTL, MISSING_TTL, lambda: 0.0)
    cache.get("a-key", 0)
    cache.keep("a-key", consumer("a"), 1, 0)
    cache.get("a-key", 1)
    cache.get("a-key", TTL)
    assert (cache.hits, cache.misses) == (1, 2)
