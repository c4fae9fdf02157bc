import logging
from typing import Any

import grpc
import pytest

from sidecar.api.callers import by_name, by_token, guarded
from sidecar.api.listener import Handlers, method
from sidecar.config.listeners import CallerToken, Listener
from sidecar.config.surroundings import Surroundings
from sidecar.engine import Engine
from sidecar.token.keyset import KeySet
from sidecar.token.reason import CallFailed, ErrorReason
from tests.authors import author
from tests.tokens import NOW, issuer, mint, world
from tests.unit.api.calls import Aborted, Call

OTHER = author("ES256", "other")
NAMES = ("spiffe://prod/ns/shop/sa/checkout", "checkout.shop")


class Caller(Call):
    """A call by someone with these SANs and this metadata."""

    def __init__(self, sans: tuple[str, ...] = (), metadata: Any = ()) -> None:
        super().__init__()
        self._sans = sans
        self._metadata = metadata

    def auth_context(self) -> dict[str, list[bytes]]:
        sans = [san.encode() for san in self._sans]
        return {"x509_subject_alternative_name": sans} if sans else {}

    def invocation_metadata(self) -> Any:
        return self._metadata


def bearer(token: str, scheme: str = "Bearer") -> tuple[tuple[str, str], ...]:
    return (("user-agent", "test"), ("authorization", f"{scheme} {token}"))


def engine(*parties: Any) -> Engine:
    snapshot = world(*(parties or (issuer(), issuer("lab", "https://lab.example"))))
    return Engine(snapshot, lambda: NOW, lambda: "jti")


async def refusal(check: Any, caller: Caller) -> str:
    """Why the check refuses this caller."""
    with pytest.raises(CallFailed) as failed:
        await check(caller)
    assert failed.value.reason is ErrorReason.CALLER_DENIED
    return failed.value.message


@pytest.mark.parametrize(
    "sans",
    [
        pytest.param(("spiffe://prod/ns/shop/sa/checkout",), id="a URI"),
        pytest.param(("checkout.shop",), id="a DNS name"),
        pytest.param(("10.0.0.1", "checkout.shop"), id="one of two"),
    ],
)
async def test_a_caller_with_one_of_the_names_passes(sans: tuple[str, ...]) -> None:
    await by_name(NAMES)(Caller(sans))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sans", "shown"),
    [
        pytest.param((), "SANs []", id="no SAN"),
        pytest.param(("other.shop",), '["other.shop"]', id="another"),
        pytest.param(("CHECKOUT.shop",), '["CHECKOUT.shop"]', id="in other case"),
        pytest.param(("checkout.shop.",), '["checkout.shop."]', id="longer"),
        pytest.param(("checkout.sho",), '["checkout.sho"]', id="shorter"),
        pytest.param(
            ("spiffe://prod/ns/shop/sa/checkout/x",),
            '["spiffe://prod/ns/shop/sa/checkout/x"]',
            id="below a name",
        ),
        pytest.param(("*.shop",), '["*.shop"]', id="a pattern"),
        pytest.param(("checkout.shop\0.evil",), r'["checkout.shop\u0000.evil"]', id="a zero byte"),
        pytest.param(
            tuple(f"{one}.shop" for one in range(12)), '"9.shop", and 2 more]', id="twelve"
        ),
    ],
)
async def test_a_caller_with_other_names_is_refused_and_told_which_came(
    sans: tuple[str, ...], shown: str
) -> None:
    message = await refusal(by_name(NAMES), Caller(sans))
    assert shown in message
    assert "tls.client_names" in message
    assert NAMES[0] not in message.replace(f"{NAMES[0]}/x", "")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "Bearer  "])
async def test_a_caller_with_a_good_token_passes(scheme: str) -> None:
    check = by_token(CallerToken(issuer="corp", scopes=("tokens:issue",)), engine(), True)
    await check(Caller(metadata=bearer(mint(scope="read tokens:issue"), scheme)))  # type: ignore[arg-type]


GOOD = mint(scope="tokens:issue")


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        pytest.param((), "TOKEN_MISSING: this listener needs", id="no metadata"),
        pytest.param(None, "TOKEN_MISSING", id="no metadata at all"),
        pytest.param(bearer(GOOD, "Basic"), "TOKEN_MISSING", id="another scheme"),
        pytest.param((("authorization", GOOD),), "TOKEN_MISSING", id="no scheme"),
        pytest.param((("authorization-bin", b"Bearer x"),), "TOKEN_MISSING", id="a binary header"),
        pytest.param(bearer(""), "TOKEN_MISSING", id="an empty token"),
        pytest.param(
            bearer(GOOD) + bearer(GOOD), "authorization 2 times; send one", id="two of them"
        ),
        pytest.param(bearer("a.b"), "TOKEN_MALFORMED", id="no token"),
        pytest.param(bearer(f"{GOOD}, Bearer {GOOD}"), "TOKEN_MALFORMED", id="two in one"),
        pytest.param(bearer(mint(exp=NOW - 1, scope="tokens:issue")), "EXPIRED", id="expired"),
        pytest.param(
            bearer(mint(scope="read")), 'SCOPE_INSUFFICIENT: scope ["tokens:issue"]', id="scope"
        ),
        pytest.param(bearer(mint()), "SCOPE_INSUFFICIENT", id="no scope"),
        pytest.param(
            bearer(mint(iss="https://lab.example", scope="tokens:issue")),
            "ISSUER_MISMATCH",
            id="of another issuer",
        ),
        pytest.param(
            bearer(mint(aud="billing", scope="tokens:issue")), "AUDIENCE_MISMATCH", id="audience"
        ),
        pytest.param(bearer(mint(OTHER, scope="tokens:issue")), "KEY_NOT_FOUND", id="signer"),
        pytest.param(
            bearer(mint(cnf={"jkt": "x"}, scope="tokens:issue")), "PROOF_INVALID", id="bound"
        ),
    ],
)
async def test_a_caller_without_one_is_refused_with_the_reason(metadata: Any, words: str) -> None:
    check = by_token(CallerToken(issuer="corp", scopes=("tokens:issue",)), engine(), True)
    message = await refusal(check, Caller(metadata=metadata))
    assert message.startswith("caller token: ")
    assert words in message
    assert not any(part in message for part in GOOD.split("."))


async def test_the_call_waits_for_keys_that_are_being_fetched() -> None:
    deciding = engine(issuer(keys=KeySet(())))

    class Source:
        async def wait_for_keys(self, at_most: float) -> None:
            raise AssertionError("the keys are there, but none of them is the token's")

        async def fetch_unknown_key(self, key_id: str, at_most: float) -> bool:
            deciding.snapshot = world(issuer())
            return True

    deciding.key_sources = {"corp": Source()}
    check = by_token(CallerToken(issuer="corp"), deciding, True)
    await check(Caller(metadata=bearer(mint())))  # type: ignore[arg-type]


def listener(**settings: Any) -> Listener:
    usual = {"address": "unix:/a.sock", "services": ["validate"], **settings}
    return Listener.model_validate(usual, context=Surroundings("/", {}))


async def echo(message: bytes, _: Any) -> bytes:
    return message


SERVICES: dict[str, Handlers] = {"s": {"m": method(echo)}}


def test_where_anyone_may_call_the_methods_are_the_very_same() -> None:
    assert guarded(SERVICES, listener(), engine()) is SERVICES


async def test_a_guarded_method_serves_whom_the_check_lets_through(
    caplog: pytest.LogCaptureFixture,
) -> None:
    services = guarded(SERVICES, listener(caller_token={"issuer": "corp"}), engine())
    serve: Any = services["s"]["m"].unary_unary
    assert await serve(b"hello", Caller(metadata=bearer(mint()))) == b"hello"
    assert not caplog.records
    for _ in range(3):
        with pytest.raises(Aborted) as aborted:
            await serve(b"hello", Caller(metadata=bearer("a.b")))
        assert aborted.value.code is grpc.StatusCode.PERMISSION_DENIED
        assert aborted.value.info.reason == "CALLER_DENIED"
    (record,) = [one for one in caplog.records if one.levelno >= logging.INFO]
    assert (
        "unix:/a.sock: a caller was refused: caller token: TOKEN_MALFORMED" in record.getMessage()
    )


async def test_a_stranger_from_the_network_is_told_nothing_of_the_configuration(
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings = listener(
        address="0.0.0.0:9443", caller_token={"issuer": "corp", "scopes": ["tokens:issue"]}
    )
    serve: Any = guarded(SERVICES, settings, engine())["s"]["m"].unary_unary
    with pytest.raises(Aborted) as aborted:
        await serve(b"hello", Caller(metadata=bearer(mint(aud="billing"))))
    assert aborted.value.details.message == (
        "caller token: AUDIENCE_MISMATCH: the token is for another audience"
    )
    assert '["orders"]' in caplog.text


def test_a_method_that_is_not_unary_is_not_served_unguarded() -> None:
    streaming: Any = grpc.unary_stream_rpc_method_handler(lambda *_: iter(()))
    with pytest.raises(TypeError):
        guarded({"s": {"m": streaming}}, listener(caller_token={"issuer": "corp"}), engine())
