"""`python -m sidecar` is the command `jwt-sidecar`."""

import sys

from sidecar.cli import main

sys.exit(main())
