"""tests/vectors/clients.json agrees with what the sidecar itself tells the clients of a proxy."""

import json
from pathlib import Path
from typing import Any

import pytest

from sidecar.authorization.denial import Failure, deny
from sidecar.token.reason import DpopError, Reason
from sidecar.token.request import Refusal

TABLE = json.loads((Path(__file__).parents[1] / "vectors/clients.json").read_text())
KNOWN = set(Reason.__members__)
REFUSED = [one for one in TABLE["cases"] if one["client"].get("reason") in KNOWN]
GRPC = {
    Failure.UNAUTHENTICATED: "UNAUTHENTICATED",
    Failure.PERMISSION_DENIED: "PERMISSION_DENIED",
    Failure.UNAVAILABLE: "UNAVAILABLE",
}


def test_names_are_distinct() -> None:
    for kind in ("cases", "headers"):
        names = [one["name"] for one in TABLE[kind]]
        assert len(set(names)) == len(names)


def test_every_reason_is_there() -> None:
    assert {one["client"]["reason"] for one in REFUSED} == KNOWN - {"UNSPECIFIED"}


@pytest.mark.parametrize("case", [pytest.param(one, id=one["name"]) for one in REFUSED])
def test_a_refusal_is_told_as_proxies_tell_it(case: dict[str, Any]) -> None:
    client, request = case["client"], case.get("request", {})
    refusal = Refusal(
        Reason[client["reason"]],
        client["message"],
        "corp",
        tuple(request.get("scopes", ())),
        None,
        DpopError.PROOF if "dpop" in request else None,
        case["answers"][0]["response"].get("insufficient", False),
    )
    denial = deny(refusal, TABLE["realm"], json_body=True)
    assert client["http_status"] == denial.http_status
    assert client["grpc_status"] == GRPC[denial.failure]
    algorithms = ', algs="'
    challenge = denial.headers.get("www-authenticate", "").split(algorithms)[0]
    assert client["www_authenticate"] == challenge
