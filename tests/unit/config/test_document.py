from typing import Any

import pytest

from sidecar.config import document
from sidecar.config.document import Document, parse
from sidecar.config.problems import InvalidConfiguration


def read(text: str) -> Document:
    return parse(text.encode(), "f.yaml")


def problems(text: str | bytes) -> list[str]:
    data = text.encode() if isinstance(text, str) else text
    try:
        return [str(one) for one in parse(data, "f.yaml").problems]
    except InvalidConfiguration as invalid:
        return [str(one) for one in invalid.problems]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        pytest.param("text", "text", id="text"),
        pytest.param("'5'", "5", id="a number in quotes is text"),
        pytest.param("yes", "yes", id="yes is text"),
        pytest.param("off", "off", id="off is text"),
        pytest.param("true", True, id="true"),
        pytest.param("False", False, id="False"),
        pytest.param("~", None, id="null"),
        pytest.param("0660", 660, id="a leading zero makes no octal number"),
        pytest.param("0o17", 15, id="an octal number"),
        pytest.param("0x1F", 31, id="a hexadecimal number"),
        pytest.param("-7", -7, id="a negative number"),
        pytest.param("1e3", 1000.0, id="an exponent"),
        pytest.param(".5", 0.5, id="a fraction"),
        pytest.param("1_000", "1_000", id="underscores make no number"),
        pytest.param("1:30", "1:30", id="minutes and seconds are text"),
        pytest.param("2026-11-01", "2026-11-01", id="a date is text"),
        pytest.param("1.2.3", "1.2.3", id="a version is text"),
        pytest.param(". ", ".", id="a dot is text"),
        pytest.param("[a, [b]]", ["a", ["b"]], id="a list"),
        pytest.param("{b: {c: 1}}", {"b": {"c": 1}}, id="a mapping"),
        pytest.param("Zürich 🔑", "Zürich 🔑", id="text beyond ASCII"),
    ],
)
def test_scalars_are_those_of_the_yaml_core_schema(written: str, value: Any) -> None:
    found = read(f"a: {written}").tree["a"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "a: 1\nb: 2\na: 3\n",
            ["f.yaml:3: a: is already set in line 1; remove one of the two"],
            id="a key twice",
        ),
        pytest.param(
            "x:\n  - {a: 1, a: 2}\na: 1\na: 2\n",
            [
                "f.yaml:2: x[0].a: is already set in line 2; remove one of the two",
                "f.yaml:4: a: is already set in line 3; remove one of the two",
            ],
            id="two keys twice",
        ),
        pytest.param(
            "a: 1\n2: b",
            ["f.yaml:2: a key that is not text; put it in quotes"],
            id="a number as a key",
        ),
        pytest.param(
            "? [a]\n: b",
            ["f.yaml:1: a key that is not text; put it in quotes"],
            id="a list as a key",
        ),
        pytest.param(
            "a: {b: 1}\n<<: {c: 2}",
            ["f.yaml:2: merge keys (<<) are not supported; write the settings out"],
            id="a merge key",
        ),
        pytest.param(
            "a: !!python/object:os.system x",
            ["f.yaml:1: a: has a tag (!name); quote text that starts with !"],
            id="a tag",
        ),
        pytest.param(
            "!x a: b",
            ["f.yaml:1: has a tag (!name); quote text that starts with !"],
            id="a tag of a key",
        ),
        pytest.param(
            "a: .nan",
            ["f.yaml:1: a: is a number that is too long, too large or not finite; quote text"],
            id="no number",
        ),
        pytest.param(
            "a: 1e999",
            ["f.yaml:1: a: is a number that is too long, too large or not finite; quote text"],
            id="a number beyond a double's range",
        ),
        pytest.param(
            "a: [b\nc: d\n",
            [
                "f.yaml:2: not YAML: while parsing a flow sequence (begun in line 1) did not find "
                "expected ',' or ']'"
            ],
            id="an open bracket",
        ),
        pytest.param(
            "a: *hunter2",
            [
                "f.yaml:1: not YAML: an alias (*name) without an anchor (&name); quote text that "
                "starts with *"
            ],
            id="an alias without an anchor is not quoted",
        ),
        pytest.param(
            "a: !hunter2!x y",
            ["f.yaml:1: not YAML: a tag (!name) that is not known; quote text that starts with !"],
            id="an unknown tag is not quoted",
        ),
        pytest.param(
            "a: 1\n---\nb: 2",
            ["f.yaml:2: not YAML: a second document (---); the file must hold one"],
            id="two documents",
        ),
        pytest.param(
            "- a",
            ["f.yaml:1: the file must hold a mapping of settings at the top level"],
            id="a list at the top",
        ),
        pytest.param(
            "# nothing\n",
            ["f.yaml:1: the file is empty; it must hold a mapping of settings"],
            id="comments alone",
        ),
        pytest.param(
            b"a: b\nc: \xff",
            ["f.yaml:2: the file is not UTF-8; save it in that encoding"],
            id="bytes that are no UTF-8",
        ),
        pytest.param(
            "a: b\nc: \x01",
            ["f.yaml:2: a control character, which YAML does not allow"],
            id="a control character",
        ),
        pytest.param(
            "a: " + "[" * 100_000,
            ["f.yaml:1: values are nested deeper than 64 levels"],
            id="a hundred thousand brackets",
        ),
        pytest.param(
            "a: &a [*a]",
            [
                "f.yaml:1: aliases expand to more than 10000 values, 64 levels or themselves; "
                "write the values out"
            ],
            id="an alias in itself",
        ),
        pytest.param(
            "a: &a [x,x,x,x,x,x,x,x,x]\n"
            + "".join(
                f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n"
                for a, b in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            [
                "f.yaml:1: aliases expand to more than 10000 values, 64 levels or themselves; "
                "write the values out"
            ],
            id="a billion laughs",
        ),
        pytest.param(
            b" " * (document.MOST_BYTES + 1),
            ["f.yaml:1: the file is larger than 16 MiB"],
            id="a byte more than the most",
        ),
        pytest.param("a: &a [1]\nb: *a", [], id="an alias is fine"),
        pytest.param("\ufeffa: b", [], id="a byte order mark is fine"),
    ],
)
def test_what_is_wrong_with_the_form_is_told_with_its_line(
    text: str | bytes, expected: list[str]
) -> None:
    assert problems(text) == expected


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param((), 1, id="the whole"),
        pytest.param(("a",), 1, id="a key"),
        pytest.param(("a", 0), 2, id="an entry"),
        pytest.param(("a", 1, "c"), 4, id="a key in an entry"),
        pytest.param(("a", 1, "absent"), 3, id="an absent key has the line of its entry"),
        pytest.param(("a", 7, "b"), 1, id="an absent entry has the line of its list"),
        pytest.param(("absent", "b"), 1, id="nothing at all"),
    ],
)
def test_every_path_has_a_line(path: tuple[str | int, ...], line: int) -> None:
    assert read("a:\n  - b\n  - b: 1\n    c: 2\n").line(path) == line


def test_the_loader_in_python_reads_as_the_one_in_c_does() -> None:
    """It stands in where PyYAML was built without libyaml."""
    text = "a: [yes, 0660, 'x', 1e3, {b: ~}]\n"
    root = document._compose(text, "f.yaml", document._PythonLoader)
    assert root is not None
    assert Document("f.yaml", root).tree == read(text).tree
    with pytest.raises(InvalidConfiguration, match="nested deeper than 64 levels"):
        document._compose("a: " + "[" * 100, "f.yaml", document._PythonLoader)
