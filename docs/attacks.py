"""The page of attacks: the rows that the tests run."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tests.unit.token import test_attacks as on_keys
from tests.unit.token import test_attacks_on_form as on_form

SECTIONS: Final[Mapping[str, list[Any]]] = {
    "Algorithms": on_keys.ON_ALGORITHMS,
    "Public keys taken for secrets, and weak secrets": on_keys.ON_SECRETS,
    "Keys, and whose they are": on_keys.ON_KEYS,
    "Signatures": on_keys.ON_SIGNATURES,
    "Form": on_form.ON_FORM,
    "Header": on_form.ON_THE_HEADER,
    "JSON": on_form.ON_JSON,
    "Claims": on_form.ON_CLAIMS,
}
NAMED: Final = {
    "Envoy": "https://github.com/envoyproxy/envoy/tree/main/source/common/jwt",
    "PortSwigger": "https://portswigger.net/web-security/jwt",
    "Wycheproof": "https://github.com/C2SP/wycheproof",
}
"""Sources that have no number."""
_NUMBERED: Final = {
    r"CVE-\d{4}-\d+": "https://www.cve.org/CVERecord?id={0}",
    r"CWE-(\d+)": "https://cwe.mitre.org/data/definitions/{1}.html",
    r"RFC (\d+), ([\d.]+)": "https://www.rfc-editor.org/rfc/rfc{1}#section-{2}",
    r"RFC (\d+), ([A-Z])": "https://www.rfc-editor.org/rfc/rfc{1}#appendix-{2}",
}

_HEAD: Final = """\
<!-- Written by `make docs` from the tables of attacks in tests/unit/token: change those. -->

# Attacks

What is known to have fooled a library or a gateway somewhere, or what a specification warns of, and
the [reason](reasons.md) for which it is refused here. Every line is a row of a test, {count} of
them in all; [security.md](security.md) says which code stands against it. Sources without a number:
what Envoy's own parser lets pass, and the collections of PortSwigger and Wycheproof.
"""


def page() -> str:
    """The whole of docs/attacks.md."""
    count = sum(len(rows) for rows in SECTIONS.values())
    return _HEAD.format(count=count) + "\n".join(_lines())


def source(known_from: str) -> str:
    """A link to where an attack is known from; raises ValueError where that is no known form."""
    if known_from in NAMED:
        return f"[{known_from}]({NAMED[known_from]})"
    for form, url in _NUMBERED.items():
        if match := re.fullmatch(form, known_from):
            return f"[{known_from}]({url.format(match[0], *match.groups())})"
    raise ValueError(f"{known_from} is no CVE, CWE or section, and not named in docs/attacks.py")


def _lines() -> Iterator[str]:
    for title, rows in SECTIONS.items():
        yield from (
            "",
            f"## {title}",
            "",
            "| attack | known from | reason |",
            "| --- | --- | --- |",
        )
        for row in rows:
            one = row.values[0]
            anchor = f"{one.reason.name.lower()}-{one.reason.value}"
            link = f"[{one.reason.name}](reasons.md#{anchor})"
            yield f"| {one.name} | {source(one.known_from)} | {link} |"
    yield ""
