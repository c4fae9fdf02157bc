"""docs/conformance.md."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from sidecar.token.reason import Reason
from tests.conformance.cases import read
from tests.conformance.outcomes import Outcome, Standing, judged

PAGE: Final = Path(__file__).parents[2] / "docs" / "conformance.md"


def page(data: bytes) -> str:
    """The page, as this file of cases gives it."""
    outcomes = [judged(case) for case in read(data)]
    must = [one for one in outcomes if one.case.must]
    bare = [one for one in outcomes if not one.case.claims]
    stricter = [one for one in outcomes if one.standing is Standing.STRICTER]
    lax = [one for one in bare if not one.case.must and not one.case.valid and one.signature_holds]
    return TEXT.format(
        cases=len(outcomes),
        projects=len({one.case.project for one in outcomes}),
        must=len(must),
        must_valid=sum(one.case.valid for one in must),
        must_invalid=sum(not one.case.valid for one in must),
        must_right=sum(one.standing is Standing.RIGHT for one in must),
        bare=len(bare),
        bare_must=sum(one.case.must for one in bare),
        bare_lax=len(lax),
        weak=sum(one.reason is Reason.KEY_TOO_WEAK for one in stricter),
        stricter=len(stricter),
        policy=len(outcomes) - len(must),
        sha256=hashlib.sha256(data).hexdigest(),
        by_source=by_source(outcomes),
        by_reason=by_reason(outcomes),
    )


def by_source(outcomes: Iterable[Outcome]) -> str:
    counts: dict[str, Counter[Standing]] = {}
    for one in outcomes:
        counts.setdefault(one.case.project, Counter())[one.standing] += 1
    rows = [
        (f"[{name}](https://github.com/{name})", found.total(), *(found[one] for one in Standing))
        for name, found in sorted(counts.items(), key=lambda row: row[0].lower())
    ]
    total = sum(counts.values(), Counter())
    return table([*rows, ("all", total.total(), *(total[one] for one in Standing))])


def by_reason(outcomes: Iterable[Outcome]) -> str:
    counts: dict[Reason, Counter[str]] = {}
    for one in outcomes:
        if one.reason is not None:
            found = counts.setdefault(one.reason, Counter())
            found["claims" if one.case.claims else "no claims"] += 1
            found["must"] += one.case.must
    return table(
        (
            f"[{reason.name}](reasons.md#{reason.name.lower()}-{reason.value})",
            *(counts[reason][column] for column in ("claims", "no claims", "must")),
        )
        for reason in sorted(counts)
    )


def table(rows: Iterable[tuple[object, ...]]) -> str:
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in rows)


TEXT: Final = """\
# Conformance

What the sidecar says of {cases:,} tokens with which {projects} public projects test themselves:
libraries, gateways and collections of test vectors. Each case has a token, keys, what is
configured, and a verdict.

{must:,} cases are **must**: the verdict follows from the RFCs, {must_valid} times valid and
{must_invalid:,} times invalid. **{must_right:,} of {must:,} come out right.** The other {policy}
are **policy**: the RFCs leave them open, and projects differ.

## How they were run

Each case is judged by the checks that every call runs, with one issuer that has the case's keys,
algorithms, `iss` and audience, at the case's time. What the sidecar demands beyond the RFCs is
switched off: no claim is required, any `typ` passes, no clock skew is allowed; where a case has no
`iss` or audience, any passes. A symmetric key is configured as a secret, since none is taken from a
key set. A key that can't be configured refuses every token.

In {bare} cases the payload is no claims set, and the sidecar refuses each of them. So that this
hides nothing, their form, header, key and signature are judged by the same parts without looking at
the payload, and in the {bare_must} of them that are must, this gives the verdict that counts. In
{bare_lax} of the others the signature holds, and the case objects to the key set or to the nesting
of the payload.

## By source

- **right**: the case's verdict.
- **stricter**: a policy case that its project lets pass and the sidecar refuses. {weak} of these
  {stricter} are for keys that are too weak: secrets shorter than their hash, RSA under 2,048 bits.
- **laxer**: a policy case that its project refuses and the sidecar lets pass: an `aud` where no
  audience is configured. The sidecar asks for `audiences` to be configured, and passes any only for
  `"*"`.
- **wrong**: a must case with another verdict, or a token that passes without a claims set.

| source | cases | right | stricter | laxer | wrong |
| --- | --- | --- | --- | --- | --- |
{by_source}

## By reason

Every refusal, by its reason. Where there are no claims, it is the one that stands even if the
payload is not looked at.

| reason | with claims | without | of these must |
| --- | --- | --- | --- |
{by_reason}

## Run it

`make conformance CASES=FILE` writes this page; the form of the file is described in
`tests/conformance/cases.py`. With the environment variable `CONFORMANCE_CASES` naming a file,
`make test` judges its cases, and compares this page with the outcome where it is the file that the
page was written from. That one has the SHA-256
`{sha256}`.
"""
