"""A server like the sidecar's listeners whose one method does nothing: the transport's own cost.

`python -m bench.empty SOCKET TRANSPORT`
"""

import asyncio
import gc
import sys
from typing import Any, Final

from grpc_health.v1 import health

from sidecar.api.listener import bind, method
from sidecar.config.listeners import Listener
from sidecar.config.surroundings import Surroundings

SERVICE: Final = "bench.Empty"
METHOD: Final = "Call"


async def nothing(message: bytes, context: Any) -> bytes:
    """Answers with an empty message."""
    return b""


async def serve(path: str, transport: str) -> None:
    """Serves until the process is ended."""
    settings = Listener.model_validate(
        {"address": f"unix:{path}", "services": ["validate"], "transport": transport},
        context=Surroundings("", {}),
    )
    services = {SERVICE: {METHOD: method(nothing)}}
    listener = bind(settings, services, (), health.aio.HealthServicer())
    await listener.server.start()
    gc.collect()
    gc.freeze()
    print(f"{SERVICE} is ready on {listener.describe()}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
