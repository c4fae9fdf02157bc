"""Where a database is and what it is asked. SQLAlchemy is loaded where one is configured."""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from sidecar.config.section import Written, fault
from sidecar.config.store import sqlite_path
from sidecar.config.surroundings import Surroundings
from sidecar.token.words import names

if TYPE_CHECKING:
    from sqlalchemy import URL

PARAMETER: Final = "sub"
"""The one parameter of a query."""
_SQLITE: Final = "sqlite:"
_SQLITE_DRIVER: Final = "sqlite+aiosqlite"
_DRIVERS: Final = {"postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_LIKE: Final = "sqlite:users.db, or a URL such as postgresql://reader@db.internal/users"
_FORM: Final = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9_+]*)://")
_READS: Final = re.compile(r"\s*(select|with)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SqlUrl(Written):
    """`sqlite:PATH`, or the URL of a server by an asynchronous driver of SQLAlchemy's."""

    text: str
    """As it is written, the path of SQLite absolute."""
    path: str = ""
    """Of a SQLite file; empty for a server."""

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """Raises a fault without the text, which may hold a password."""
        form = _FORM.match(text)
        if text.startswith(_SQLITE):
            path = sqlite_path(text.removeprefix(_SQLITE), surroundings)
            _check_driver(_SQLITE_DRIVER)
            return cls(f"{_SQLITE}{path}", path)
        if form is None:
            raise fault(f"must be {_LIKE}")
        _check_driver(_driver(form["scheme"]))
        found = cls(text)
        _check_no_password(found.url)
        return found

    @property
    def url(self) -> "URL":
        """The same as SQLAlchemy has it, of a server; raises a fault where it is malformed."""
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        scheme, _, rest = self.text.partition("://")
        try:
            return make_url(f"{_driver(scheme)}://{rest}")
        except (ArgumentError, ValueError):
            raise fault(f"is no URL of a database; write {_LIKE}") from None

    def __str__(self) -> str:
        """As it is written."""
        return self.text


@dataclass(frozen=True, slots=True)
class SqlQuery(Written):
    """A SELECT with the parameter `:sub`."""

    text: str

    @classmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """Raises a fault where it is no SELECT, or has not just this parameter."""
        if _READS.match(text) is None:
            raise fault("must be a SELECT: nothing is ever written")
        found = _parameters(text)
        if found == {PARAMETER}:
            return cls(text)
        if PARAMETER not in found:
            raise fault(f"must have the parameter :{PARAMETER}, for which the subject is put")
        others = names(f":{one}" for one in found - {PARAMETER})
        raise fault(f"has the parameter {others}; there is only :{PARAMETER} (\\: is a colon)")

    def __str__(self) -> str:
        """The query."""
        return self.text


def _parameters(query: str) -> set[str]:
    _check_installed()
    from sqlalchemy import text

    return set(text(query).compile().params)


def _driver(scheme: str) -> str:
    return _DRIVERS.get(scheme, scheme)


def _check_installed() -> None:
    try:
        import sqlalchemy.ext.asyncio  # noqa: F401 - whether it is there
    except ImportError:
        raise fault("needs the extra sql: pip install 'jwt-sidecar[sql]'") from None


def _check_driver(name: str) -> None:
    """That SQLAlchemy has it, that it waits without blocking, and that it is installed."""
    _check_installed()
    from sqlalchemy import make_url
    from sqlalchemy.exc import NoSuchModuleError

    try:
        dialect = make_url(f"{name}://").get_dialect(_is_async=True)
    except NoSuchModuleError:
        raise fault(f"names {name}, which SQLAlchemy does not know; write {_LIKE}") from None
    if not dialect.is_async:
        raise fault(
            f"names {name}, which is no asynchronous driver; name one, as postgresql+asyncpg does"
        )
    try:
        dialect.import_dbapi()
    except ImportError as error:
        package = (error.name or name.partition("+")[2]).partition(".")[0]
        raise fault(f"needs the driver {package}: pip install {package}") from None


def _check_no_password(url: "URL") -> None:
    if url.password is not None or any(map(_is_password, url.query)):
        raise fault("must be without password; put it into sql.password, as {env: NAME}")


def _is_password(name: str) -> bool:
    return any(part in name.lower() for part in ("pass", "pwd", "secret")) and name != "passfile"
