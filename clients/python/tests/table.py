"""tests/vectors/clients.json, which every client is run against."""

import json
from pathlib import Path
from typing import Any, Final

TOP: Final = Path(__file__).parents[3]
TABLE: Final = json.loads((TOP / "tests/vectors/clients.json").read_text())
CASES: Final[list[dict[str, Any]]] = TABLE["cases"]
HEADERS: Final[list[dict[str, Any]]] = TABLE["headers"]
REALM: Final[str] = TABLE["realm"]


def seconds_for(case: dict[str, Any]) -> float:
    """A deadline that is short where it is waited for, and no hindrance elsewhere."""
    return 0.3 if any("hang" in one for one in case["answers"]) else 10.0
