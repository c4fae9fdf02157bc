"""`jwt-sidecar explain`."""

import argparse
from typing import Final

from sidecar.cli import DONE, REFUSED
from sidecar.commands.client import TIMEOUT, token_service
from sidecar.commands.printing import print_as_json
from sidecar.commands.tokens import refused, validate_request
from sidecar.v1 import token_service_pb2 as messages

_OUTCOMES: Final = {
    messages.Check.OUTCOME_PASSED: "passed",
    messages.Check.OUTCOME_FAILED: "FAILED",
    messages.Check.OUTCOME_SKIPPED: "skipped",
}


def explain(options: argparse.Namespace) -> int:
    """Prints the verdict on a token and every check as a table."""
    request = messages.ExplainTokenRequest(request=validate_request(options))
    with token_service(options) as service:
        response = service.ExplainToken(request, timeout=TIMEOUT)
    if options.json:
        print_as_json(response)
    else:
        print("valid" if response.result.valid else refused(response.result), end="\n\n")
        print("\n".join(_row(check) for check in response.checks))
    return DONE if response.result.valid else REFUSED


def _row(check: messages.Check) -> str:
    return f"{check.name:17} {_OUTCOMES[check.outcome]:8} {check.detail}"
