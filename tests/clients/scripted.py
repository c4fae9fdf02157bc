"""A TokenService that answers as tests/vectors/clients.json says: what every client is tested with.

    python tests/clients/scripted.py [ADDRESS]

It prints the line "ADDRESS" when it listens, by default on a free port of 127.0.0.1, and ends
when its standard input does. The token of a ValidateToken call is the name of a case, or that
with ~ANYTHING, so that a case whose answers differ from call to call can be asked anew.
"""

import asyncio
import contextlib
import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import grpc
from google.protobuf import json_format
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from sidecar.v1 import token_service_pb2 as messages

TABLE: Final = Path(__file__).parents[1] / "vectors/clients.json"
Context = grpc.aio.ServicerContext[messages.ValidateTokenRequest, bytes]


class Script:
    """The cases by name, and how often each token has been asked about."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        self._cases = {one["name"]: one["answers"] for one in table["cases"]}
        self._asked: Counter[str] = Counter()

    def next_answer(self, token: str) -> Mapping[str, Any]:
        """The answer whose turn it is; the last one of a case stays."""
        answers = self._cases.get(token.split("~")[0])
        if answers is None:
            return {"status": {"code": "UNKNOWN", "message": f"no case {token!r}"}}
        turn = min(self._asked[token], len(answers) - 1)
        self._asked[token] += 1
        return dict(answers[turn])


async def give(answer: Mapping[str, Any], context: Context) -> bytes:
    """The answer in bytes, or the end of the call."""
    if "hang" in answer:
        await asyncio.Event().wait()
    if "status" in answer:
        await context.abort_with_status(rpc_status.to_status(_status(**answer["status"])))
    if "bytes" in answer:
        return bytes.fromhex(answer["bytes"])
    message = json_format.ParseDict(answer["response"], messages.ValidateTokenResponse())
    return message.SerializeToString()


def _status(code: str, message: str, reason: str = "") -> status_pb2.Status:
    status = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
    if reason:
        status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="jwt-sidecar"))
    return status


async def serve(address: str) -> None:
    """Answers until standard input ends."""
    script = Script(json.loads(TABLE.read_text()))

    async def validate(request: messages.ValidateTokenRequest, context: Context) -> bytes:
        return await give(script.next_answer(request.token), context)

    server = grpc.aio.server()
    handler: grpc.RpcMethodHandler[messages.ValidateTokenRequest, bytes]
    handler = grpc.unary_unary_rpc_method_handler(
        validate, request_deserializer=messages.ValidateTokenRequest.FromString
    )
    server.add_generic_rpc_handlers(
        [
            grpc.method_handlers_generic_handler(
                "sidecar.v1.TokenService", {"ValidateToken": handler}
            )
        ]
    )
    port = server.add_insecure_port(address)
    await server.start()
    print(address.removesuffix(":0") + (f":{port}" if address.endswith(":0") else ""), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(None)


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(*(sys.argv[1:] or ["127.0.0.1:0"])))
