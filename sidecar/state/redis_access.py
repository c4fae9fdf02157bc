"""Connections to Redis by the settings of one moment: who we are, and whom we trust."""

import asyncio
import contextlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Self

from redis.asyncio.connection import Connection, SSLConnection
from redis.credentials import CredentialProvider
from redis.exceptions import NoScriptError, RedisError

from sidecar.config.addresses import Address
from sidecar.config.redis import RedisUrl
from sidecar.config.secrets import Secret
from sidecar.config.store import Store as Setting
from sidecar.state.redis_scripts import Script
from sidecar.tls_client import trusting

LONGEST_CONNECT: Final = 0.5
"""Seconds for a connection to one address."""


@dataclass(frozen=True, slots=True)
class Access:
    """What is needed to be let in, as the files and secrets were."""

    url: RedisUrl
    setting: Setting = field(repr=False)
    trust: ssl.SSLContext | None
    """None where the URL asks for no TLS, and there alone."""

    @classmethod
    async def of(cls, url: RedisUrl, setting: Setting) -> Self:
        """Reads the certificates; raises OSError where they can't be used."""
        return cls(url, setting, await asyncio.to_thread(_trust_of, setting) if url.tls else None)

    def to_redis(self, address: Address) -> Connection:
        """One that is not open yet."""
        login = _Login(self.setting.username, self.setting.password)
        return self._connection(address, login, self.url.database)

    def to_sentinel(self, address: Address) -> Connection:
        """One that is not open yet."""
        return self._connection(address, _Login(None, self.setting.sentinel_password), 0)

    def _connection(self, address: Address, login: "_Login", database: int) -> Connection:
        settings: dict[str, Any] = {
            "host": address.host,
            "port": address.port,
            "db": database,
            # Each call has a limit as a whole. This one would be kept by asyncio.wait_for, which in
            # Python 3.11 may swallow that the call was cancelled.
            "socket_timeout": None,
            "socket_connect_timeout": LONGEST_CONNECT,
            "credential_provider": login if login.password else None,
            "driver_info": None,
            "protocol": 2,
        }
        if self.trust is None:
            return Connection(**settings)
        connection = SSLConnection(**settings)
        # Its own context would trust the system's certificates beside those of ca_file.
        connection.ssl_context.context = self.trust
        return connection


async def evaluate(
    connection: Connection, script: Script, keys: Sequence[str], arguments: Sequence[Any]
) -> Any:
    """What the script answers, sent whole where Redis has not seen it yet."""
    try:
        await connection.send_command("EVALSHA", script.digest, len(keys), *keys, *arguments)
        return await connection.read_response()
    except NoScriptError:
        await connection.send_command("EVAL", script.text, len(keys), *keys, *arguments)
        return await connection.read_response()


async def is_fresh(connection: Connection) -> bool:
    """Whether it is open still, and nothing unasked has arrived."""
    if connection.should_reconnect() or not connection.is_connected:
        return False
    try:
        return not await connection.can_read()
    except RedisError:
        return False


async def close(connection: Connection) -> None:
    """Closes it without a wait for the other side."""
    with contextlib.suppress(RedisError, OSError):
        await connection.disconnect(nowait=True)


class _Login(CredentialProvider):
    """What is asked for at the door."""

    def __init__(self, username: str | None, password: Secret | None) -> None:
        self.username = username
        self.password = password

    def get_credentials(self) -> Any:
        """Password, or user and password."""
        material = self.password.material if self.password else b""
        return (material,) if self.username is None else (self.username, material)

    async def get_credentials_async(self) -> Any:
        """The same."""
        return self.get_credentials()


def _trust_of(setting: Setting) -> ssl.SSLContext:
    """Whom to trust and who we are, as the files say now; raises OSError."""
    context = trusting(setting.ca_file.path if setting.ca_file else None)
    if setting.certificate_file and setting.private_key_file:
        context.load_cert_chain(setting.certificate_file.path, setting.private_key_file.path)
    return context
