"""The client for threads."""

from collections.abc import Iterable
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

import grpc

from jwt_sidecar_client import answer, request
from jwt_sidecar_client.channel import (
    DEFAULT_TIMEOUT,
    OPTIONS,
    CallerToken,
    address_or_default,
    checked_timeout,
    metadata,
)
from jwt_sidecar_client.errors import SidecarUnavailable
from jwt_sidecar_client.token import IssuedToken, Token
from jwt_sidecar_client.v1 import token_service_pb2 as messages
from jwt_sidecar_client.v1.token_service_pb2_grpc import TokenServiceStub

if TYPE_CHECKING:
    from typing_extensions import Unpack

Asked = TypeVar("Asked")
Answered = TypeVar("Answered")


class Client:
    """Calls of a sidecar from any thread, over one channel for the life of the process.

    `address` is `unix:PATH` or `host:port`; default: the environment's JWT_SIDECAR_ADDRESS, else
    `unix:/run/jwt-sidecar/sidecar.sock`. `timeout` is in seconds, for a call with its retries.
    `credentials` turn TLS on; `caller_token` is the token, or gives the token, that tells the
    sidecar who calls. A process that forks makes its client afterwards.

    Every call raises SidecarUnavailable where no answer came that makes sense, and CallRejected
    where the sidecar says that the call was wrong.
    """

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
        credentials: grpc.ChannelCredentials | None = None,
        caller_token: CallerToken = None,
    ) -> None:
        self._timeout = checked_timeout(timeout)
        self._caller_token = caller_token
        self._closed = False
        target = address_or_default(address)
        self._channel = (
            grpc.secure_channel(target, credentials, options=OPTIONS)
            if credentials
            else grpc.insecure_channel(target, options=OPTIONS)
        )
        self._stub = TokenServiceStub(self._channel)

    def validate(
        self, token: str, *, timeout: float | None = None, **demands: "Unpack[request.Demands]"
    ) -> Token:
        """The verified token; raises TokenRefused where it may not pass."""
        asked = request.validation(token, **demands)
        secrets = (token, asked.proof.dpop)
        answered = self._call(self._stub.ValidateToken, asked, timeout, *secrets)
        return answer.token_of(answered, asked)

    def explain(
        self, token: str, *, timeout: float | None = None, **demands: "Unpack[request.Demands]"
    ) -> answer.Explanation:
        """Every check of the token, to find out why it is refused."""
        asked = request.validation(token, **demands)
        wrapped = messages.ExplainTokenRequest(request=asked)
        secrets = (token, asked.proof.dpop)
        answered = self._call(self._stub.ExplainToken, wrapped, timeout, *secrets)
        return answer.explanation_of(answered, asked)

    def issue(
        self, *, timeout: float | None = None, **wishes: "Unpack[request.Wishes]"
    ) -> IssuedToken:
        """Mints a token with a configured signer or a consumer's key."""
        answered = self._call(self._stub.IssueToken, request.issue(**wishes), timeout)
        return answer.issued_by(answered)

    def refresh(
        self, refresh_token: str, scopes: Iterable[str] = (), *, timeout: float | None = None
    ) -> IssuedToken:
        """Trades a refresh token, which works once, for a new pair; raises TokenRefused.

        It is never retried. After SidecarUnavailable the refresh token may have been used up.
        """
        asked = request.refreshing(refresh_token, scopes)
        answered = self._call(self._stub.RefreshToken, asked, timeout, refresh_token)
        return answer.refreshed_by(answered)

    def revoke(
        self, *, timeout: float | None = None, **target: "Unpack[request.Target]"
    ) -> datetime:
        """Revokes, durably, and says since when; raises TypeError unless one target is named."""
        asked = request.revocation(**target)
        secrets = (asked.token, asked.refresh_token)
        answered = self._call(self._stub.RevokeToken, asked, timeout, *secrets)
        return answer.revoked_by(answered)

    def jwks(self, *, timeout: float | None = None) -> str:
        """Public keys of the configured signers: a JWK Set (RFC 7517) as JSON."""
        asked = messages.GetJwksRequest()
        answered = self._call(self._stub.GetJwks, asked, timeout)
        return answer.jwks_of(answered)

    def close(self) -> None:
        """Ends the channel. Calls that run, and later ones, end in SidecarUnavailable."""
        self._closed = True
        self._channel.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _call(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Asked, Answered]",
        asked: Asked,
        timeout: float | None,
        *secrets: str,
    ) -> Answered:
        if self._closed:
            raise SidecarUnavailable("the client is closed")
        seconds = self._timeout if timeout is None else checked_timeout(timeout)
        try:
            return method(asked, timeout=seconds, metadata=metadata(self._caller_token))
        except grpc.RpcError as error:
            failure = answer.failure(error, *secrets)
        # Not from within `except`: gRPC's error may quote what a peer said of the token.
        raise failure
