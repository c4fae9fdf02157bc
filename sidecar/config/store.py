"""Where the sidecar keeps what outlives a request."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self

from pydantic import Field

from sidecar.config import redis
from sidecar.config.keyfiles import CertificateFile
from sidecar.config.redis import Layout, RedisUrl
from sidecar.config.secrets import Secret
from sidecar.config.section import Fault, Maybe, Section, Text, Written, fault
from sidecar.config.surroundings import Surroundings
from sidecar.config.tls import PrivateKeyFile, Unfit, read_pair
from sidecar.config.units import Duration, lasting

SECRETS_KEY_BYTES: Final = 32
"""AES-256 (FIPS 197)."""
_MEMORY: Final = "memory:"
_SQLITE: Final = "sqlite:"


@dataclass(frozen=True, slots=True)
class StoreUrl(Written):
    """`sqlite:PATH`, the URL of a Redis, or `memory:`."""

    path: str = ""
    """Absolute path of a SQLite file; empty for anything else."""
    redis: RedisUrl | None = None

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """The store in this text; raises a fault without its words: a URL may hold a password."""
        if text == _MEMORY:
            return cls()
        if text.startswith(_SQLITE):
            return cls(sqlite_path(text.removeprefix(_SQLITE), surroundings))
        if redis.is_redis(text):
            return cls(redis=redis.parse(text, surroundings))
        raise fault("must be sqlite:PATH, such as sqlite:state.db, redis://HOST:PORT, or memory:")

    @property
    def is_shared(self) -> bool:
        """Whether several processes have it in common."""
        return bool(self.path) or self.redis is not None

    def __str__(self) -> str:
        """As it is written in the file, its path absolute."""
        if self.redis is not None:
            return str(self.redis)
        return f"{_SQLITE}{self.path}" if self.path else _MEMORY


class Store(Section):
    """What outlives a request, and with a file or a Redis also the process."""

    url: StoreUrl
    """`sqlite:PATH`, the URL of a Redis, or `memory:`."""
    username: Maybe[Text] = None
    """User of Redis; absent: its default user."""
    password: Maybe[Secret] = None
    """Password of that user."""
    sentinel_password: Maybe[Secret] = None
    """Password of the Sentinels, where they ask for one."""
    ca_file: Maybe[CertificateFile] = None
    """Certificates that Redis is trusted by, instead of the system's."""
    certificate_file: Maybe[CertificateFile] = None
    """PEM certificates that Redis knows the sidecar by: its own first."""
    private_key_file: Maybe[PrivateKeyFile] = None
    """Private key of the first of these, in PEM and not encrypted."""
    secrets_key: Maybe[Secret] = None
    """Key of 32 bytes that the secrets of consumers are encrypted with."""
    previous_secrets_key: Maybe[Secret] = None
    """The key before that one, with which secrets can still be read."""
    plaintext_secrets: bool = False
    """Whether secrets may stand in the store as they are. Without a secrets_key, new ones do."""
    max_staleness: Annotated[Duration, lasting("100ms", "1m")] = Field(
        default="2s", validate_default=True
    )
    """What another sidecar on the same store changed is seen within this."""
    on_outage: Literal["serve", "deny"] = "serve"
    """While the store is away: decide by what is known, or refuse what it would be asked for."""

    def contradictions(self) -> Iterator[Fault]:
        """A user has a password, a certificate its private key, and keys are those of AES-256."""
        for name in ("secrets_key", "previous_secrets_key"):
            reference: Secret | None = getattr(self, name)
            if reference and len(reference.material) != SECRETS_KEY_BYTES:
                yield (
                    (name,),
                    f"must be {SECRETS_KEY_BYTES} bytes; it has {len(reference.material)}: make "
                    "one by jwt-sidecar keys generate --algorithm HS256, with encoding: base64url",
                )
        if self.username is not None and self.password is None:
            yield ("username",), "needs password: no user is known by the name alone"
        certificate, key = self.certificate_file, self.private_key_file
        if certificate is not None and key is not None:
            try:
                read_pair("certificate_file", certificate.path, "private_key_file", key.path)
            except Unfit as unfit:
                yield (unfit.setting,), unfit.message
        elif certificate is not None:
            yield ("certificate_file",), "needs private_key_file, the key that belongs to it"
        elif key is not None:
            yield ("private_key_file",), "needs certificate_file, which it belongs to"

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """A door of a file asks nobody, files for TLS are for TLS, a key follows another."""
        if not self.secrets_key:
            yield "previous_secrets_key", "secrets_key"
        url = self.url.redis
        if url is None:
            yield from ((name, "the URL of a Redis") for name in ("username", "password"))
        if url is None or url.layout is not Layout.SENTINEL:
            yield "sentinel_password", "redis+sentinel:// or rediss+sentinel://"
        if url is None or not url.tls:
            names = ("ca_file", "certificate_file", "private_key_file")
            yield from ((name, "rediss://, which is Redis over TLS") for name in names)


def sqlite_path(path: str, surroundings: Surroundings) -> str:
    """Absolute path of a SQLite file, from what stands after `sqlite:`; raises a fault."""
    if not path or path.endswith("/") or "\0" in path:
        raise fault("must name a file after sqlite:, such as sqlite:state.db")
    if path.startswith("//"):
        raise fault(
            "must have no two slashes after sqlite:, which are read in different ways; write "
            "sqlite:state.db for a file beside this one, or sqlite:/var/lib/jwt-sidecar/state.db"
        )
    return surroundings.absolute(path)
