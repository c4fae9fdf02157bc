"""`make demo`: what a real Envoy lets through, with the sidecar beside it."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientSession
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from deploy.demo.stage import envoy, sidecar, upstream
from sidecar.config.load import load
from sidecar.config.snapshot import build
from sidecar.token.mint import Order, mint
from sidecar.token.snapshot import Snapshot

HERE = Path(__file__).parent
ENVOY = (HERE / "envoy.yaml").read_text()


@asynccontextmanager
async def stage(directory: Path) -> AsyncIterator[tuple[str, Snapshot]]:
    """Everything running in a directory: Envoy's URL, and what the sidecar's signer signs with."""
    configuration = Path(shutil.copy(HERE / "jwt-sidecar.yaml", directory))
    (directory / "key.pem").write_bytes(new_key())
    async with sidecar(configuration), upstream() as port:
        values = {"UPSTREAM_PORT": port, "SIDECAR_SOCKET": directory / "sidecar.sock"}
        async with envoy(ENVOY, values) as url:
            yield url, build(load(configuration, os.environ).settings, generated={})


def new_key() -> bytes:
    """A private key for ES256 in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def tokens(signers: Snapshot) -> Mapping[str, str]:
    """The demo's tokens by what they are; an empty one is not sent."""
    now = time.time()
    good = mint(Order(subject="alice"), signers, now, "good").token
    expired = mint(Order(subject="alice"), signers, now - 7200, "expired").token
    header, claims, _ = good.split(".")
    signature = expired.rpartition(".")[2]
    return {
        "no token": "",
        "a good token": good,
        "an expired token": expired,
        "a forged token": f"{header}.{claims}.{signature}",
    }


async def main() -> None:
    """Sends the requests and prints what each got."""
    with tempfile.TemporaryDirectory(prefix="jwt-sidecar-demo-") as directory:
        async with stage(Path(directory)) as (url, signers), ClientSession() as client:
            for what, token in tokens(signers).items():
                headers = {"authorization": f"Bearer {token}"} if token else {}
                async with client.get(f"{url}/orders", headers=headers) as response:
                    print(f"{what:17} {response.status}  {outcome(await response.json())}")


def outcome(answer: Mapping[str, object]) -> str:
    """What came back: the denial, or the forwarded header as the upstream saw it."""
    if "reason" in answer:
        return f"{answer['reason']}: {answer['message']}"
    headers = answer["headers"]
    assert isinstance(headers, list)
    return "at the upstream: " + ", ".join(
        f"{name}: {value}" for name, value in headers if name.startswith("x-jwt")
    )


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        raise SystemExit(130) from None
