"""A dotted path finds what trying every way to cut it at its dots finds."""

from collections.abc import Iterator
from typing import Any

from hypothesis import event, example, given
from hypothesis import strategies as st

from sidecar.token.claims import find, trail

NAMES = st.text(alphabet="ab.", max_size=4)
CLAIMS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
OBJECTS = st.dictionaries(NAMES, CLAIMS, max_size=4)


def values_at(claims: Any, path: str) -> Iterator[Any]:
    """Every value that the path may mean; of two ways, that with the longer first name first."""
    if not isinstance(claims, dict):
        return
    if path in claims:
        yield claims[path]
    for end in reversed(range(1, len(path))):
        if path[end] == "." and path[:end] in claims:
            yield from values_at(claims[path[:end]], path[end + 1 :])


def paths_of(claims: dict[str, Any]) -> Iterator[str]:
    for name, value in claims.items():
        yield name
        if isinstance(value, dict):
            yield from (f"{name}.{path}" for path in paths_of(value))


@given(OBJECTS, st.text(alphabet="ab.", max_size=9))
@example({"a.b": {"c": 1}, "a": {"b.c": 2}}, "a.b.c")
@example({"a": {"b": None}, "a.b": None}, "a.b")
@example({"a.b": {}, "a": {"b": {"c": 1}}}, "a.b.c")
@example({"": {"a": 1}}, ".a")
@example({"a": {".b": 1}}, "ab.b")
def test_any_path_finds_what_the_definition_says(claims: dict[str, Any], path: str) -> None:
    found = next(values_at(claims, path), None)
    event("found" if found is not None else "not found")
    assert find(claims, path) is found


@given(OBJECTS)
def test_every_path_that_leads_somewhere_finds_what_the_definition_says(
    claims: dict[str, Any],
) -> None:
    for path in paths_of(claims):
        assert find(claims, path) is next(values_at(claims, path), None)


class Unlisted(dict[str, Any]):
    """Claims whose names nobody may go through."""

    def __iter__(self) -> Iterator[str]:
        raise AssertionError("went through all names")


def test_a_token_with_many_names_costs_no_more_per_path() -> None:
    claims = Unlisted({f"{index}": 0 for index in range(100)}, realm={"roles": [1]})
    assert find(claims, "realm.roles") == [1]
    assert find(claims, "realm.groups") is None
    assert trail(claims, "realm.roles") == ("realm", "roles")
    assert trail(claims, "realm.groups") == ()
