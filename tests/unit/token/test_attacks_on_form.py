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


def nested() -> str:
    """A signed token that holds another."""
    return sign(header_of(cty="JWT"), mint().encode())


def disclosing() -> str:
    return f"{mint()}~{encode(as_json(['salt', 'sub', 'admin']))}~"


def in_other_alphabet() -> str:
    token = mint(sub="?" * 6)
    assert "_" in token.split(".")[1]
    return token.replace("_", "/").replace("-", "+")


def holding_unsigned() -> str:
    """An encrypted token that holds one with `alg` none."""
    header = {"alg": "RSA-OAEP-256", "enc": "A256GCM", "cty": "JWT"}
    return f"{encode(as_json(header))}.AA.AA.AA.AA"


ON_FORM = [
    attack("many dots", "CVE-2025-30204", lambda: "." * 16_000, MALFORMED),
    attack("dots without an end", "CVE-2025-27144", lambda: "." * 5_000_000, TOO_LARGE),
    attack(
        "a signature without an end", "CVE-2025-61920", lambda: f"{mint()}{'A' * 10**6}", TOO_LARGE
    ),
    attack("encrypted, with a costly password", "CVE-2023-50967", encrypted, MALFORMED),
    attack("encrypted, and not signed inside", "CVE-2026-29000", holding_unsigned, MALFORMED),
    attack("compressed, and large inside", "CVE-2024-33664", bomb, MALFORMED),
    attack("a JWS in JSON form", "RFC 7515, 7.2.2", flattened, MALFORMED),
    attack("JSON form and compact form at once", "CVE-2022-39227", two_forms, MALFORMED),
    attack("a second payload", "RFC 7515, 5.2", lambda: f"{mint()}.{encode(b'{}')}", MALFORMED),
    attack("an empty part between", "Envoy", lambda: mint().replace(".", "..", 1), MALFORMED),
    attack(
        "the payload left out",
        "RFC 7515, F",
        lambda: "{0}..{2}".format(*mint().split(".")),
        MALFORMED,
    ),
    attack("a token in a token", "RFC 8725, 3.3", nested, MALFORMED),
    attack("claims after the signature (SD-JWT)", "RFC 9901, 4", disclosing, MALFORMED),
    attack("b64 false", "RFC 7797, 7", unencoded, MALFORMED),
    attack(
        "b64 false, and not in crit", "RFC 7797, 6", lambda: mint(header={"b64": False}), MALFORMED
    ),
    attack("padding", "RFC 7515, 2", lambda: f"{mint()}==", MALFORMED),
    attack("white space", "RFC 7515, 2", lambda: mint().replace(".", ".\n", 1), MALFORMED),
    attack("+ and / for - and _", "RFC 7515, 2", in_other_alphabet, MALFORMED),
    attack("a character outside base64url", "CVE-2022-25898", lambda: f"{mint()}%", MALFORMED),
    attack(
        "stray bits in the last character", "RFC 4648, 3.5", lambda: f"{mint()[:-1]}B", MALFORMED
    ),
]

ON_THE_HEADER = [
    attack(
        "crit names what nobody knows",
        "CVE-2025-59420",
        lambda: mint(header={"crit": ["bork"], "bork": True}),
        Reason.CRITICAL_HEADER_UNKNOWN,
    ),
    attack(
        "crit names what the header lacks",
        "CVE-2026-32597",
        lambda: mint(header={"crit": ["bork"]}),
        Reason.CRITICAL_HEADER_UNKNOWN,
    ),
    attack(
        "crit names a registered parameter",
        "RFC 7515, 4.1.11",
        lambda: mint(header={"crit": ["alg"]}),
        Reason.CRITICAL_HEADER_UNKNOWN,
    ),
    attack("crit empty", "RFC 7515, 4.1.11", lambda: mint(header={"crit": []}), MALFORMED),
    attack("crit an object", "RFC 7515, 4.1.11", lambda: mint(header={"crit": {}}), MALFORMED),
    attack(
        "a logout token",
        "RFC 8725, 2.8",
        lambda: mint(header={"typ": "logout+jwt"}),
        Reason.TYPE_NOT_ALLOWED,
    ),
    attack(
        "the same, by its whole media type",
        "RFC 7515, 4.1.9",
        lambda: mint(header={"typ": "application/LOGOUT+JWT"}),
        Reason.TYPE_NOT_ALLOWED,
    ),
    attack(
        "a DPoP proof",
        "RFC 9449, 4.2",
        lambda: mint(header={"typ": "dpop+jwt", "jwk": {"kty": "EC"}}),
        Reason.TYPE_NOT_ALLOWED,
    ),
    attack("a header that is an array", "RFC 7515, 4", lambda: sign([], CLAIMS), MALFORMED),
]

ON_JSON = [
    attack("a claim twice", "RFC 7519, 4", lambda: claims_between('"x":1', '"x":2'), MALFORMED),
    attack(
        "sub twice", "RFC 7515, 10.12", lambda: claims_between('"sub":"admin"', '"y":1'), MALFORMED
    ),
    attack(
        "sub twice, once with an escape",
        "RFC 7515, 10.13",
        lambda: claims_between(r'"\u0073ub":"admin"', '"y":1'),
        MALFORMED,
    ),
    attack(
        "a second object behind the claims",
        "RFC 8259, 2",
        lambda: payload(as_json(dict(CLAIMS)) + b'{"sub":"admin"}'),
        MALFORMED,
    ),
    attack("a comment", "RFC 8259, 2", lambda: claims_between('"x":1/*', '*/"y":1'), MALFORMED),
    attack(
        "nested deeply", "CVE-2025-53864", lambda: payload(b"[" * 9000 + b"]" * 3000), MALFORMED
    ),
    attack("10,000 digits", "CVE-2020-10735", lambda: payload(b"9" * 10_000), MALFORMED),
    attack(
        "quotes that are read again and again",
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
    attack("a byte order mark", "RFC 8259, 8.1", lambda: payload(b"\xef\xbb\xbf{}"), MALFORMED),
    attack(
        "half a surrogate pair", "RFC 8259, 8.2", lambda: payload(rb'{"sub":"\ud800"}'), MALFORMED
    ),
]

ON_CLAIMS = [
    attack("iss an array", "CVE-2025-30144", lambda: mint(iss=[ISSUER, EVIL]), UNKNOWN),
    attack(
        "iss an array, where the issuer is named",
        "CVE-2025-30144",
        lambda: mint(iss=[EVIL, ISSUER]),
        Reason.ISSUER_MISMATCH,
        issuer_name="corp",
    ),
    attack("iss cut", "CVE-2024-53861", lambda: mint(iss=ISSUER[:-1]), UNKNOWN),
    attack("iss made longer", "RFC 8725, 3.8", lambda: mint(iss=f"{ISSUER}.evil.example"), UNKNOWN),
    attack(
        "iss with another host",
        "RFC 3986, 7.6",
        lambda: mint(iss=f"{ISSUER}@evil.example"),
        UNKNOWN,
    ),
    attack("iss in another case", "RFC 7519, 4.1.1", lambda: mint(iss=ISSUER.upper()), UNKNOWN),
    attack(
        "iss with a letter that looks the same",
        "RFC 7515, 10.13",
        lambda: mint(iss=ISSUER.replace("o", "\u043e")),
        UNKNOWN,
    ),
    attack(
        "iss an address inside", "RFC 8725, 3.10", lambda: mint(iss="http://169.254.1.1/"), UNKNOWN
    ),
    attack("no aud", "RFC 8725, 3.9", lambda: mint(aud=ABSENT), AUDIENCE),
    attack("aud an empty array", "CVE-2020-26160", lambda: mint(aud=[]), AUDIENCE),
    attack("aud of an empty string", "CVE-2020-26160", lambda: mint(aud=[""]), AUDIENCE),
    attack("aud cut", "RFC 8725, 3.9", lambda: mint(aud="order"), AUDIENCE),
    attack("aud *", "RFC 7519, 4.1.3", lambda: mint(aud="*"), AUDIENCE),
    attack("aud a list in one string", "RFC 7519, 4.1.3", lambda: mint(aud="web,orders"), AUDIENCE),
    attack("aud a URL around the name", "Envoy", lambda: mint(aud="https://orders/"), AUDIENCE),
    attack("aud an object", "RFC 7519, 4.1.3", lambda: mint(aud={"orders": 1}), MISMATCH),
    attack("aud an array in an array", "RFC 7519, 4.1.3", lambda: mint(aud=[["orders"]]), MISMATCH),
    attack(
        "an ID token", "RFC 9068, 2.1", lambda: mint(aud="web", nonce="n", at_hash="h"), AUDIENCE
    ),
    attack("no exp", "RFC 7519, 4.1.4", lambda: mint(exp=ABSENT), MISSING),
    attack("exp now", "RFC 7519, 4.1.4", lambda: mint(exp=NOW), Reason.EXPIRED),
    attack("exp null", "RFC 7519, 4.1.4", lambda: mint(exp=None), MISMATCH),
    attack("exp true", "RFC 7519, 2", lambda: mint(exp=True), MISMATCH),
    attack("exp a string", "CVE-2026-25537", lambda: mint(exp=str(NOW + 600)), MISMATCH),
    attack("nbf a string", "CVE-2026-25537", lambda: mint(nbf=str(NOW + 600)), MISMATCH),
    attack("exp in milliseconds", "RFC 7519, 2", lambda: mint(exp=NOW * 1000), MISMATCH),
    attack("exp NaN", "RFC 8259, 6", lambda: mint(exp=float("nan")), MALFORMED),
    attack("exp Infinity", "RFC 8259, 6", lambda: mint(exp=float("inf")), MALFORMED),
    attack("exp 1e400", "RFC 8259, 6", lambda: payload(b'{"exp":1e400}'), MALFORMED),
    attack(
        "a scope that begins like the one needed",
        "RFC 6749, 3.3",
        lambda: mint(scope="orders:w orders:write-off"),
        Reason.SCOPE_INSUFFICIENT,
        scopes=("orders:write",),
    ),
    attack(
        "scopes parted by a comma",
        "RFC 6749, 3.3",
        lambda: mint(scope="read,write"),
        Reason.SCOPE_INSUFFICIENT,
        scopes=("write",),
    ),
    attack(
        "bound to a key, without a proof",
        "RFC 9449, 7.2",
        lambda: mint(cnf={"jkt": "x"}),
        Reason.PROOF_INVALID,
    ),
    attack(
        "bound to a certificate, without it",
        "RFC 8705, 3",
        lambda: mint(cnf={"x5t#S256": "x"}),
        Reason.PROOF_INVALID,
    ),
]

ATTACKS = [*ON_FORM, *ON_THE_HEADER, *ON_JSON, *ON_CLAIMS]


@pytest.mark.parametrize("one", ATTACKS)
def test_an_attack_fails(one: Attack) -> None:
    assert_fails(one)


def test_claims_written_by_hand_pass_where_none_is_twice() -> None:
    assert_passes(judge(claims_between('"x":1', '"y":2')))
