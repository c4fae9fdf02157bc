import hashlib
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given
from hypothesis import strategies as st

from sidecar.authorization.client_certificate import certificate_names, certificate_sha256
from sidecar.authorization.http_request import HttpRequest
from sidecar.token.reason import Reason, Refused
from tests.identities import Ca

SPIFFE = "spiffe://prod/ns/shop/sa/checkout"
PEM = Ca().certify(SPIFFE, "checkout.shop").certificate
OTHER = Ca().certify("other.shop").certificate
NAMELESS = Ca().certify().certificate
RARE = Ca().unreadable_names().certificate


def sha256(pem: bytes) -> bytes:
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    return hashlib.sha256(der).digest()


SHOWN, ENCODED = sha256(PEM), quote(PEM.decode())
HASH = f"Hash={SHOWN.hex()}"
OTHERS = f"Hash={sha256(OTHER).hex()}"


def asked(*xfcc: str, certificate: str = "", principal: str = SPIFFE) -> HttpRequest:
    headers = {"x-forwarded-client-cert": xfcc} if xfcc else {}
    return HttpRequest(
        "GET", "h", "/", headers, source_certificate=certificate, source_principal=principal
    )


@pytest.mark.parametrize(
    ("request_", "trusted", "found"),
    [
        pytest.param(asked(principal=""), False, b"", id="none was shown"),
        pytest.param(asked(certificate=ENCODED), False, SHOWN, id="the peer's own"),
        pytest.param(asked(certificate=PEM.decode()), False, SHOWN, id="not encoded"),
        pytest.param(
            asked(certificate=NAMELESS.decode()), False, sha256(NAMELESS), id="one without names"
        ),
        pytest.param(asked(HASH), False, b"", id="a header that nobody vouches for"),
        pytest.param(asked(HASH), True, SHOWN, id="a header that the proxy sets"),
        pytest.param(asked(HASH.upper().replace("HASH", "hash")), True, SHOWN, id="in capitals"),
        pytest.param(asked(HASH, principal=""), True, b"", id="without TLS it is the client's"),
        pytest.param(
            asked(f'By=spiffe://a;{HASH};Subject="CN=\\"a;b\\",O=c";URI={SPIFFE}'),
            True,
            SHOWN,
            id="among others, with quotes",
        ),
        pytest.param(asked(f"{HASH},{HASH}"), True, SHOWN, id="the same twice"),
        pytest.param(asked(HASH, certificate=ENCODED), True, SHOWN, id="both say the same"),
    ],
)
def test_which_certificate_counts(request_: HttpRequest, trusted: bool, found: bytes) -> None:
    assert certificate_sha256(request_, trusted) == found


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        pytest.param(asked(certificate="rubbish"), "can't be read", id="no certificate"),
        pytest.param(asked(f"{HASH},{OTHERS}"), "2 client certificates", id="two elements"),
        pytest.param(asked(HASH, OTHERS), "2 client certificates", id="two headers"),
        pytest.param(asked(OTHERS, certificate=ENCODED), "2 client", id="header and peer differ"),
        pytest.param(
            asked(OTHERS, certificate=ENCODED, principal=""), "2 client", id="also without a name"
        ),
        pytest.param(asked(f"{HASH};{HASH}"), "can't be read", id="two in one element"),
        pytest.param(asked(f"By=a,{HASH}"), "can't be read", id="an element without"),
        pytest.param(asked(f"{HASH};"), "can't be read", id="nothing behind a semicolon"),
        pytest.param(asked(f'URI="{HASH}'), "can't be read", id="a quote that does not end"),
        pytest.param(asked("Hash=abcd"), "can't be read", id="another hash"),
        pytest.param(asked(f'Subject="{HASH}"'), "can't be read", id="only in a quote"),
        pytest.param(
            asked(f'URI=a{" " * 65_000}"'), "can't be read", id="many spaces, then a quote"
        ),
        pytest.param(asked("a" * 70_000), "more than 65536", id="very long"),
    ],
)
def test_what_can_not_be_relied_on_is_refused(request_: HttpRequest, words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        certificate_sha256(request_, True)
    assert refused.value.reason is Reason.PROOF_INVALID


@given(st.lists(st.text(max_size=80), max_size=3))
def test_whatever_a_header_holds_is_read_or_refused(values: list[str]) -> None:
    try:
        found = certificate_sha256(asked(*values), True)
    except Refused:
        return
    assert len(found) in {0, 32}


@given(st.text(st.characters(exclude_characters='",;\\\\'), max_size=40))
def test_no_value_ends_its_quotes(text: str) -> None:
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert certificate_sha256(asked(f'Subject="{quoted}";{HASH}'), True) == SHOWN


@pytest.mark.parametrize(
    ("certificate", "principal", "names"),
    [
        pytest.param(ENCODED, SPIFFE, (SPIFFE, "checkout.shop"), id="of the certificate"),
        pytest.param(NAMELESS.decode(), SPIFFE, (), id="of a certificate without"),
        pytest.param(RARE.decode(), SPIFFE, (), id="of a certificate with unreadable names"),
        pytest.param("", SPIFFE, (SPIFFE,), id="of the connection"),
        pytest.param("rubbish", SPIFFE, (SPIFFE,), id="of the connection, as it can't be read"),
        pytest.param("", "", (), id="none"),
    ],
)
def test_names(certificate: str, principal: str, names: tuple[str, ...]) -> None:
    assert certificate_names(certificate, principal) == names
