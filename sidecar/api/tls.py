"""A listener's certificate: the one that is on disk now, shown to whoever connects next."""

import logging
import math
import time
from collections.abc import Callable
from typing import Final

import grpc

from sidecar.config.tls import Files, Identity, Tls, Unfit
from sidecar.token.words import moment

REREAD: Final = 1.0
"""Seconds from one look at the files to the next; no one looks while nobody connects."""
_PAUSE: Final = 0.1
"""Seconds before gRPC frees what it made of the old files, below."""

log = logging.getLogger(__name__)


class Certificates:
    """What a listener shows in its handshakes, read again when its files change.

    Files that TLS can't be served with, half written ones among them, change nothing. The content
    is what is compared, so that neither a link that is swapped nor a clock that is coarse hides a
    change. `now` gives seconds since the epoch. Raises Unfit where there is nothing to begin with.
    """

    def __init__(self, settings: Tls, address: str, now: Callable[[], float]) -> None:
        self._settings = settings
        self._address = address
        self._now = now
        self._seen: Files | None = settings.files()
        self._current = settings.identity(self._seen)
        self._looked = now()
        self._problem = ""
        self._lapse = ""
        self._warn_of_lapse()

    def current(self) -> Identity:
        """What to show from now on: the same object until the files change. Never raises."""
        now = self._now()
        if abs(now - self._looked) >= REREAD:
            self._looked = now
            self._look()
            self._warn_of_lapse()
        return self._current

    def look_again(self) -> None:
        """The next handshake looks at the files, however short the last look is ago."""
        self._looked = -math.inf

    def _look(self) -> None:
        files = None
        try:
            files = self._settings.files()
            if files != self._seen:
                self._use(self._settings.identity(files))
        except Unfit as unfit:
            if unfit.message != self._problem:
                log.warning("%s: the certificate in use stays: %s", self._address, unfit.message)
            self._problem = unfit.message
        finally:
            self._seen = files

    def _use(self, found: Identity) -> None:
        self._problem = ""
        if found != self._current:
            until = moment(found.not_after)
            log.info("%s: new files for TLS are in use; valid until %s", self._address, until)
            self._current = found

    def _warn_of_lapse(self) -> None:
        lapse = _lapse(self._current, self._looked)
        if lapse and lapse != self._lapse:
            path = self._settings.certificate_file.path
            log.warning(
                "%s: the certificate %s; callers will not take it: replace %s",
                self._address,
                lapse,
                path,
            )
        self._lapse = lapse


def credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """Credentials that show in each handshake what is current; TLS 1.2 and 1.3."""
    served = certificates.current()

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        """What the server shows from now on; None: what it shows already.

        gRPC calls it before every handshake of a port, in threads of its own, under a lock. When
        it gets an answer it frees what other handshakes take up just behind that lock, and a
        process in which the two meet is aborted. The pause lets those that are ahead get away,
        while the lock holds up those that come after.
        """
        nonlocal served
        found = certificates.current()
        if found is served:
            return None
        served = found
        time.sleep(_PAUSE)
        return _configuration(found)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(served),
        fetch,  # type: ignore[arg-type] # the stubs leave None out
        require_client_authentication=served.files.client_ca is not None,
    )


def _configuration(identity: Identity) -> grpc.ServerCertificateConfiguration:
    files = identity.files
    return grpc.ssl_server_certificate_configuration(
        [(files.private_key, files.certificate)], files.client_ca
    )


def _lapse(identity: Identity, now: float) -> str:
    if now > identity.not_after:
        return f"expired at {moment(identity.not_after)}"
    if now < identity.not_before:
        return f"is not valid before {moment(identity.not_before)}"
    return ""
