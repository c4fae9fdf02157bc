"""Orders, for those whose tokens may read or write them.

    uvicorn example.service:app

JWT_SIDECAR_ADDRESS says where the sidecar is.
"""

from typing import Annotated

from fastapi import FastAPI, Security

from jwt_sidecar_client import AsyncClient, Token
from jwt_sidecar_client.fastapi import BearerToken, answer_denials

app = FastAPI(title="Orders")
answer_denials(app)
signed_in = BearerToken(AsyncClient(), realm="orders", audiences=["orders"])
orders: list[str] = []


@app.get("/orders")
def read(_: Annotated[Token, Security(signed_in, scopes=["orders:read"])]) -> list[str]:
    """All orders."""
    return orders


@app.post("/orders", status_code=201)
def write(token: Annotated[Token, Security(signed_in, scopes=["orders:write"])]) -> str:
    """A new order, of the token's subject."""
    orders.append(token.subject)
    return token.subject
