"""`jwt-sidecar health`."""

import argparse
from typing import Final

from grpc_health.v1 import health_pb2

from sidecar.cli import DONE, REFUSED
from sidecar.commands.client import health_service

TIMEOUT: Final = 5.0
"""Seconds that a sidecar which is well may take to say so."""


def health(options: argparse.Namespace) -> int:
    """Prints whether a running sidecar can decide, as grpc.health.v1 has it."""
    with health_service(options) as service:
        answer = service.Check(health_pb2.HealthCheckRequest(), timeout=TIMEOUT)
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        print("not serving")
        return REFUSED
    print("serving")
    return DONE
