"""What a run keeps, the next one reads."""

from pathlib import Path

import pytest

from bench import report
from bench.figures import Spread
from bench.section import Section

CALLS = Section("## Calls", {"a, in E": Spread((1.5, 2.0))}, {"a.svg": "<svg/>"})
FLOODS = Section("## Floods", {"b": Spread((3.0,))})


def test_ratios_are_read_as_they_were_written() -> None:
    ratios = report.ratios([CALLS, FLOODS])
    assert report.loaded(report.dumped(ratios)) == ratios
    assert report.loaded(report.dumped({})) == {}


def test_a_ratio_has_a_line_of_its_own() -> None:
    text = report.dumped({"a": Spread((1.23456, 2.0)), "b": Spread((3.0,))})
    assert text == '{\n  "a": [1.2346, 2.0],\n  "b": [3.0]\n}\n'


def test_page_ratios_and_drawings_are_kept(tmp_path: Path) -> None:
    text = report.page([CALLS, FLOODS], "On a machine.", rounds=7, seconds=3.2)
    report.keep(tmp_path, text, [CALLS, FLOODS])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a.svg", "latest.json", "latest.md"]
    assert (tmp_path / "latest.md").read_text() == (
        "# What the sidecar costs\n\nMedian (least..most) of 7 interleaved rounds, in 3 s. "
        "On a machine.\n\n## Calls\n\n## Floods\n"
    )
    assert report.kept(tmp_path) == report.ratios([CALLS, FLOODS])


def test_the_document_has_the_tables_behind_its_mark() -> None:
    page = "# Title\n\nOf a day.\n\n## Calls\n\n![plots](a.svg)\n"
    before = f"# Performance\n\n## Latest\n\n{report.MARK}\nold\n"
    after = report.documented(before, page)
    assert after == (
        f"# Performance\n\n## Latest\n\n{report.MARK}\nOf a day.\n\n### Calls\n\n"
        "![plots](../bench/results/a.svg)\n"
    )
    assert report.documented(after, page) == after


def test_a_document_without_a_mark_is_left_alone() -> None:
    with pytest.raises(ValueError, match="no place"):
        report.documented("# Performance\n", "# Title\n")
