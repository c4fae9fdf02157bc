"""What went wrong with Redis, in one sentence that names the cause and what helps.

No text of the server is passed on whole: it may quote what it was sent.
"""

import os
import re
import socket
import ssl
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import TimeoutError as TimedOut

from sidecar.state.redis_scripts import FORMAT, OTHER_FORMAT, PREFIX, RECORD_GONE
from sidecar.tls_client import why_untrusted

_FORBIDDEN: Final = (
    f"its user may not do what the store does (NOPERM); give it ~{PREFIX}* &{PREFIX}* and the "
    "commands of docs/configuration.md (ACL SETUSER)"
)
RECORDS_ARE_GONE: Final = (
    "records are gone that it should have: keys were evicted or removed; set maxmemory-policy to "
    "noeviction and restore it, or remove the rest of its keys to begin with an empty store"
)
_LATE: Final = "see whether it runs, is overloaded or cut off from here"
_MEANINGS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (BusyLoadingError, "it still reads its data from the disk (LOADING); wait until it has"),
    (NoPermissionError, _FORBIDDEN),
    (OutOfMemoryError, "its memory is full (OOM); raise maxmemory, or remove what else is in it"),
    (ReadOnlyError, "it is a read-only replica; name the primary, or the Sentinels that know it"),
    (ClusterDownError, "the cluster is down (CLUSTERDOWN); see CLUSTER INFO"),
)
_CODES: Final = {
    RECORD_GONE: RECORDS_ARE_GONE,
    "MISCONF": "it can't write to its disk (MISCONF); see its log and the disk's free space",
    "NOREPLICAS": "it has fewer replicas than min-replicas-to-write; start them",
    "BUSY": "it is busy with a script (BUSY); see which with CLIENT LIST",
    "TRYAGAIN": "the cluster is moving the store's slot; try again",
    "ASK": "the cluster is moving the store's slot; try again",
    "CROSSSLOT": "a proxy or cluster takes the store's keys apart; name the cluster's own nodes",
    "WRONGTYPE": f"another program has keys that begin with {PREFIX}; name another database",
}
"""By the code that an error begins with."""
_WORDS: Final = {
    "DB index is out of range": "it has no database of this number; name another in url",
    "SELECT is not allowed": "a cluster has database 0 only; name no other in url",
    "unknown command": "it lacks a command that the store needs; use Redis 5 or newer, or Valkey, "
    "with EVALSHA and EVAL allowed",
}


class Damaged(Exception):
    """Records are not there that should be."""


class NoMaster(Exception):
    """No Sentinel knows the master."""


class Unreached(Exception):
    """One address could not be had, because of `cause`."""

    def __init__(self, address: str, cause: Exception) -> None:
        super().__init__(address)
        self.address = address
        self.cause = cause


FAILURES: Final = (RedisError, OSError, Damaged, NoMaster, Unreached)
"""All that ends a call."""


def is_away(error: Exception) -> bool:
    """Whether Redis can't be reached, so that asking at once again would be in vain."""
    if isinstance(error, Unreached):
        return is_away(error.cause)
    return isinstance(error, Disconnected | TimedOut | OSError | NoMaster)


def sentence(error: Exception) -> str:
    """Why, and what helps."""
    if isinstance(error, Unreached):
        return f"{error.address}: {sentence(error.cause)}"
    if isinstance(error, TimedOut | TimeoutError):
        return f"no answer in time; {_LATE}, or speaks TLS where the URL does not, or the reverse"
    if isinstance(error, Damaged | NoMaster):
        return str(error)
    for kind, meaning in _MEANINGS:
        if isinstance(error, kind):
            return meaning
    if isinstance(error, AuthenticationError):
        return _denied(str(error))
    if isinstance(error, ResponseError):
        return _answered(error.status_code or str(error).partition(" ")[0], str(error))
    return _unreached(error)


def _denied(text: str) -> str:
    if "without any password" in text or "Client sent AUTH" in text:
        return "it asks for no password, and store has one; remove it, or set one in Redis"
    if "required" in text.lower():
        return "it asks for a password (NOAUTH); set store.password, or store.sentinel_password"
    return "it refuses the password or the user (WRONGPASS); mend store.password and store.username"


def _answered(code: str, text: str) -> str:
    if code == OTHER_FORMAT:
        found = re.sub(r"[^0-9]", "", text)[:10]
        return (
            f"a newer jwt-sidecar wrote it (format {found}; this one knows {FORMAT}); run that "
            "one, or name another database"
        )
    for words, meaning in _WORDS.items():
        if words in text:
            return meaning
    if "user executing the script can't" in text or "ACL failure" in text:
        return _FORBIDDEN
    known = _CODES.get(code)
    shown = code if re.fullmatch(r"[A-Z]{1,40}", code) else "no code"
    return known or f"it answers with an error ({shown}); its log may say more"


def _unreached(error: BaseException) -> str:
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, OSError):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its TLS certificate is not trusted ({why_untrusted(cause)}); see store.ca_file"
    if isinstance(cause, ssl.SSLError):
        return (
            f"no TLS connection ({cause.reason or 'broken off'}); see whether it serves TLS on "
            "this port, and wants a certificate (store.certificate_file)"
        )
    if isinstance(cause, socket.gaierror):
        return f"its name is not found ({cause.strerror}); mend store.url or the DNS"
    if cause is not None and cause.errno and not isinstance(cause, ConnectionResetError):
        return f"{os.strerror(cause.errno)}; {_LATE}"
    return (
        "it closed the connection; see its log: it may be stopping, want TLS (rediss://), or want "
        "a certificate (store.certificate_file)"
    )
