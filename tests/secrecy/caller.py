"""Who calls the methods of a sidecar by one channel, and keeps what came of it."""

from typing import Any, Final

import grpc
from google.protobuf.message import Message

from sidecar.v1 import token_service_pb2 as messages
from tests.secrecy.markers import Markers
from tests.secrecy.seen import Seen

TOKENS: Final = "/sidecar.v1.TokenService"
ADMIN: Final = "/sidecar.v1.AdminService"
CHECK: Final = "/envoy.service.auth.v3.Authorization/Check"


class Caller:
    """Calls methods by one channel; errors are seen as well, with their details."""

    def __init__(self, name: str, channel: grpc.aio.Channel, seen: Seen) -> None:
        self._name = name
        self._channel = channel
        self._seen = seen
        self.codes: set[str] = set()
        """That calls ended with."""

    async def call(
        self, what: str, method: str, request: Message | bytes, *metadata: tuple[str, str]
    ) -> bytes:
        """The answer, empty where there is none. What was asked is called `what`."""
        data = request if isinstance(request, bytes) else request.SerializeToString()
        place = f"{method.rpartition('/')[2]} {what}, {self._name}"
        call: Any = self._channel.unary_unary(method)
        try:
            answer: bytes = await call(data, metadata=metadata, timeout=15)
        except grpc.aio.AioRpcError as error:
            self.codes.add(error.code().name)
            self._seen.add(place, f"{error.code().name} {error.details()}")
            for _, value in error.trailing_metadata() or ():
                self._seen.add(place, value)
            return b""
        self.codes.add("OK")
        if method.endswith(("/IssueToken", "/RefreshToken")):
            self._seen.add(place, self._without_tokens(what, method, answer))
        else:
            self._seen.add(place, answer)
        return answer

    def _without_tokens(self, what: str, method: str, answer: bytes) -> bytes:
        """The rest of an answer that is to hold tokens, which may be in no other."""
        if method.endswith("/IssueToken"):
            message: Any = messages.IssueTokenResponse.FromString(answer)
            issued = message
        else:
            message = messages.RefreshTokenResponse.FromString(answer)
            issued = message.issued
        if issued.token:
            know_issued(self._seen.markers, f"issued ({what})", issued.token, issued.refresh_token)
            issued.token = issued.refresh_token = ""
        data: bytes = message.SerializeToString()
        return data

    async def issue(self, what: str, **fields: Any) -> messages.IssueTokenResponse:
        request = messages.IssueTokenRequest(**fields)
        return messages.IssueTokenResponse.FromString(
            await self.call(what, f"{TOKENS}/IssueToken", request)
        )

    async def refresh(self, what: str, token: str) -> messages.IssueTokenResponse:
        request = messages.RefreshTokenRequest(refresh_token=token)
        answer = await self.call(what, f"{TOKENS}/RefreshToken", request)
        return messages.RefreshTokenResponse.FromString(answer).issued


def know_issued(markers: Markers, name: str, token: str, refresh_token: str = "") -> None:
    markers.know(f"signature of {name}", token.rpartition(".")[2])
    if refresh_token:
        markers.know(f"refresh token {name}", refresh_token.removeprefix("jsr_"))
