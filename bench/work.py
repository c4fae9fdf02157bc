"""What the sidecar is asked, with what configuration, and what it must answer."""

import json
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import jwt
from envoy.service.auth.v3 import external_auth_pb2

from bench import empty
from sidecar.keys.generated import generate_private_key
from sidecar.token.jwk import public_jwk
from sidecar.token.key import from_public_key
from sidecar.v1 import token_service_pb2 as messages
from sidecar.v1.reason_pb2 import REASON_SIGNATURE_INVALID

ISSUER: Final = "https://issuer.example"
AUDIENCE: Final = "shop"
SECRET: Final = "a secret of the benchmark, and of nobody else"
SUBJECT: Final = {
    "sub": "9f4c7a52-alice",
    "scope": "orders:read orders:write profile",
    "tenant": "example",
}
"""What every token says of whom it is for."""
ASYMMETRIC: Final = ("RS256", "ES256", "EdDSA")
FORWARDED: Final = {"x-jwt-subject": "sub", "x-jwt-scope": "scope", "x-jwt-tenant": "tenant"}
"""Headers for the upstream, and the claims that they are made of."""
HEADERS: Final = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate, br",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}
"""Of a usual request of a browser, beside its token."""
HOST: Final = "shop.example"
PATH: Final = "/orders?page=2"
VALIDATE: Final = "/sidecar.v1.TokenService/ValidateToken"
CHECK: Final = "/envoy.service.auth.v3.Authorization/Check"


@dataclass(frozen=True, slots=True)
class Budget:
    """What a call may cost: a multiple of the empty call, and so many bare verifications."""

    empty: float
    verifications: float = 0

    def allows(self, empty: float, verification: float) -> float:
        """The most that a call may cost where these are the costs of the two."""
        return self.empty * empty + self.verifications * verification

    def __str__(self) -> str:
        empty = "E" if self.empty == 1 else f"{self.empty:g} E"
        return f"{empty} + {self.verifications:g} V" if self.verifications else empty


@dataclass(frozen=True, slots=True)
class Work:
    """One kind of call."""

    name: str
    method: str
    requests: Callable[[int], Sequence[bytes]]
    """Prepares so many requests."""
    is_right: Callable[[bytes], bool]
    """Whether this is the answer that it must be."""
    verified: str = ""
    """The algorithm whose bare verification the cost is compared with."""
    budget: Budget | None = None
    in_flight: int = 64
    """How many calls are made at a time; with fewer, the native server often wakes up for one."""


class Tokens:
    """Issues the tokens that the sidecar is asked about."""

    def __init__(self) -> None:
        self.private_keys = {name: generate_private_key(name) for name in ASYMMETRIC}

    def new(self, algorithm: str, **others: str) -> str:
        """A token that nobody has seen before, with these claims too."""
        now = int(time.time())
        claims = {
            **SUBJECT,
            "aud": AUDIENCE,
            "iat": now,
            "exp": now + 3600,
            "jti": str(uuid.uuid4()),
        }
        if algorithm in ASYMMETRIC:
            key = self.private_keys[algorithm]
            claims = {"iss": ISSUER, **claims, **others}
            return jwt.encode(claims, key, algorithm, {"kid": algorithm})
        return jwt.encode({"key": "bench", **claims, **others}, SECRET, algorithm)

    def jwks(self) -> dict[str, Any]:
        """The public keys."""
        keys = (
            {**public_jwk(from_public_key(key.public_key(), name)), "alg": name, "use": "sig"}
            for name, key in self.private_keys.items()
        )
        return {"keys": list(keys)}


def configure(directory: Path, transport: str, tokens: Tokens) -> Path:
    """Writes the configuration of a sidecar that listens on `socket` in this directory."""
    settings = {
        "listeners": [
            {
                "address": "unix:socket",
                "services": ["validate", "ext_authz", "issue"],
                "transport": transport,
            }
        ],
        "http": {"address": "127.0.0.1:0"},
        "issuers": [
            {
                "name": "issuer",
                "issuer": ISSUER,
                "keys": {"inline": tokens.jwks()},
                "audiences": [AUDIENCE],
            }
        ],
        "consumers": {
            "list": [
                {
                    "name": "consumer",
                    "key": "bench",
                    "algorithm": "HS256",
                    "secret": {"value": SECRET},
                }
            ]
        },
        "signers": [
            {
                "name": "signer",
                "issuer": "https://signer.example",
                "keys": [{"generate": "ES256"}],
                "audiences": [AUDIENCE],
            }
        ],
        "authorization": {"forward": {"headers": FORWARDED}},
        "shutdown": {"drain": "0s", "grace": "1s"},
        "log": {"level": "error"},
    }
    directory.mkdir()
    path = directory / "jwt-sidecar.yaml"
    path.write_text(json.dumps(settings))
    return path


EMPTY: Final = Work(
    "empty handler (E)",
    f"/{empty.SERVICE}/{empty.METHOD}",
    lambda number: [b""] * number,
    lambda answer: answer == b"",
)


def works(tokens: Tokens) -> tuple[Work, ...]:
    """Every kind of call, in the order of the table."""
    seen = tokens.new("RS256")

    def validate(
        name: str,
        requests: Callable[[int], Sequence[bytes]],
        verified: str = "",
        budget: Budget | None = None,
        is_right: Callable[[bytes], bool] = is_valid,
    ) -> Work:
        return Work(f"ValidateToken, {name}", VALIDATE, requests, is_right, verified, budget)

    def new(algorithm: str) -> Callable[[int], Sequence[bytes]]:
        return lambda number: [validate_request(tokens.new(algorithm)) for _ in range(number)]

    def forged(number: int) -> Sequence[bytes]:
        """Claims of their own under the signature of another token."""
        header, _, signature = tokens.new("RS256").split(".")
        claims = (tokens.new("ES256").split(".")[1] for _ in range(number))
        return [validate_request(f"{header}.{one}.{signature}") for one in claims]

    again = validate(
        "token seen before", lambda number: [validate_request(seen)] * number, "", Budget(1.5)
    )
    return (
        EMPTY,
        again,
        validate("RS256, new token", new("RS256"), "RS256", Budget(1, 4)),
        validate("ES256, new token", new("ES256"), "ES256"),
        validate("EdDSA, new token", new("EdDSA"), "EdDSA"),
        validate("HS256, new token", new("HS256")),
        validate("RS256, bad signature", forged, "RS256", is_right=is_refused),
        Work(
            "IssueToken, ES256",
            "/sidecar.v1.TokenService/IssueToken",
            lambda number: (
                [messages.IssueTokenRequest(subject="alice").SerializeToString()] * number
            ),
            lambda answer: messages.IssueTokenResponse.FromString(answer).algorithm == "ES256",
        ),
        Work(
            "ext_authz Check, token seen before",
            CHECK,
            lambda number: [check_request(seen)] * number,
            is_admitted,
            budget=Budget(2),
        ),
        _one_at_a_time(EMPTY),
        _one_at_a_time(again),
    )


def _one_at_a_time(work: Work) -> Work:
    return replace(work, name=f"{work.name}, one at a time", budget=None, in_flight=1)


def validate_request(token: str) -> bytes:
    """Whether this token may pass."""
    return messages.ValidateTokenRequest(token=token).SerializeToString()


def is_valid(answer: bytes) -> bool:
    """Whether ValidateToken let the token pass."""
    return messages.ValidateTokenResponse.FromString(answer).valid


def is_refused(answer: bytes) -> bool:
    """Whether ValidateToken refused the token for its signature."""
    return messages.ValidateTokenResponse.FromString(answer).reason == REASON_SIGNATURE_INVALID


def check_request(token: str, path: str = PATH) -> bytes:
    """What Envoy sends about a usual request of a browser."""
    request = external_auth_pb2.CheckRequest()
    attributes = request.attributes
    for peer, port in ((attributes.source, 41234), (attributes.destination, 8080)):
        peer.address.socket_address.address = "10.1.2.3"
        peer.address.socket_address.port_value = port
    http = attributes.request.http
    http.id, http.method, http.protocol = "1234567890123456789", "GET", "HTTP/1.1"
    http.host, http.path, http.scheme = HOST, path, "https"
    http.headers.update(
        {
            ":authority": HOST,
            ":method": "GET",
            ":path": path,
            ":scheme": "https",
            **HEADERS,
            "authorization": f"Bearer {token}",
            "x-forwarded-proto": "https",
            "x-request-id": "7d1f0c52-3a55-4a53-8f06-6a6f4f2f6f10",
        }
    )
    data: bytes = request.SerializeToString()
    return data


def is_admitted(answer: bytes) -> bool:
    """Whether Check let the request pass, with its headers."""
    response = external_auth_pb2.CheckResponse.FromString(answer)
    names = {one.header.key for one in response.ok_response.headers}
    return response.status.code == 0 and names == set(FORWARDED)
