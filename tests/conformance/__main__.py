"""Writes docs/conformance.md from a file of cases: `make conformance CASES=FILE`."""

import sys
from pathlib import Path

from tests.conformance.page import PAGE, page

if len(sys.argv) != 2 or not Path(sys.argv[1]).is_file():
    sys.exit("name a file of cases: make conformance CASES=FILE")
PAGE.write_text(page(Path(sys.argv[1]).read_bytes()))
