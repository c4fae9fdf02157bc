"""A server like the sidecar's listeners whose one method decides nothing: the transport's own cost.

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


async def serve(service: str, name: str, answer: bytes, path: str, transport: str) -> None:
    """Gives the same answer to every call of one method, until the process is ended."""

    async def constant(message: bytes, context: Any) -> bytes:
        return answer

    settings = Listener.model_validate(
        {"address": f"unix:{path}", "services": ["validate"], "transport": transport},
        context=Surroundings("", {}),
    )
    services = {service: {name: method(constant)}}
    listener = bind(settings, services, (), health.aio.HealthServicer())
    await listener.server.start()
    gc.collect()
    gc.freeze()
    print(f"{service} is ready on {listener.describe()}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(SERVICE, METHOD, b"", *sys.argv[1:]))
