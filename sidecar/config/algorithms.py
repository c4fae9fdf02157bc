"""Names of algorithms as settings."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from sidecar.config.problems import nearest
from sidecar.config.section import came, fault
from sidecar.token.algorithms import ALGORITHMS
from sidecar.token.words import names


def _known(name: object) -> str:
    if not isinstance(name, str):
        raise fault(f"must be a JWS algorithm, such as ES256; it is {came(name)}")
    if name in ALGORITHMS:
        return name
    near = nearest(name, ALGORITHMS)
    hint = f'did you mean "{near}"?' if near else f"known are {names(ALGORITHMS)}"
    raise fault(f"must be a JWS algorithm; it is {came(name)}: {hint}")


_SCHEMA: dict[str, Any] = {"type": "string", "enum": sorted(ALGORITHMS)}

AlgorithmName = Annotated[str, BeforeValidator(_known), WithJsonSchema(_SCHEMA)]
"""A name of `sidecar.token.algorithms.ALGORITHMS`."""
