"""One Authorization header gives one token, or none."""

from typing import Any

import pytest

from jwt_sidecar_client import TokenRefused
from jwt_sidecar_client.bearer import bearer_token
from tests.table import HEADERS

MALFORMED = (
    "Bearer a.b.c ",
    "Bearer a.b.c\n",
    "Bearer \na.b.c",
    "Bearer\u00a0a.b.c",
    "Bearer a.b.c\u00e9",
    "Bearer a=b",
    "Bearer =",
    "Bearer \u0000",
    "Bearer \ud800",
    "Bearer\t",
)


@pytest.mark.parametrize("row", [pytest.param(one, id=one["name"]) for one in HEADERS])
def test_the_header_is_read_as_the_table_says(row: dict[str, Any]) -> None:
    if row["reason"] in ("", "EXPIRED"):  # what the sidecar says
        assert row["authorization"][0].endswith(bearer_token(row["authorization"]))
        return
    with pytest.raises(TokenRefused) as caught:
        bearer_token(row["authorization"])
    assert caught.value.reason == row["reason"]


@pytest.mark.parametrize("value", MALFORMED)
def test_what_is_no_token_is_malformed(value: str) -> None:
    with pytest.raises(TokenRefused) as caught:
        bearer_token([value])
    assert caught.value.reason == "TOKEN_MALFORMED"


@pytest.mark.parametrize("value", ["a-b.c_d~e/f+g==", "0"])
def test_every_character_of_a_token_is_taken(value: str) -> None:
    assert bearer_token([f"Bearer {value}"]) == value
