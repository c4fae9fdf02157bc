"""What all settings share: sections that are frozen and strict, and faults in our own words."""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Final, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    Strict,
    WithJsonSchema,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError, core_schema

from sidecar.config.problems import Place
from sidecar.config.surroundings import Surroundings
from sidecar.token.words import quoted

T = TypeVar("T")
FAULTS: Final = "faults"
"""The type of a validation error that carries faults."""
ANY: Final = ("*",)
"""What `"*"` is read as where it stands in place of a list."""

_MAYBE_SECRET: Final = re.compile(r"://[^/]*@|://.*\?|-----BEGIN |\beyJ[\w-]*\.", re.DOTALL)
"""A URL with user name or query, PEM, a token: put by mistake where something else is expected."""

Fault = tuple[Place, str]
"""Where in the section that is being read, and what is wrong, in a sentence without subject."""


def faults(found: list[Fault]) -> PydanticCustomError:
    """An error that a validator raises for everything that it found."""
    return PydanticCustomError(FAULTS, "{count} faults", {"count": len(found), "faults": found})


def fault(message: str, *place: str | int) -> PydanticCustomError:
    """An error that a validator raises for one thing."""
    return faults([(place, message)])


def said(error: PydanticCustomError) -> str:
    """The sentence of a fault that was raised outside a validation."""
    found: list[Fault] = (error.context or {})["faults"]
    return found[0][1]


def came(value: object) -> str:
    """What was found in place of the value that was expected; no text that looks like a secret."""
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {quoted(value)}"
    if isinstance(value, str):
        if _MAYBE_SECRET.search(value):
            return "text that may hold a secret"
        return f"the text {quoted(value)}"
    return "a list" if isinstance(value, list | tuple) else "a mapping"


class Section(BaseModel):
    """A mapping of settings: immutable, of exactly these keys and types."""

    model_config = ConfigDict(
        defer_build=True,
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        strict=True,
    )

    def contradictions(self) -> Iterator[Fault]:
        """What is wrong between settings that are each right by themselves."""
        yield from ()

    def meaningless(self) -> Iterator[tuple[str, str]]:
        """Settings that can't mean anything here, and what each would have a meaning with.

        They may not be given, and are not shown.
        """
        yield from ()

    @model_validator(mode="after")
    def _agree(self) -> Self:
        found = list(self.contradictions())
        for name, owner in self.meaningless():
            if name in self.model_fields_set:
                found.append(((name,), f"has a meaning only with {owner}; remove it"))
        if found:
            raise faults(found)
        return self

    @model_serializer(mode="wrap")
    def _meaningful(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        members: dict[str, Any] = dump(self)
        for name, _ in self.meaningless():
            members.pop(name, None)
        return members

    def not_exactly_one(self, *names: str) -> Iterator[Fault]:
        """A fault unless the file has exactly one of these settings."""
        given = [name for name in names if name in self.model_fields_set]
        if len(given) != 1:
            found = f"it has {' and '.join(given)}" if given else "it has none of them"
            yield (), f"needs exactly one of {', '.join(names)}; {found}"


class Written(ABC):
    """A value that stands in the file as text and is read into something richer."""

    @classmethod
    @abstractmethod
    def read(cls, text: str, surroundings: Surroundings) -> Self:
        """The value that the text means; raises a fault."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Text on the way in and out, this class between."""

        def read(value: object, info: core_schema.ValidationInfo) -> Written:
            if not isinstance(value, str) or not value:
                raise fault(f"must be text that is not empty; it is {came(value)}")
            return cls.read(value, Surroundings.of(info))

        return core_schema.with_info_plain_validator_function(
            read,
            serialization=core_schema.plain_serializer_function_ser_schema(str, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: Any) -> dict[str, Any]:
        """For editors it is text."""
        return {"type": "string", "minLength": 1}


class _NeverNull:
    """Absent or a value: `key:` with nothing behind it would silently mean the default."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_before_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return next(one for one in handler(schema)["anyOf"] if one != {"type": "null"})

    def _check(self, value: object) -> object:
        if value is None:
            raise fault("is empty; give it a value or remove the key")
        return value


class _NotEmpty:
    """A list of at least one entry. Wrong entries count: a list of them is not empty."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        return {**handler(schema), "minItems": 1}

    def _check(self, values: tuple[T, ...]) -> tuple[T, ...]:
        if not values:
            raise fault("must have at least one entry; it is empty")
        return values


@dataclass(frozen=True)
class Matching:
    """Text of one form: a pattern for editors, and words for a problem."""

    pattern: str
    words: str

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Checks the form after the type."""
        return core_schema.no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: Any, handler: Any) -> Any:
        """The schema of the type and the pattern."""
        return {**handler(schema), "pattern": self.pattern}

    def _check(self, text: str) -> str:
        if re.search(self.pattern, text) is None or text.endswith("\n"):
            raise fault(f"must be {self.words}; it is {came(text)}")
        return text


def distinct(values: tuple[T, ...]) -> tuple[T, ...]:
    """The same values; raises a fault where one is there twice."""
    if len(set(values)) == len(values):
        return values
    twice = next(one for index, one in enumerate(values) if one in values[:index])
    raise fault(f"has {quoted(twice)} twice; remove one")


def _list_or_any(value: object) -> object:
    if value == "*":
        return ANY
    if not isinstance(value, list | tuple):
        raise fault(f'must be a list, or "*" for any; it is {came(value)}')
    if "*" in value:
        raise fault('has "*" in a list; write "*" alone for any')
    if not value:
        raise fault('must have at least one entry; write "*" for any')
    return value


Maybe = Annotated[T | None, _NeverNull()]
"""A setting that may be absent, but is never null."""
Many = Annotated[tuple[T, ...], Strict(False)]
"""A list; its entries stay strict."""
NotEmpty = _NotEmpty()
OneOrMore = Annotated[Many[T], NotEmpty, AfterValidator(distinct)]
"""A list of at least one entry, none twice."""

Text = Annotated[
    str, Matching(r"^[^\x00-\x1f\x7f]+$", "text that is not empty, without control characters")
]
Name = Annotated[
    str,
    Matching(r"^[a-z0-9._-]{1,100}$", "a name of 1 to 100 of the characters a-z, 0-9, ., _ and -"),
]
Texts = Annotated[Many[Text], AfterValidator(distinct)]
"""A list of text, none twice."""
TextsOrAny = Annotated[
    Texts,
    BeforeValidator(_list_or_any),
    PlainSerializer(lambda values: "*" if values == ANY else list(values), when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
                {"const": "*"},
            ]
        }
    ),
]
"""A list of text, or `"*"`, which is `ANY`."""
