"""What TLS servers are trusted by, read again when its file changes."""

import logging
import os
import ssl
from pathlib import Path

from sidecar.config.stamps import Stamp, stamp
from sidecar.keys.answer import DownloadFailed, Outcome
from sidecar.tls_client import trusting

log = logging.getLogger(__name__)


class Trust:
    """TLS contexts by CA file, each read when it is first needed, as it takes megabytes.

    A file that changed, also through a link that leads elsewhere now, is read again. One that is
    only half written leaves what was read before in use.
    """

    def __init__(self) -> None:
        self._system: ssl.SSLContext | None = None
        self._files: dict[Path, tuple[Stamp | None, ssl.SSLContext]] = {}

    def context(self, ca_file: Path | None) -> ssl.SSLContext:
        """For a server that this file, None: the system's certificates, vouches for.

        Raises DownloadFailed where the file can't be read and never could.
        """
        if ca_file is None:
            if self._system is None:
                self._system = trusting(None)
            return self._system
        known = self._files.get(ca_file)
        state = stamp(str(ca_file))
        try:
            if known is None or state is None or known[0] != state:
                known = (state, trusting(str(ca_file)))
                self._files[ca_file] = known
        except OSError as error:
            problem = f"{ca_file} {_problem(error)}"
            if known is None:
                raise DownloadFailed(problem, Outcome.TLS) from error
            log.warning("%s; what it held before is still trusted", problem)
        return known[1]


def _problem(error: OSError) -> str:
    if isinstance(error, ssl.SSLError):
        return "holds no PEM certificate"
    reason = os.strerror(error.errno) if error.errno else str(error)
    return f"can't be read ({reason})"
