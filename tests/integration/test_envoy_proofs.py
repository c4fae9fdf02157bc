"""Bound tokens through a real Envoy: a client certificate over mutual TLS, and DPoP."""

import hashlib
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from deploy.demo.stage import envoy, sidecar, upstream
from tests.identities import HERE, Ca, Certified
from tests.integration.test_envoy import CONFIGURATION, ENVOY, mint
from tests.proofs import dpop, thumbprint
from tests.tokens import encode

HTTPS = """          transport_socket:
            name: envoy.transport_sockets.tls
            typed_config:
              "@type": %(package)s.tls.v3.DownstreamTlsContext
              require_client_certificate: false
              common_tls_context:
                validation_context: {trusted_ca: {filename: %(directory)s/ca.pem}}
                tls_certificates:
                  - certificate_chain: {filename: %(directory)s/envoy.pem}
                    private_key: {filename: %(directory)s/envoy.key}
"""
TLS = "type.googleapis.com/envoy.extensions.transport_sockets"
CONDITION = """
  rules:
    - match: {path: /checkout}
      require:
        condition: '"spiffe://prod/ns/shop/sa/web" in request.client_certificate.names'
"""
WEB = "spiffe://prod/ns/shop/sa/web"


class Stage:
    """An Envoy with TLS, whose clients may show certificates of one CA."""

    def __init__(self, url: str, directory: Path, ca: Ca) -> None:
        self.url = url
        self._directory = directory
        self._ca = ca

    def certify(self, *sans: str) -> Certified:
        return self._ca.certify(*sans)

    async def status(self, path: str, by: Certified | None = None, **headers: str) -> int:
        context = ssl.create_default_context(cafile=str(self._directory / "ca.pem"))
        if by is not None:
            files = self._directory / "client.pem", self._directory / "client.key"
            by.write(*files)
            context.load_cert_chain(*files)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connector = TCPConnector(ssl=context)
        async with (
            ClientSession(connector=connector) as client,
            client.get(self.url + path, headers=named) as answer,
        ):
            return answer.status


@asynccontextmanager
async def staged(
    directory: Path, settings: str, changed: Callable[[str], str]
) -> AsyncIterator[Stage]:
    ca = Ca()
    (directory / "ca.pem").write_bytes(ca.certificate)
    ca.certify(*HERE).write(directory / "envoy.pem", directory / "envoy.key")
    text = CONFIGURATION % ("auto", "http://127.0.0.1:9/jwks.json")
    assert "\n  denied:" in text
    (directory / "jwt-sidecar.yaml").write_text(
        text.replace("\n  denied:", f"{CONDITION}{settings}  denied:")
    )
    template = ENVOY.replace(
        "  clusters:\n", HTTPS % {"directory": directory, "package": TLS} + "  clusters:\n"
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(sidecar(directory / "jwt-sidecar.yaml"))
        values = {
            "UPSTREAM_PORT": await stack.enter_async_context(upstream()),
            "SIDECAR_SOCKET": directory / "sidecar.sock",
        }
        url = await stack.enter_async_context(envoy(changed(template), values))
        yield Stage(url.replace("http:", "https:"), directory, ca)


def bound_to(by: Certified) -> str:
    """A bearer token that is bound to this certificate."""
    confirmation = {"x5t#S256": encode(sha256(by))}
    return f"Bearer {mint(cnf=confirmation)}"


def with_peers_certificate(template: str) -> str:
    found = "encode_raw_headers: true"
    assert found in template
    return template.replace(found, f"{found}\n{' ' * 22}include_peer_certificate: true")


def with_xfcc(template: str) -> str:
    found = "stat_prefix: ingress"
    assert found in template
    return template.replace(
        found,
        f"{found}\n{' ' * 16}forward_client_cert_details: SANITIZE_SET\n"
        f"{' ' * 16}set_current_client_cert_details: {{uri: true, subject: true}}",
    )


@pytest.mark.parametrize(
    ("settings", "changed"),
    [
        pytest.param("", with_peers_certificate, id="include_peer_certificate"),
        pytest.param(
            "  client_certificate: x-forwarded-client-cert\n",
            with_xfcc,
            id="x-forwarded-client-cert",
        ),
    ],
)
async def test_a_certificate_bound_token_passes_with_its_certificate_alone(
    tmp_path: Path, settings: str, changed: Callable[[str], str]
) -> None:
    async with staged(tmp_path, settings, changed) as stage:
        web, other = stage.certify(WEB), stage.certify("spiffe://prod/ns/shop/sa/other")
        token = bound_to(web)
        assert await stage.status("/", web, authorization=token) == 200
        assert await stage.status("/", other, authorization=token) == 401
        assert await stage.status("/", None, authorization=token) == 401
        assert await stage.status("/", web, authorization=f"Bearer {mint()}") == 200
        forged = f"Hash={sha256(web).hex()};URI={WEB}"
        for by in (None, other):
            assert (
                await stage.status("/", by, authorization=token, x_forwarded_client_cert=forged)
                == 401
            )
        assert await stage.status("/checkout", web, authorization=token) == 200
        assert await stage.status("/checkout", other, authorization=f"Bearer {mint()}") == 403


async def test_a_header_that_nobody_vouches_for_is_no_certificate(tmp_path: Path) -> None:
    """As where Envoy is told to set it, and the sidecar is not told that it does."""
    async with staged(tmp_path, "", with_xfcc) as stage:
        web = stage.certify(WEB)
        assert await stage.status("/", web, authorization=bound_to(web)) == 401


async def test_dpop_through_envoy(tmp_path: Path) -> None:
    async with staged(tmp_path, "", lambda template: template) as stage:
        token = mint(cnf={"jkt": thumbprint()})

        def proof(**claims: Any) -> str:
            said: dict[str, Any] = {
                "htm": "GET",
                "htu": f"{stage.url}/orders",
                "iat": int(time.time()),
                **claims,
            }
            return dpop(token, **said)

        once = proof(jti="1")
        scheme = f"DPoP {token}"
        assert await stage.status("/orders?a=1", authorization=scheme, dpop=once) == 200
        assert await stage.status("/orders", authorization=scheme, dpop=once) == 401
        assert await stage.status("/other", authorization=scheme, dpop=proof(jti="2")) == 401
        assert await stage.status("/orders", authorization=scheme) == 401
        assert (
            await stage.status("/orders", authorization=f"Bearer {token}", dpop=proof(jti="3"))
            == 401
        )


def sha256(by: Certified) -> bytes:
    """Of the certificate in DER."""
    certificate = x509.load_pem_x509_certificate(by.certificate)
    return hashlib.sha256(certificate.public_bytes(Encoding.DER)).digest()
