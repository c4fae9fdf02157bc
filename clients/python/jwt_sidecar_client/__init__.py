"""Asks a jwt-sidecar whether a JSON Web Token (RFC 7519) may pass."""

from jwt_sidecar_client.aio import AsyncClient
from jwt_sidecar_client.answer import Check, Explanation
from jwt_sidecar_client.client import Client
from jwt_sidecar_client.errors import CallRejected, SidecarError, SidecarUnavailable, TokenRefused
from jwt_sidecar_client.request import Proof, SubjectReference, TokenReference
from jwt_sidecar_client.token import IssuedToken, Token

__all__ = [
    "AsyncClient",
    "CallRejected",
    "Check",
    "Client",
    "Explanation",
    "IssuedToken",
    "Proof",
    "SidecarError",
    "SidecarUnavailable",
    "SubjectReference",
    "Token",
    "TokenReference",
    "TokenRefused",
]
