"""The header's parameters: what they may be, and which are never listened to."""

from typing import Any

import pytest

from sidecar.token.checks.form import normalized_type
from sidecar.token.reason import Reason
from tests.authors import CORP, STRANGER, author, key_set
from tests.tokens import ABSENT, assert_passes, assert_refused, issuer, judge, mint

ACCESS_TOKEN = issuer(types=frozenset({"at+jwt"}), type_required=True)


@pytest.mark.parametrize("typ", ["at+jwt", "AT+JWT", "application/at+jwt"])
def test_where_typ_is_required_the_right_one_passes(typ: str) -> None:
    assert_passes(judge(mint(header={"typ": typ}), ACCESS_TOKEN))


@pytest.mark.parametrize(
    ("typ", "words"), [(ABSENT, "no typ; needed is at+jwt"), ("JWT", '"JWT"'), ("", '""')]
)
def test_where_typ_is_required_no_other_and_none_is_refused(typ: Any, words: str) -> None:
    verdict = judge(mint(header={"typ": typ}), ACCESS_TOKEN)
    assert_refused(verdict, Reason.TYPE_NOT_ALLOWED, words)


FOREIGN_KEYS: list[Any] = [
    pytest.param({"jwk": STRANGER.jwk()}, id="jwk"),
    pytest.param({"jwk": "not a key"}, id="jwk that is no key"),
    pytest.param({"jku": "https://evil.example/jwks.json"}, id="jku"),
    pytest.param({"x5u": "https://evil.example/cert.pem"}, id="x5u"),
    pytest.param({"x5c": ["AAAA"]}, id="x5c"),
    pytest.param({"x5t": "AAAA", "x5t#S256": "AAAA"}, id="x5t"),
]


@pytest.mark.parametrize(
    "alg",
    [
        *("none", "None", "NONE", "nOnE", "none ", " none", "", "null"),
        *("es256", "Es256", "ES256 ", "ES-256", "ES256\0", "ES256k", "SHA256", "RSA-OAEP", "dir"),
        *("HS256", "HS384", "HS512", "HMAC", "RS1", "ES521", "ECDSA", "eddsa", "ed25519"),
        *("ML-DSA", "ML-DSA-64", "ml-dsa-65", "MLDSA65", "HashML-DSA-65", "ML-DSA-65-ES256"),
    ],
)
def test_an_alg_that_does_not_exist_here_is_refused(alg: str) -> None:
    assert_refused(judge(mint(header={"alg": alg})), Reason.ALGORITHM_NOT_ALLOWED, "corp")


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", ""])
def test_none_does_not_exist_even_where_it_is_listed(alg: str) -> None:
    listed = issuer(algorithms=frozenset({"none", "None", "NONE", "nOnE", "", "ES256"}))
    assert_refused(judge(mint(header={"alg": alg}), listed), Reason.ALGORITHM_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("header", "words"),
    [
        pytest.param({"alg": None}, "alg is null", id="alg is null"),
        pytest.param({"alg": 256}, "alg is a number", id="alg is a number"),
        pytest.param({"alg": ["ES256"]}, "alg is an array", id="alg is an array"),
        pytest.param({"alg": {"name": "ES256"}}, "alg is an object", id="alg is an object"),
        pytest.param({"alg": False}, "alg is a boolean", id="alg is false"),
        pytest.param({"typ": 1}, "typ is a number", id="typ is a number"),
        pytest.param({"typ": None}, "typ is null", id="typ is null"),
        pytest.param({"kid": 1}, "kid is a number", id="kid is a number"),
        pytest.param({"kid": None}, "kid is null", id="kid is null"),
        pytest.param({"kid": ["key-1"]}, "kid is an array", id="kid is an array"),
        pytest.param({"kid": "k" * 1025}, "longer than 1024", id="kid over its length"),
        pytest.param({"cty": {}}, "cty is an object", id="cty is an object"),
        pytest.param({"crit": []}, "crit is not an array of", id="crit is empty"),
        pytest.param({"crit": "exp"}, "crit is not an array of", id="crit is a string"),
        pytest.param({"crit": {"exp": 1}}, "crit is not an array of", id="crit is an object"),
        pytest.param({"crit": None}, "crit is not an array of", id="crit is null"),
        pytest.param({"crit": [1]}, "crit holds something other", id="crit with a number"),
        pytest.param({"crit": ["x", 1], "x": 1}, "crit holds something other", id="crit with both"),
        pytest.param({"crit": [["x"]]}, "crit holds something other", id="crit with an array"),
        pytest.param({"crit": ["x", "x"], "x": 1}, "twice", id="crit with a name twice"),
        pytest.param({"b64": False}, "b64", id="b64 is false"),
        pytest.param({"b64": False, "crit": ["b64"]}, "b64", id="b64 is false and critical"),
    ],
)
def test_a_parameter_of_the_wrong_type_is_refused(header: dict[str, Any], words: str) -> None:
    understanding = issuer(critical_headers=frozenset({"b64", "x", "exp"}))
    assert_refused(judge(mint(header=header), understanding), Reason.TOKEN_MALFORMED, words)


@pytest.mark.parametrize("value", [None, 0, 1, "false", []])
def test_a_b64_that_is_no_boolean_is_not_called_false(value: object) -> None:
    refusal = assert_refused(judge(mint(header={"b64": value})), Reason.TOKEN_MALFORMED, "b64")
    assert "b64: false" not in refusal.message


@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"kid": "k" * 1024}, id="kid at its length"),
        pytest.param({"b64": True}, id="b64 is true"),
        pytest.param({"cty": "JWT"}, id="cty"),
        pytest.param({"zip": "DEF", "enc": "A128GCM"}, id="parameters of JWE"),
        pytest.param({"exp": 1, "nbf": 9e9, "iss": "x"}, id="claims in the header"),
        pytest.param({"x": None, "y": [{}]}, id="unknown ones of any type"),
    ],
)
def test_what_means_nothing_here_is_ignored(header: dict[str, Any]) -> None:
    keys = key_set(CORP.calling_itself("k" * 1024), CORP)
    assert_passes(judge(mint(header=header), issuer(keys=keys)))


@pytest.mark.parametrize("header", FOREIGN_KEYS)
def test_keys_in_the_header_change_nothing(header: dict[str, Any]) -> None:
    assert_passes(judge(mint(header=header)))


@pytest.mark.parametrize("header", FOREIGN_KEYS)
@pytest.mark.parametrize("key_id", [ABSENT, "key-1", "key-2"])
def test_keys_in_the_header_are_never_used(header: dict[str, Any], key_id: object) -> None:
    verdict = judge(mint(STRANGER, header={**header, "kid": key_id}))
    expected = Reason.KEY_NOT_FOUND if key_id == "key-2" else Reason.SIGNATURE_INVALID
    assert_refused(verdict, expected)


@pytest.mark.parametrize("key_id", ["../../etc/passwd", "' OR '1'='1", "https://evil.example", ""])
def test_a_kid_is_a_name_and_nothing_else(key_id: str) -> None:
    assert_refused(judge(mint(author(key_id=key_id, other=1))), Reason.KEY_NOT_FOUND)


@pytest.mark.parametrize(
    "typ", ["JWT", "jwt", "Jwt", "application/jwt", "APPLICATION/JWT", "at+jwt", "AT+JWT", ABSENT]
)
def test_a_typ_is_compared_as_a_media_type(typ: object) -> None:
    assert_passes(judge(mint(header={"typ": typ})))


@pytest.mark.parametrize(
    "typ",
    [
        *("", " JWT", "JWT ", "JWS", "JOSE", "JOSE+JSON", "jwt+at", "dpop+jwt", "logout+jwt"),
        *("application/", "application/application/jwt", "text/jwt", "application/jwt; a=b"),
        *("application//jwt", "/jwt", "jwt/application", "secevent+jwt", "\uff2aWT"),
    ],
)
def test_another_typ_is_refused(typ: str) -> None:
    assert_refused(judge(mint(header={"typ": typ})), Reason.TYPE_NOT_ALLOWED, "at+jwt, jwt")


def test_any_typ_passes_where_none_is_demanded() -> None:
    assert_passes(judge(mint(header={"typ": "what/ever"}), issuer(types=None)))


@pytest.mark.parametrize(
    ("typ", "normal"),
    [
        ("JWT", "jwt"),
        ("application/at+JWT", "at+jwt"),
        ("text/Plain", "text/plain"),
        ("application/a/b", "application/a/b"),
    ],
)
def test_types_have_one_normal_form(typ: str, normal: str) -> None:
    """The prefix goes only where no other slash is left (RFC 7515, section 4.1.9)."""
    assert normalized_type(typ) == normal


def test_a_critical_parameter_that_is_understood_passes() -> None:
    understanding = issuer(critical_headers=frozenset({"tenant"}))
    assert_passes(judge(mint(header={"crit": ["tenant"], "tenant": "blue"}), understanding))


@pytest.mark.parametrize("name", ["alg", "kid", "typ", "b64", "", "Tenant", "tenant "])
def test_a_critical_parameter_that_is_not_understood_is_refused(name: str) -> None:
    understanding = issuer(critical_headers=frozenset({"tenant"}))
    header = {name: "blue", "b64": True, **{"alg": "ES256", "kid": "key-1", "typ": "JWT"}}
    token = mint(header={**header, "crit": [name]})
    assert_refused(judge(token, understanding), Reason.CRITICAL_HEADER_UNKNOWN, "tenant")
