"""What callers, clients and issuers try, and what it must not get them."""

import json
import time

import pytest

from sidecar.keys.generated import generate_private_key
from sidecar.token.jwk import public_jwk
from sidecar.token.key import from_public_key
from sidecar.token.keyset import from_jwks
from sidecar.token.strict_json import parse_object

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
