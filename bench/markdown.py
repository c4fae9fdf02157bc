"""Figures as Markdown."""

from collections.abc import Iterable, Sequence

from bench.figures import Spread


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose first column has words, and the others figures."""
    lines = (head, ["---", *["---:"] * (len(head) - 1)], *rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def met(share: Spread) -> str:
    """Whether the median keeps the budget, and how much of it every round took."""
    percent = f"{share.median:.0%} ({min(share.values):.0%}..{max(share.values):.0%})"
    word = "met" if share.median <= 1 else "**missed**"
    if min(share.values) <= 1 < max(share.values):
        word += ", not in every round"
    return f"{word}: {percent}"
