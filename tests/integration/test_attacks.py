"""What callers, clients and issuers try, and what it must not get them."""

import json
import time
from pathlib import Path

import grpc
import pytest

from sidecar.keys.generated import generate_private_key
from sidecar.token.jwk import public_jwk
from sidecar.token.key import from_public_key
from sidecar.token.keyset import from_jwks
from sidecar.token.strict_json import parse_object
from tests.running import SECRET, fails, listener, running

NESTED = f"""
signers:
  - name: internal
    issuer: https://tokens.example
    keys: [{{generate: ES256}}]
    claims: {{tenant: {{id: shop}}}}
consumers:
  key_claim: user.key
  list:
    - {{name: jack, key: jacks, algorithm: HS256, secret: {{value: {SECRET}}}}}
    - {{name: jill, key: jills, algorithm: HS256, secret: {{value: {SECRET}}}}}
"""
ESCAPED_QUOTES = rb"\"" * 30_000


def test_a_string_without_an_end_costs_no_more_than_its_length() -> None:
    started = time.process_time()
    for text in (b'{"a":"' + b"[" * 33 + ESCAPED_QUOTES, b'{"a":"' + ESCAPED_QUOTES + b"[" * 33):
        try:
            parse_object(text, 32)
        except ValueError:
            continue
        raise AssertionError("it has no end")
    assert time.process_time() - started < 1


def test_brackets_in_strings_are_no_nesting() -> None:
    claims = {"a": "[" * 40 + '"' + "{" * 40, "b": "\\", "c": ["]"]}
    assert parse_object(json.dumps(claims).encode(), 2) == claims


@pytest.mark.parametrize("alg", [["RS256"], {}, 5, True, ""])
def test_a_key_whose_alg_is_no_name_leaves_the_others_in_use(alg: object) -> None:
    public_key = generate_private_key("EdDSA").public_key()
    good = {"kid": "good", **public_jwk(from_public_key(public_key))}
    keys = from_jwks({"keys": [{**good, "kid": "odd", "alg": alg}, good]})
    assert [one.key_id for one in keys.keys] == ["good"]
    assert [one.key_id for one in keys.unusable] == ["odd"]


@pytest.mark.parametrize(
    ("fields", "claims"),
    [
        pytest.param({"consumer": "jack"}, {"user.key": "jills"}, id="the key of a consumer"),
        pytest.param({"signer": "internal"}, {"tenant.id": "bank"}, id="a claim of the signer"),
        pytest.param({"signer": "internal"}, {"tenant.": {"id": 1}}, id="a part of its name"),
    ],
)
async def test_a_dotted_name_cannot_stand_in_for_a_fixed_claim(
    tmp_path: Path, fields: dict[str, str], claims: dict[str, object]
) -> None:
    async with running(tmp_path, listener("grpcio") + NESTED) as sidecar:
        with fails(grpc.StatusCode.INVALID_ARGUMENT, "NAME_RESERVED", "claims_json"):
            await sidecar.issue(**fields, claims_json=json.dumps(claims))
