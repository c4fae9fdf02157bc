"""No token, secret or private key is in a repr, a string or a message."""

import traceback
from typing import Any

import pytest

from sidecar.steady import forget_nothing
from sidecar.token import jws, strict_json
from sidecar.token.attempt import Attempt
from sidecar.token.key import UnusableKey, from_pem
from sidecar.token.keyset import KeySet, from_jwks
from sidecar.token.mint import Order
from sidecar.token.mint import mint as mint_order
from sidecar.token.reason import Refused
from sidecar.token.replay import ProofMemory
from sidecar.token.request import Refusal, Request
from sidecar.token.signing import from_private_key, from_secret
from sidecar.token.snapshot import Signer
from sidecar.token.validator import CHECKS
from tests.authors import CORP, author
from tests.refusals import REFUSALS, Case
from tests.tokens import (
    CLAIMS,
    JACK,
    JACK_KEY,
    NOW,
    assert_passes,
    consumers,
    encode,
    issuer,
    judge,
    mint,
    world,
)

SECRET = b"correct horse battery staple, 32"
TOKEN = mint(jti="1")
SIGNERS = (
    Signer("internal", "https://x", (from_private_key(CORP.private_key, "ES256", "key-1"),)),
    Signer("hmac", "https://y", (from_secret(SECRET, "HS256", "key-2"),)),
)
MINTED = [mint_order(Order(signer=one.name), world(*SIGNERS), NOW, "id") for one in SIGNERS]
JACKS = consumers()
RSA = author("RS256")
SENSITIVE: dict[str, str] = {
    "token": TOKEN,
    "payload": TOKEN.split(".")[1],
    "signature": TOKEN.split(".")[2],
    "raw signature": repr(jws.parse(TOKEN, 32).signature)[2:-1],
    "secret": SECRET.decode(),
    "jack's secret": repr(JACK.private_key)[2:-1],
    "jack's secret in hexadecimal": JACK.private_key.hex(),
    "private scalar": str(CORP.private_key.private_numbers().private_value),
    "private exponent": str(RSA.private_key.private_numbers().d),
    "private key in PEM": CORP.private_pem().decode().splitlines()[1],
    **{f"minted {number}": one.token for number, one in enumerate(MINTED)},
    **{f"signature {number}": one.token.split(".")[2] for number, one in enumerate(MINTED)},
}
VALUES: list[Any] = [
    pytest.param(Request(TOKEN), id="Request"),
    pytest.param(jws.parse(TOKEN, 32), id="Jws"),
    pytest.param(
        Attempt(Request(TOKEN), world(issuer()), NOW, ProofMemory(forget_nothing)), id="Attempt"
    ),
    pytest.param(assert_passes(judge(TOKEN)), id="Verified"),
    pytest.param(assert_passes(judge(mint(JACK, iss="", key=JACK_KEY), JACKS)), id="of a consumer"),
    pytest.param(judge(TOKEN, now=NOW + 9999), id="Refusal"),
    pytest.param(JACK.secret_key(), id="Key of a secret"),
    pytest.param(from_pem(CORP.public_pem()), id="Key of a public key"),
    pytest.param(KeySet((JACK.secret_key(),)), id="KeySet"),
    pytest.param(from_jwks({"keys": [RSA.private_jwk()]}), id="KeySet with a private key"),
    pytest.param(JACKS, id="Consumers"),
    pytest.param(JACKS.by_name["jack"], id="Consumer"),
    pytest.param(SIGNERS[0].keys[0], id="SigningKey"),
    pytest.param(SIGNERS[1].keys[0], id="SigningKey of a secret"),
    pytest.param(SIGNERS[0], id="Signer"),
    pytest.param(world(issuer(), JACKS, *SIGNERS), id="Snapshot"),
    pytest.param(MINTED[0], id="Minted"),
    pytest.param(MINTED[1], id="Minted with a secret"),
    pytest.param(Order(subject="alice"), id="Order"),
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_shows_nothing_that_is_secret(value: object) -> None:
    for text in (repr(value), str(value), f"{value}", repr([value])):
        assert [name for name, secret in SENSITIVE.items() if secret in text] == []


def test_what_is_looked_for_is_long_enough_to_be_found_by_no_chance() -> None:
    assert all(len(secret) > 20 for secret in SENSITIVE.values())


@pytest.mark.parametrize("case", REFUSALS)
def test_the_message_of_a_refusal_shows_nothing_of_the_token(case: Case) -> None:
    parties = [case.party] if case.party else []
    verdict = judge(case.token, *parties, **(case.request or {}))
    assert isinstance(verdict, Refusal)
    parts = [part for part in case.token.split(".") if len(part) > 12]
    assert [part for part in parts if part in repr(verdict)] == []


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(f"{TOKEN}=", id="padding"),
        pytest.param(f"Bearer {TOKEN}", id="a scheme"),
        pytest.param(f"{TOKEN}.{TOKEN}", id="six parts"),
        pytest.param(".".join((encode(b'{"alg":"s3cret-s3cret'), *TOKEN.split(".")[1:])), id="cut"),
        pytest.param(
            ".".join((TOKEN.split(".")[0], encode(b'{"a":"s3cret-s3cret'), "AA")), id="too"
        ),
        pytest.param(encode(b'{"s3cret-s3cret":1,"s3cret-s3cret":1}') + ".e30.AA", id="doubled"),
    ],
)
def test_the_traceback_of_a_refusal_shows_nothing_of_the_token(token: str) -> None:
    attempt = Attempt(Request(token), world(issuer()), NOW, ProofMemory(forget_nothing))
    CHECKS[0].run(attempt)
    with pytest.raises(Refused) as refused:
        CHECKS[1].run(attempt)
    shown = "".join(traceback.format_exception(refused.value))
    assert [part for part in TOKEN.split(".") if part in shown] == []
    assert "s3cret" not in shown


@pytest.mark.parametrize(
    "jwk",
    [
        {**RSA.private_jwk(), "kid": "k"},
        {"kty": "oct", "k": encode(SECRET)},
        {**RSA.jwk(), "d": encode(SECRET)},
        {**RSA.jwk(), "n": "s3cret-s3cret!"},
    ],
)
def test_an_unusable_jwk_is_not_printed(jwk: dict[str, Any]) -> None:
    text = " ".join([str(one) for one in from_jwks({"keys": [jwk]}).unusable])
    assert text
    assert [name for name, value in jwk.items() if len(value) > 10 and value in text] == []


def test_an_unusable_pem_is_not_printed() -> None:
    with pytest.raises(UnusableKey) as refused:
        from_pem(CORP.private_pem())
    shown = "".join(traceback.format_exception(refused.value))
    assert CORP.private_pem().decode().splitlines()[1] not in shown


def test_json_that_is_refused_is_not_quoted() -> None:
    for text in (b'{"a":"s3cret', b'{"a":s3cret}', b'{"s3cret":1,"s3cret":2}', b'"s3cret"'):
        with pytest.raises(ValueError, match=r"^it ") as refused:
            strict_json.parse_object(text, 8)
        assert "s3cret" not in "".join(traceback.format_exception(refused.value))


def test_the_claims_of_a_verified_token_are_those_it_was_signed_with() -> None:
    verified = assert_passes(judge(mint()))
    assert verified.claims == CLAIMS
    assert b'"sub": "alice"' in verified.claims_json
