"""The form of a token: three parts of base64url, the first two of them JSON objects."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sidecar.token import jws
from sidecar.token.reason import Reason, Refused
from sidecar.token.request import Refusal
from sidecar.token.snapshot import Limits
from tests.authors import CORP
from tests.tokens import (
    CLAIMS,
    as_json,
    assert_passes,
    assert_refused,
    encode,
    header_of,
    judge,
    mint,
    seal,
    sign,
)

GOOD = mint()
HEADER, PAYLOAD, SIGNATURE = GOOD.split(".")
DEEP = Limits(json_depth=8)


def nested(levels: int) -> dict[str, object]:
    value: dict[str, object] = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return value


def test_a_good_token_is_read() -> None:
    parsed = jws.parse(GOOD, 32)
    assert (parsed.algorithm, parsed.key_id, parsed.type) == ("ES256", "key-1", "JWT")
    assert parsed.critical == ()
    assert parsed.unverified_claims == CLAIMS
    assert parsed.payload == as_json(dict(CLAIMS))
    assert parsed.signing_input == f"{HEADER}.{PAYLOAD}".encode()


@pytest.mark.parametrize(
    ("token", "words"),
    [
        pytest.param(" ", "1 part and not 3; it has white space", id="a space"),
        pytest.param(
            "gho_16C7e42F292c6912E7", "1 part and not 3: is it an opaque token", id="one part"
        ),
        pytest.param(f"{HEADER}.{PAYLOAD}", "2 parts and not 3: was it cut off?", id="two parts"),
        pytest.param(f"{GOOD}.", "4 parts and not 3", id="a fourth part that is empty"),
        pytest.param(f"{GOOD}.{SIGNATURE}", "4 parts and not 3", id="four parts"),
        pytest.param("a.b.c.d.e", "encrypted token (JWE)", id="five parts"),
        pytest.param("." * 5, "6 parts and not 3", id="six parts"),
        pytest.param("..", "header is not the JSON object", id="three empty parts"),
        pytest.param(f".{PAYLOAD}.{SIGNATURE}", "header is not the JSON object", id="no header"),
        pytest.param(f"{HEADER}..{SIGNATURE}", "payload is not the JSON object", id="no payload"),
        pytest.param(f"{HEADER}.{PAYLOAD}.", "signature is empty", id="no signature"),
        pytest.param(f"Bearer {GOOD}", 'it begins with "Bearer "', id="the scheme before it"),
        pytest.param(f" {GOOD}", "header is not base64url", id="a space before it"),
        pytest.param(f"{GOOD} ", "signature is not base64url", id="a space after it"),
        pytest.param(f"{GOOD}\n", "signature is not base64url", id="a newline after it"),
        pytest.param(
            f"{GOOD[:9]}\n{GOOD[9:]}", "white space at character 10", id="pasted in lines"
        ),
        pytest.param(f'"{GOOD}"', "it stands in quotes", id="quotes around it"),
        pytest.param(f"{GOOD}=", "signature is not base64url", id="padding of the signature"),
        pytest.param(f"{HEADER}=.{PAYLOAD}.{SIGNATURE}", "header is not", id="of the header"),
        pytest.param(f"{HEADER}.{PAYLOAD}==.{SIGNATURE}", "payload is not", id="of the payload"),
        pytest.param(f"{HEADER}.{PAYLOAD}.+/", "signature is not", id="base64 with + and /"),
        pytest.param(f"{HEADER}.{PAYLOAD}.AB", "signature is not", id="stray bits"),
        pytest.param(f"{HEADER}.{PAYLOAD}.ÄÄÄÄ", "outside base64url", id="not ASCII"),
        pytest.param(f"{GOOD}\ud800", "outside base64url", id="a surrogate alone"),
        pytest.param(f"{GOOD}\0", "signature is not", id="a null byte"),
        pytest.param(f"{HEADER}\u2024{PAYLOAD}.x", "2 parts", id="a dot that only looks like one"),
        pytest.param('{"payload":"e30","signatures":[]}', "1 part ", id="JWS in JSON form"),
    ],
)
def test_what_is_no_token_is_refused(token: str, words: str) -> None:
    assert_refused(judge(token), Reason.TOKEN_MALFORMED, words)


@pytest.mark.parametrize(
    ("header", "payload", "words"),
    [
        pytest.param([], CLAIMS, "header is not the JSON object", id="header is an array"),
        pytest.param("JWT", CLAIMS, "header is not the JSON object", id="header is a string"),
        pytest.param(b"{", CLAIMS, "header is not the JSON object", id="header is no JSON"),
        pytest.param(b"\xff", CLAIMS, "not UTF-8", id="header is no UTF-8"),
        pytest.param(
            b'{"alg":"none","alg":"ES256"}', CLAIMS, "same name twice", id="alg is there twice"
        ),
        pytest.param(header_of(), [], "payload is not the JSON object", id="payload is an array"),
        pytest.param(header_of(), "x", "payload is not the JSON object", id="payload is a string"),
        pytest.param(header_of(), None, "payload is not the JSON object", id="payload is null"),
        pytest.param(header_of(), b"{}x", "Extra data", id="garbage behind the payload"),
        pytest.param(header_of(), b"\x1f\x8b\x08", "not UTF-8", id="payload is compressed"),
        pytest.param(header_of(), b'{"exp":1,"exp":2}', "same name twice", id="exp twice"),
        pytest.param(header_of(), b'{"exp":NaN}', "NaN", id="exp is NaN"),
        pytest.param(header_of(), b'{"exp":Infinity}', "Infinity", id="exp is Infinity"),
        pytest.param(header_of(), b'{"exp":1e999}', "range of a double", id="exp is 1e999"),
        pytest.param(header_of(), b"\xef\xbb\xbf{}", "byte order mark", id="byte order mark"),
        pytest.param(header_of(), rb'{"sub":"\ud800"}', "surrogate", id="half a surrogate pair"),
        pytest.param(header_of(), nested(9), "deeper than 8", id="payload over the depth"),
        pytest.param(header_of(x=nested(8)), CLAIMS, "deeper than 8", id="header over the depth"),
    ],
)
def test_parts_that_are_no_strict_json_are_refused(
    header: object, payload: object, words: str
) -> None:
    """Each is signed by the right key, so that nothing but its form can be the reason."""
    payload = dict(CLAIMS) if payload is CLAIMS else payload
    assert_refused(judge(sign(header, payload), DEEP), Reason.TOKEN_MALFORMED, words)


def test_white_space_around_the_json_is_fine() -> None:
    header = b" \n" + as_json(header_of()) + b"\r\n\t"
    assert_passes(judge(sign(header, b"\n" + as_json(dict(CLAIMS)) + b" ")))


def test_claims_and_header_at_the_depth_are_fine() -> None:
    assert_passes(judge(mint(header={"x": nested(7)}, x=nested(7)), DEEP))


def test_a_token_of_the_largest_size_is_read() -> None:
    assert_passes(judge(GOOD, Limits(token_bytes=len(GOOD))))


def test_a_token_one_over_the_largest_size_is_not() -> None:
    verdict = judge(GOOD, Limits(token_bytes=len(GOOD) - 1))
    assert_refused(verdict, Reason.TOKEN_TOO_LARGE, str(len(GOOD)), str(len(GOOD) - 1))


def test_a_very_long_text_is_not_looked_at() -> None:
    assert_refused(judge("." * 5_000_000), Reason.TOKEN_TOO_LARGE, "5000000", "16384")


_INTEGERS = st.integers(-(10**38), 10**38)


@given(st.binary(min_size=1, max_size=80), st.dictionaries(st.text(max_size=3), _INTEGERS))
def test_what_parses_encodes_to_the_same_text(signature: bytes, claims: dict[str, int]) -> None:
    token = f"{encode(as_json(header_of()))}.{encode(as_json(claims))}.{encode(signature)}"
    parsed = jws.parse(token, 32)
    assert f"{parsed.signing_input.decode()}.{encode(parsed.signature)}" == token
    assert encode(parsed.payload) == token.split(".")[1]


@given(st.text() | st.text(alphabet="e30.AQ-_=+ ", max_size=40))
@example("e30.e30.AA")
@example("e30.bnVsbA.AA")
def test_any_text_is_refused_and_raises_nothing(text: str) -> None:
    assert isinstance(judge(text), Refusal)


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_any_bytes_signed_or_not_raise_nothing_but_refused(header: bytes, payload: bytes) -> None:
    signed = seal(f"{encode(header)}.{encode(payload)}", CORP)
    assert isinstance(judge(signed), Refusal)
    with pytest.raises(Refused):
        jws.parse(f"{encode(header)}.{encode(payload)}", 32)


@given(st.integers(0, len(GOOD) - 1), st.characters(codec="utf-8"))
def test_a_token_with_one_character_changed_is_refused(place: int, character: str) -> None:
    changed = GOOD[:place] + character + GOOD[place + 1 :]
    assert changed == GOOD or isinstance(judge(changed), Refusal)
