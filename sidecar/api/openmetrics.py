"""Metrics as text, in OpenMetrics 1.0."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, chain
from operator import add
from typing import Final, Literal

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
    of_many: Literal["sum", "max"] = "sum"
    """What several processes have together."""


def counter(name: str, text: str, values: Iterable[tuple[Labels, float]]) -> Family:
    """Numbers that only rise."""
    return Family(
        name, "counter", text, tuple(("_total", labels, value) for labels, value in values)
    )


def gauge(
    name: str,
    text: str,
    values: Iterable[tuple[Labels, float]],
    of_many: Literal["sum", "max"] = "sum",
) -> Family:
    """Numbers as they are now."""
    samples = tuple(("", labels, value) for labels, value in values)
    return Family(name, "gauge", text, samples, of_many)


def info(name: str, text: str, labels: Labels) -> Family:
    """What does not change while the process runs."""
    return Family(name, "info", text, (("_info", labels, 1),), "max")


def histogram(name: str, text: str, values: Iterable[tuple[Labels, Histogram]]) -> Family:
    """How often something took how long, in seconds."""
    samples = (sample for labels, one in values for sample in _buckets(labels, one))
    return Family(name, "histogram", text, tuple(samples))


def text_of(families: Iterable[Family]) -> str:
    """The text that a scraper gets."""
    return "".join(f"{line}\n" for family in families for line in _lines(family)) + "# EOF\n"


def together(processes: Iterable[Iterable[Family]]) -> tuple[Family, ...]:
    """What several processes count, as one."""
    found: dict[str, Family] = {}
    for family in chain.from_iterable(processes):
        other = found.get(family.name)
        found[family.name] = _both(other, family) if other else family
    return tuple(found.values())


def _both(one: Family, other: Family) -> Family:
    combine: Callable[[float, float], float] = max if one.of_many == "max" else add
    found: dict[tuple[str, frozenset[tuple[str, str]]], tuple[str, Labels, float]] = {}
    for suffix, labels, value in (*one.samples, *other.samples):
        key = (suffix, frozenset(labels.items()))
        before = found.get(key)
        found[key] = (suffix, labels, combine(before[2], value) if before else value)
    return replace(one, samples=tuple(found.values()))


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
