"""An ext_authz server that says yes to everything, in the words of the sidecar.

`python -m bench.yes SOCKET TRANSPORT`
"""

import asyncio
import sys
from typing import Final

from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2
from google.rpc import code_pb2, status_pb2

from bench.empty import serve
from bench.work import FORWARDED

SERVICE: Final = "envoy.service.auth.v3.Authorization"
METHOD: Final = "Check"


def answer() -> bytes:
    """With as many headers for the upstream as the sidecar sends."""
    response = external_auth_pb2.CheckResponse(status=status_pb2.Status(code=code_pb2.OK))
    for name in FORWARDED:
        option = response.ok_response.headers.add()
        option.header.key, option.header.value = name, "9f4c7a52-alice"
        option.append_action = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    data: bytes = response.SerializeToString()
    return data


if __name__ == "__main__":
    asyncio.run(serve(SERVICE, METHOD, answer(), *sys.argv[1:]))
