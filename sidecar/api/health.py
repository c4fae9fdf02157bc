"""gRPC health checking (grpc.health.v1) of a sidecar."""

from typing import Final

from grpc_health.v1 import health, health_pb2

from sidecar.api.services import AUTHORIZATION, TOKEN_SERVICE

SERVICES: Final = ("", TOKEN_SERVICE, AUTHORIZATION)
_SERVING: Final = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING: Final = health_pb2.HealthCheckResponse.NOT_SERVING


class Health:
    """What every listener answers to health checks."""

    def __init__(self) -> None:
        self.servicer = health.aio.HealthServicer()
        self.is_stopping = False

    async def set(self, ready: bool) -> None:
        """Says whether the sidecar can decide."""
        for service in SERVICES:
            await self.servicer.set(service, _SERVING if ready else _NOT_SERVING)

    async def stopping(self) -> None:
        """NOT_SERVING from now on, whatever comes."""
        self.is_stopping = True
        await self.servicer.enter_graceful_shutdown()
