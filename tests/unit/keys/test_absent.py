from sidecar.keys.absent import MOST, AbsentKeys


def test_a_key_is_remembered_for_its_time() -> None:
    absent = AbsentKeys(60)
    absent.remember(["a"], now=100)
    assert [absent.has("a", now) for now in (100, 159, 160)] == [True, True, False]


def test_what_was_not_looked_for_is_not_remembered() -> None:
    absent = AbsentKeys(60)
    absent.remember(["a"], now=100)
    assert not absent.has("b", now=100)


def test_looking_again_remembers_anew() -> None:
    absent = AbsentKeys(60)
    absent.remember(["a"], now=100)
    absent.remember(["a"], now=150)
    assert absent.has("a", now=200)


def test_all_are_forgotten_at_once() -> None:
    absent = AbsentKeys(60)
    absent.remember(["a"], now=100)
    absent.forget()
    assert not absent.has("a", now=100)


def test_a_flood_pushes_out_the_oldest() -> None:
    absent = AbsentKeys(60)
    absent.remember((f"random-{number}" for number in range(3 * MOST)), now=100)
    assert len(absent) == MOST
    assert not absent.has("random-0", now=100)
    assert absent.has(f"random-{3 * MOST - 1}", now=100)
