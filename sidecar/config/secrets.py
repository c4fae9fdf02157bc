"""Secrets: where they are, never what they are."""

import base64
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_serializer,
    model_validator,
)

from sidecar.config.section import Fault, Maybe, Section, Text, fault
from sidecar.config.surroundings import Surroundings, Unreadable
from sidecar.token import base64url

MOST_BYTES: Final = 1024 * 1024
_REFERENCE: Final = "{env: NAME}, {file: PATH} or {value: TEXT}"


def _variable(name: str) -> str:
    """Does not quote what was found: it may be the secret, put here by mistake."""
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name) is None:
        raise fault("must be the name of an environment variable, such as JWT_SECRET")
    return name


def _absolute(path: str, info: ValidationInfo) -> str:
    return Surroundings.of(info).absolute(path)


class Secret(Section):
    """Where a secret is: in an environment variable, in a file or, for tests, right here."""

    env: Maybe[Annotated[str, AfterValidator(_variable)]] = None
    """Environment variable that holds the secret."""
    file: Maybe[Annotated[Text, AfterValidator(_absolute)]] = None
    """File that holds the secret. Without an encoding, one line end after it is dropped."""
    value: Maybe[SecretStr] = None
    """The secret itself, for tests."""
    encoding: Maybe[Literal["base64", "base64url", "hex"]] = None
    """How bytes are written as text; absent: the text is the secret."""
    _material: bytes = PrivateAttr(default=b"")

    @property
    def material(self) -> bytes:
        """The secret."""
        return self._material

    @model_validator(mode="before")
    @classmethod
    def _is_a_reference(cls, value: Any) -> Any:
        if isinstance(value, dict | Secret):
            return value
        if value is None:
            raise fault(f"is empty; write {_REFERENCE}")
        raise fault(f"must say where the secret is, and not be the secret: write {_REFERENCE}")

    def contradictions(self) -> Iterator[Fault]:
        """Only one place can hold the secret."""
        yield from self.not_exactly_one("env", "file", "value")

    @model_validator(mode="after")
    def _load(self, info: ValidationInfo) -> Self:
        origin, material = self._read(Surroundings.of(info))
        if self.encoding is not None:
            material = _decoded(material, self.encoding, origin)
        if not material:
            raise fault(f"{origin} is empty; a secret is needed there")
        self._material = material
        return self

    def _read(self, surroundings: Surroundings) -> tuple[str, bytes]:
        if self.env is not None:
            text = surroundings.variable(self.env)
            if text is None:
                raise fault(f"environment variable {self.env} is not set", "env")
            return f"environment variable {self.env}", text.encode("utf-8", "surrogateescape")
        if self.file is not None:
            try:
                data = surroundings.read(self.file, MOST_BYTES)
            except Unreadable as error:
                raise fault(str(error), "file") from None
            return self.file, data if self.encoding else re.sub(rb"\r?\n\Z", b"", data)
        text = self.value.get_secret_value() if self.value else ""
        return "the value", text.encode("utf-8")

    @field_serializer("value", when_used="unless-none")
    def _masked(self, _: SecretStr) -> str:
        return "***"


class PrivateKey(Secret):
    """Where a private key in PEM is, and what it is encrypted with."""

    password: Maybe[Secret] = None
    """Password of an encrypted key."""


def _decoded(text: bytes, encoding: str, origin: str) -> bytes:
    """White space is dropped: what writes base64 breaks its lines."""
    text = b"".join(text.split())
    try:
        if encoding == "hex":
            return bytes.fromhex(text.decode("ascii"))
        if encoding == "base64":
            return base64.b64decode(text, validate=True)
        return base64url.decode(text.rstrip(b"="))
    except ValueError:
        raise fault(f"{origin} is not {encoding}; mend it or change the encoding") from None
