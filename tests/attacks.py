"""Rows of a table of attacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from sidecar.token.reason import Reason
from sidecar.token.snapshot import Consumers, Issuer
from tests.tokens import assert_refused, judge


@dataclass(frozen=True)
class Attack:
    """A token, who is attacked with it, and the reason for which it must fail."""

    name: str
    known_from: str
    """A CVE, a section (`RFC 7515, 4.1.11`), a CWE, or a name of docs/attacks.py."""
    make: Callable[[], str]
    reason: Reason
    parties: tuple[Issuer | Consumers, ...]
    request: Mapping[str, Any]


def attack(
    name: str,
    known_from: str,
    make: Callable[[], str],
    reason: Reason,
    *parties: Issuer | Consumers,
    **request: Any,
) -> Any:
    """A row; against CORP alone where no parties are given. docs/attacks.md lists it."""
    return pytest.param(
        Attack(name, known_from, make, reason, parties, request), id=f"{name} ({known_from})"
    )


def assert_fails(one: Attack) -> None:
    assert_refused(judge(one.make(), *one.parties, **one.request), one.reason)
