"""Metrics as text, in OpenMetrics 1.0."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from sidecar.metrics import BOUNDS, Histogram

CONTENT_TYPE: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
_ESCAPES: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})
Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Family:
    """Samples that have a name, and what they say, in common."""

    name: str
    type: str
    """`counter`, `gauge`, `histogram` or `info`."""
    help: str
    samples: tuple[tuple[str, Labels, float], ...]
    """What is added to the name, the labels, and the value."""


def counter(name: str, text: str, values: Iterable[tuple[Labels, float]]) -> Family:
    """Numbers that only rise."""
    return Family(
        name, "counter", text, tuple(("_total", labels, value) for labels, value in values)
    )


def gauge(name: str, text: str, values: Iterable[tuple[Labels, float]]) -> Family:
    """Numbers as they are now."""
    return Family(name, "gauge", text, tuple(("", labels, value) for labels, value in values))


def info(name: str, text: str, labels: Labels) -> Family:
    """What does not change while the process runs."""
    return Family(name, "info", text, (("_info", labels, 1),))


def histogram(name: str, text: str, values: Iterable[tuple[Labels, Histogram]]) -> Family:
    """How often something took how long, in seconds."""
    samples = (sample for labels, one in values for sample in _buckets(labels, one))
    return Family(name, "histogram", text, tuple(samples))


def text_of(families: Iterable[Family]) -> str:
    """The text that a scraper gets."""
    return "".join(f"{line}\n" for family in families for line in _lines(family)) + "# EOF\n"


def _buckets(labels: Labels, one: Histogram) -> Iterator[tuple[str, Labels, float]]:
    upto = accumulate(one.counts)
    for bound, count in zip((*map(repr, BOUNDS), "+Inf"), upto, strict=True):
        yield "_bucket", {**labels, "le": bound}, count
    yield "_count", labels, sum(one.counts)
    yield "_sum", labels, one.sum


def _lines(family: Family) -> Iterator[str]:
    yield f"# TYPE {family.name} {family.type}"
    yield f"# HELP {family.name} {family.help.translate(_ESCAPES)}"
    for suffix, labels, value in family.samples:
        pairs = ",".join(f'{name}="{text.translate(_ESCAPES)}"' for name, text in labels.items())
        yield (
            f"{family.name}{suffix}{{{pairs}}} {value!r}"
            if pairs
            else (f"{family.name}{suffix} {value!r}")
        )
