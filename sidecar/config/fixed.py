"""What can't change while the sidecar runs."""

from collections.abc import Mapping
from typing import Any

from sidecar.config.settings import Settings


def fixed(settings: Settings) -> Mapping[str, Any]:
    """The values that can't change, as JSON has them, by what a message calls each."""
    found: dict[str, Any] = {
        "store.url": str(settings.store.url) if settings.store else "",
        "workers": settings.workers,
    }
    if settings.workers > 1:  # what they share is opened before they are there
        found["an address or mode of a listener, where there are several workers,"] = [
            *sorted([str(one.address), one.mode] for one in settings.listeners),
            str(settings.http.address) if settings.http else "",
        ]
    return found


def unchangeable(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What is another one now and can't be, in a sentence; empty where all may go on."""
    for name, value in before.items():
        if now.get(name) != value:
            return f"{name} can't change while the sidecar runs: restart it"
    return ""
