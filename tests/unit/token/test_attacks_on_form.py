"""Attacks on parsing and on claims, each with where it is known from."""

import gzip
import json

import pytest

from sidecar.token.reason import Reason
from tests.attacks import Attack, assert_fails, attack
from tests.tokens import (
    ABSENT,
    CLAIMS,
    ISSUER,
    NOW,
    as_json,
    assert_passes,
    encode,
    header_of,
    judge,
    mint,
    seal,
    sign,
)

MALFORMED, TOO_LARGE = Reason.TOKEN_MALFORMED, Reason.TOKEN_TOO_LARGE
MISMATCH, MISSING = Reason.CLAIM_MISMATCH, Reason.CLAIM_MISSING
AUDIENCE, UNKNOWN = Reason.AUDIENCE_MISMATCH, Reason.ISSUER_UNKNOWN
EVIL = "https://evil.example"


def flattened() -> str:
    header, payload, signature = mint().split(".")
    return json.dumps({"protected": header, "payload": payload, "signature": signature})


def two_forms() -> str:
    """Both a JWS in JSON form and, to who only looks for dots, one in compact form."""
    forged = encode(as_json({**CLAIMS, "sub": "admin"}))
    header, payload, signature = mint().split(".")
    return f'{{"  {header}.{forged}.":"","payload":"{payload}","signature":"{signature}"}}'


def claims_between(first: str, second: str) -> str:
    claims = json.dumps(dict(CLAIMS))[1:-1]
    return sign(header_of(), f"{{{first},{claims},{second}}}".encode())


def payload(data: bytes) -> str:
    return sign(header_of(), data)


def encrypted() -> str:
    header = {"alg": "PBES2-HS256+A128KW", "p2c": 2**31 - 1, "enc": "A128GCM"}
    return f"{encode(as_json(header))}.AA.AA.AA.AA"


def bomb() -> str:
    return sign(header_of(zip="DEF"), gzip.compress(b'{"a":"' + b"a" * 100_000 + b'"}'))


def unencoded() -> str:
    return seal(f"{encode(as_json(header_of(b64=False, crit=['b64'])))}.e30")


ATTACKS = [
    attack("many dots", "CVE-2025-30204", lambda: "." * 16_000, MALFORMED),
    attack("no end of dots", "CVE-2025-27144", lambda: "." * 5_000_000, TOO_LARGE),
    attack("long signature", "CVE-2025-61920", lambda: f"{mint()}{'A' * 10**6}", TOO_LARGE),
    attack("encrypted, PBES2", "CVE-2023-50967", encrypted, MALFORMED),
    attack("compressed", "CVE-2024-33664", bomb, MALFORMED),
    attack("JWS in JSON form", "RFC 7515, 7.2.2", flattened, MALFORMED),
    attack("two forms at once", "CVE-2022-39227", two_forms, MALFORMED),
    attack("a second payload", "RFC 7515, 5.2", lambda: f"{mint()}.{encode(b'{}')}", MALFORMED),
    attack("payload unencoded", "RFC 7797, 7", unencoded, MALFORMED),
    attack("padding", "RFC 7515, 2", lambda: f"{mint()}==", MALFORMED),
    attack("white space", "RFC 7515, 2", lambda: mint().replace(".", ".\n", 1), MALFORMED),
    attack("stray bits", "RFC 4648, 3.5", lambda: f"{mint()[:-1]}B", MALFORMED),
    attack(
        "crit unknown",
        "CVE-2025-59420",
        lambda: mint(header={"crit": ["bork"], "bork": True}),
        Reason.CRITICAL_HEADER_UNKNOWN,
    ),
    attack(
        "crit not in the header",
        "CVE-2026-32597",
        lambda: mint(header={"crit": ["bork"]}),
        Reason.CRITICAL_HEADER_UNKNOWN,
    ),
    attack("crit empty", "RFC 7515, 4.1.11", lambda: mint(header={"crit": []}), MALFORMED),
    attack("crit an object", "RFC 7515, 4.1.11", lambda: mint(header={"crit": {}}), MALFORMED),
    attack(
        "another kind of token",
        "RFC 8725, 2.8",
        lambda: mint(header={"typ": "logout+jwt"}),
        Reason.TYPE_NOT_ALLOWED,
    ),
    attack("a claim twice", "RFC 7519, 4", lambda: claims_between('"x":1', '"x":2'), MALFORMED),
    attack(
        "sub twice", "RFC 7515, 10.12", lambda: claims_between('"sub":"admin"', '"y":1'), MALFORMED
    ),
    attack(
        "sub twice, escaped",
        "RFC 7515, 10.13",
        lambda: claims_between(r'"\u0073ub":"admin"', '"y":1'),
        MALFORMED,
    ),
    attack("nested deeply", "CWE-674", lambda: payload(b"[" * 9000 + b"]" * 3000), MALFORMED),
    attack("10,000 digits", "CVE-2020-10735", lambda: payload(b"9" * 10_000), MALFORMED),
    attack(
        "quotes read again and again",
        "CWE-1333",
        lambda: payload(b'{"a":' + b"[" * 33 + b'"' + rb"\"" * 5000),
        MALFORMED,
    ),
    attack(
        "UTF-16",
        "RFC 8725, 3.7",
        lambda: payload(json.dumps(dict(CLAIMS)).encode("utf-16")),
        MALFORMED,
    ),
    attack("byte order mark", "RFC 8259, 8.1", lambda: payload(b"\xef\xbb\xbf{}"), MALFORMED),
    attack(
        "half a surrogate pair", "RFC 8259, 8.2", lambda: payload(rb'{"sub":"\ud800"}'), MALFORMED
    ),
    attack("iss an array", "CVE-2025-30144", lambda: mint(iss=[ISSUER, EVIL]), UNKNOWN),
    attack(
        "iss an array, issuer named",
        "CVE-2025-30144",
        lambda: mint(iss=[EVIL, ISSUER]),
        Reason.ISSUER_MISMATCH,
        issuer_name="corp",
    ),
    attack("iss cut", "CVE-2024-53861", lambda: mint(iss=ISSUER[:-1]), UNKNOWN),
    attack("iss longer", "RFC 8725, 3.8", lambda: mint(iss=f"{ISSUER}.evil.example"), UNKNOWN),
    attack("iss in another case", "RFC 7519, 4.1.1", lambda: mint(iss=ISSUER.upper()), UNKNOWN),
    attack("aud absent", "RFC 8725, 3.9", lambda: mint(aud=ABSENT), AUDIENCE),
    attack("aud empty", "CVE-2020-26160", lambda: mint(aud=[]), AUDIENCE),
    attack("aud of an empty string", "CVE-2020-26160", lambda: mint(aud=[""]), AUDIENCE),
    attack("aud cut", "RFC 8725, 3.9", lambda: mint(aud="order"), AUDIENCE),
    attack("aud an object", "RFC 7519, 4.1.3", lambda: mint(aud={"orders": 1}), MISMATCH),
    attack("exp absent", "RFC 7519, 4.1.4", lambda: mint(exp=ABSENT), MISSING),
    attack("exp null", "RFC 7519, 4.1.4", lambda: mint(exp=None), MISMATCH),
    attack("exp a string", "RFC 7519, 2", lambda: mint(exp=str(NOW + 600)), MISMATCH),
    attack("exp in milliseconds", "RFC 7519, 2", lambda: mint(exp=NOW * 1000), MISMATCH),
    attack("exp NaN", "RFC 8259, 6", lambda: mint(exp=float("nan")), MALFORMED),
    attack("exp Infinity", "RFC 8259, 6", lambda: mint(exp=float("inf")), MALFORMED),
    attack("bound to a key", "RFC 9449, 7.2", lambda: mint(cnf={"jkt": "x"}), Reason.PROOF_INVALID),
]


@pytest.mark.parametrize("one", ATTACKS)
def test_an_attack_fails(one: Attack) -> None:
    assert_fails(one)


def test_claims_written_by_hand_pass_where_none_is_twice() -> None:
    assert_passes(judge(claims_between('"x":1', '"y":2')))
