"""What callers, clients and issuers try, and what it must not get them."""

import json
import time

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
