"""Writes the generated pages of docs/; with `--check`, only says which are not up to date."""

import sys
from pathlib import Path

from docs import attacks, reasons

PAGES = {"reasons.md": reasons.page, "attacks.md": attacks.page}
HERE = Path(__file__).parent


def main(check: bool) -> int:
    """Writes or compares every page; 1 where one differs."""
    stale = []
    for name, page in PAGES.items():
        path, text = HERE / name, page()
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if not check:
                path.write_text(text)
    if check and stale:
        print(
            f"docs/{', docs/'.join(stale)} is not what the code gives: run make docs",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
