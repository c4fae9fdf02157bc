"""`aud` must hold at least one audience that is accepted (RFC 7519, section 4.1.3)."""

from typing import Any

import pytest

from sidecar.token.reason import Reason
from tests.tokens import ABSENT, assert_passes, assert_refused, issuer, judge, mint

TWO = issuer(audiences=frozenset({"orders", "stock"}))
ANY = issuer(audiences=None)


@pytest.mark.parametrize(
    ("aud", "found"),
    [
        pytest.param("orders", ("orders",), id="a string"),
        pytest.param("stock", ("stock",), id="another that is accepted"),
        pytest.param(["orders"], ("orders",), id="an array of one"),
        pytest.param(["billing", "orders"], ("billing", "orders"), id="an array with another"),
        pytest.param(["stock", "orders"], ("stock", "orders"), id="an array of both"),
    ],
)
def test_one_accepted_audience_is_enough(aud: object, found: tuple[str, ...]) -> None:
    assert assert_passes(judge(mint(aud=aud), TWO)).audiences == found


@pytest.mark.parametrize(
    ("aud", "words"),
    [
        pytest.param("billing", 'aud is ["billing"]', id="another"),
        pytest.param(["billing", "mail"], '["billing", "mail"]', id="two others"),
        pytest.param("", 'aud is [""]', id="an empty string"),
        pytest.param([], "there is no aud", id="an empty array"),
        pytest.param(ABSENT, "there is no aud", id="absent"),
        pytest.param("Orders", '["Orders"]', id="another case"),
        pytest.param("orders ", '["orders "]', id="a space behind"),
        pytest.param("orders,stock", '["orders,stock"]', id="two in one string"),
        pytest.param("orders stock", '["orders stock"]', id="two with a space"),
        pytest.param("order", '["order"]', id="the beginning"),
        pytest.param("orders/admin", '["orders/admin"]', id="a longer one"),
        pytest.param("*", '["*"]', id="an asterisk"),
    ],
)
def test_without_an_accepted_audience_a_token_is_refused(aud: object, words: str) -> None:
    verdict = judge(mint(aud=aud), TWO)
    assert_refused(verdict, Reason.AUDIENCE_MISMATCH, words, 'any of ["orders", "stock"]')


@pytest.mark.parametrize("party", [TWO, ANY])
@pytest.mark.parametrize(
    ("aud", "kind"),
    [
        pytest.param(1, "a number", id="a number"),
        pytest.param(True, "a boolean", id="true"),
        pytest.param(None, "null", id="null"),
        pytest.param({"orders": 1}, "an object", id="an object"),
        pytest.param(["orders", 1], "an array", id="an array with a number"),
        pytest.param(["orders", None], "an array", id="an array with null"),
        pytest.param([["orders"]], "an array", id="an array of arrays"),
    ],
)
def test_what_is_no_audience_is_refused(party: Any, aud: object, kind: str) -> None:
    verdict = judge(mint(aud=aud), party)
    assert_refused(verdict, Reason.CLAIM_MISMATCH, f"claim aud is {kind}")


@pytest.mark.parametrize("aud", ["billing", [], ABSENT])
def test_any_audience_passes_where_none_is_demanded(aud: object) -> None:
    assert_passes(judge(mint(aud=aud), ANY))


def test_no_audience_passes_where_none_is_accepted() -> None:
    for aud in ("orders", ABSENT):
        nobody = issuer(audiences=frozenset())
        assert_refused(judge(mint(aud=aud), nobody), Reason.AUDIENCE_MISMATCH)


def test_the_audiences_of_a_request_replace_the_issuers() -> None:
    assert_passes(judge(mint(aud="billing"), TWO, audiences=("billing", "mail")))
    verdict = judge(mint(aud="orders"), TWO, audiences=("billing",))
    assert_refused(verdict, Reason.AUDIENCE_MISMATCH, 'any of ["billing"]')


def test_the_audiences_of_a_request_count_where_the_issuer_takes_any() -> None:
    assert_passes(judge(mint(aud="billing"), ANY, audiences=("billing",)))
    verdict = judge(mint(aud="orders"), ANY, audiences=("billing",))
    assert_refused(verdict, Reason.AUDIENCE_MISMATCH)
