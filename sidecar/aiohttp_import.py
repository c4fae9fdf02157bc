"""The first import of aiohttp, without the 2 MiB of certificates that it would load."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_CERTIFICATES: Final = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull}


@contextmanager
def without_certificates() -> Iterator[None]:
    """For the first import of aiohttp, which reads the system's certificates as it is imported.

    They take 2 MiB, and are of no use: the one who calls over TLS, `sidecar.keys.download`, always
    brings a context of its own.
    """
    before = {name: os.environ.get(name) for name in _CERTIFICATES}
    os.environ.update(_CERTIFICATES)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
