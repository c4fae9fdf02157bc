"""Tokens that are bound to a key, presented to a proxy: RFC 9449 and RFC 8705."""

import hashlib
from typing import Any
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sidecar.authorization.policy import Policy
from sidecar.authorization.rules import Match, Passage, Rule, Rules
from sidecar.token.addresses import AddressRules, Networks, network_range
from tests.identities import Ca
from tests.proofs import HOLDER, dpop, thumbprint
from tests.tokens import encode
from tests.unit.api.checks import CheckRequest, checked
from tests.unit.parties import token

CERTIFICATE = Ca().certify("spiffe://prod/ns/shop/sa/web").certificate
SHA256 = hashlib.sha256(
    x509.load_pem_x509_certificate(CERTIFICATE).public_bytes(Encoding.DER)
).digest()
FREE = token()
BOUND = token(cnf={"jkt": thumbprint()})
TO_CERTIFICATE = token(cnf={"x5t#S256": encode(SHA256)})
PROOF = dpop(BOUND)


def asked(authorization: str, *proofs: str, certificate: bytes = b"", **changes: Any) -> Any:
    """What Envoy says of `POST https://shop.example/orders`, but for what is changed."""
    message = CheckRequest()
    http = message.attributes.request.http
    said = {"scheme": "https", "method": "POST", "host": "shop.example", "path": "/orders?a=1"}
    for name, value in {**said, **changes}.items():
        setattr(http, name, value)
    headers = [("authorization", authorization), *(("dpop", one) for one in proofs)]
    for name, value in headers:
        http.header_map.headers.add(key=name, raw_value=value.encode())
    message.attributes.source.certificate = quote(certificate.decode())
    return message


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(asked(f"DPoP {BOUND}", PROOF), id="DPoP"),
        pytest.param(asked(f"dpop {BOUND}", PROOF), id="the scheme in small letters"),
        pytest.param(asked(f"DPoP {BOUND}", PROOF, path="/orders"), id="without a query"),
        pytest.param(asked(f"Bearer {FREE}"), id="a token that is bound to nothing"),
        pytest.param(asked(f"Bearer {TO_CERTIFICATE}", certificate=CERTIFICATE), id="certificate"),
        pytest.param(asked(f"Bearer {FREE}", certificate=CERTIFICATE), id="one that is not needed"),
    ],
)
async def test_what_passes(message: Any) -> None:
    answer = await checked(message)
    assert answer.WhichOneof("http_response") == "ok_response", answer
    assert "authorization" in answer.ok_response.headers_to_remove


@pytest.mark.parametrize(("trusted", "status"), [(True, 0), (False, 401)])
async def test_a_certificate_that_only_a_header_tells_of_counts_where_that_is_trusted(
    trusted: bool, status: int
) -> None:
    message = asked(f"Bearer {TO_CERTIFICATE}")
    message.attributes.source.principal = "spiffe://prod/ns/shop/sa/web"
    message.attributes.request.http.header_map.headers.add(
        key="x-forwarded-client-cert", raw_value=f"Hash={SHA256.hex()}".encode()
    )
    answer = await checked(message, Policy(certificate_header_trusted=trusted))
    assert answer.denied_response.status.code == status


async def test_the_proof_is_taken_out_with_the_token() -> None:
    answer = await checked(asked(f"DPoP {BOUND}", PROOF))
    assert list(answer.ok_response.headers_to_remove) == ["authorization", "dpop"]


DPOP = 'DPoP realm="jwt-sidecar", error="invalid_dpop_proof"'


@pytest.mark.parametrize(
    ("message", "challenge", "words"),
    [
        pytest.param(asked(f"Bearer {BOUND}"), DPOP, "no DPoP proof", id="as a bearer token"),
        pytest.param(asked(f"Bearer {BOUND}", PROOF), DPOP, "as a bearer", id="the wrong scheme"),
        pytest.param(asked(f"DPoP {BOUND}"), DPOP, "no DPoP proof", id="no proof"),
        pytest.param(asked(f"DPoP {BOUND}", PROOF, PROOF), DPOP, "several", id="two proofs"),
        pytest.param(asked(f"DPoP {BOUND}", f"{PROOF},{PROOF}"), DPOP, "several", id="joined"),
        pytest.param(asked(f"DPoP {BOUND}", PROOF, method="GET"), DPOP, "htm", id="another method"),
        pytest.param(asked(f"DPoP {BOUND}", PROOF, path="/x"), DPOP, "htu", id="another path"),
        pytest.param(asked(f"DPoP {BOUND}", PROOF, host="evil"), DPOP, "htu", id="another host"),
        pytest.param(asked(f"DPoP {BOUND}", PROOF, scheme="http"), DPOP, "htu", id="no TLS"),
        pytest.param(
            asked(f"DPoP {BOUND}", PROOF, host="shop.example/orders?"),
            DPOP,
            "",
            id="a Host of more",
        ),
        pytest.param(
            asked(f"DPoP {BOUND}", dpop(BOUND, HOLDER, ath="x")), DPOP, "ath", id="another token's"
        ),
        pytest.param(
            asked(f"DPoP {FREE}", dpop(FREE)),
            'DPoP realm="jwt-sidecar", error="invalid_token"',
            "send it as Bearer",
            id="a token that is bound to nothing, as DPoP",
        ),
        pytest.param(
            asked(f"DPoP {FREE}"),
            'DPoP realm="jwt-sidecar", error="invalid_token"',
            "send it as Bearer",
            id="the same without a proof",
        ),
        pytest.param(
            asked(f"Bearer {TO_CERTIFICATE}"),
            'Bearer realm="jwt-sidecar", error="invalid_token"',
            "client certificate",
            id="no certificate",
        ),
        pytest.param(
            asked(f"Bearer {TO_CERTIFICATE}", certificate=Ca().certify("x").certificate),
            'Bearer realm="jwt-sidecar", error="invalid_token"',
            "another client certificate",
            id="another certificate",
        ),
    ],
)
async def test_what_is_refused_and_how_the_client_is_asked_for_more(
    message: Any, challenge: str, words: str
) -> None:
    answer = await checked(message)
    denial = answer.denied_response
    assert denial.status.code == 401
    assert '"REASON_PROOF_INVALID"' in denial.body
    headers = {one.header.key: one.header.value for one in denial.headers}
    assert headers["www-authenticate"].startswith(challenge)
    assert words in headers["www-authenticate"]
    assert ('algs="' in headers["www-authenticate"]) == challenge.startswith("DPoP")


async def test_two_schemes_are_two_tokens() -> None:
    message = asked(f"DPoP {BOUND}", PROOF)
    message.attributes.request.http.header_map.headers.add(
        key="authorization", raw_value=f"Bearer {FREE}".encode()
    )
    assert '"REASON_TOKEN_MALFORMED"' in (await checked(message)).denied_response.body


INSIDE = AddressRules(allow=Networks.of([network_range("10.0.0.0/8")]))
BY_ADDRESS = Rules([(Match(), Rule("rule inside", "", Passage.ANONYMOUS, addresses=INSIDE))])


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "hops", "status"),
    [
        pytest.param("10.0.0.1", "", 0, 0, id="the peer"),
        pytest.param("::ffff:10.0.0.1", "", 0, 0, id="the peer, mapped to IPv6"),
        pytest.param("192.0.2.1", "10.0.0.1", 0, 403, id="a header that nobody vouches for"),
        pytest.param("192.0.2.1", "10.0.0.1", 1, 0, id="that of a trusted proxy"),
        pytest.param("10.0.0.1", "10.0.0.1, 192.0.2.9", 1, 403, id="the client's own word"),
        pytest.param("10.0.0.1", "", 1, 403, id="a proxy that says nothing"),
        pytest.param("", "", 0, 403, id="a peer without an address"),
    ],
)
async def test_addresses_of_clients(peer: str, forwarded_for: str, hops: int, status: int) -> None:
    message = CheckRequest()
    message.attributes.source.address.socket_address.address = peer
    http = message.attributes.request.http
    http.method, http.path = "GET", "/"
    if forwarded_for:
        http.headers["x-forwarded-for"] = forwarded_for
    answer = await checked(message, Policy(rules=BY_ADDRESS, trusted_hops=hops))
    assert answer.denied_response.status.code == status
