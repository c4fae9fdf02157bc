"""What validation found, in our own words. No value that may be a secret is quoted."""

from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from sidecar.config.document import Document
from sidecar.config.problems import Place, Problem, nearest
from sidecar.config.section import FAULTS, Fault, came
from sidecar.token.words import names

_SECRETS: Final = frozenset(
    {
        "secret",
        "private_key",
        "public_key",
        "password",
        "secrets_key",
        "previous_secrets_key",
    }
)
_SENT: Final = frozenset({("keys", "headers"), ("http", "headers")})
_EXPECTED: Final = {
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "float_type": "must be a number",
    "int_type": "must be a whole number",
    "model_type": "must be a mapping of settings",
    "string_type": "must be text",
    "tuple_type": "must be a list",
}
_OF_SEVERAL: Final = frozenset({"dict_type", "model_type", "tuple_type"})
_BOUNDS: Final = {
    "greater_than_equal": ("at least", "ge"),
    "less_than_equal": ("at most", "le"),
}


def problems_of(error: ValidationError, document: Document, root: object) -> list[Problem]:
    """The problems of a document that is no `root`, which is the type that was asked for."""
    return [document.problem(path, message) for path, message in faults_of(error, root)]


def faults_of(error: ValidationError, root: object) -> Iterator[Fault]:
    """The faults of what is no `root`."""
    for details in error.errors(include_url=False):
        yield from _worded(details, root)


def _worded(details: ErrorDetails, root: object) -> Iterator[tuple[Place, str]]:
    # "[key]" stands behind a mapping's key where the key itself is wrong.
    place = tuple(step for step in details["loc"] if step != "[key]")
    if details["type"] == FAULTS:
        for inner, message in details["ctx"]["faults"]:
            yield (*place, *inner), message
    elif details["type"] == "extra_forbidden":
        yield _unknown_key(place, root)
    elif details["type"] == "missing":
        yield place, "is missing"
    else:
        yield place, _sentence(details, hidden=_is_secret(place))


def _is_secret(place: Place) -> bool:
    """Whether a secret may stand there; headers of keys and subjects are sent, others named."""
    return not _SECRETS.isdisjoint(place) or place[2:4] in _SENT


def _sentence(details: ErrorDetails, hidden: bool) -> str:
    kind, context = details["type"], details.get("ctx", {})
    value = details["input"]
    found = "something else" if hidden else came(value)
    if kind in _EXPECTED:
        if kind in _OF_SEVERAL and isinstance(value, str):
            found = "text"  # often the one secret that belongs into it
        quotable = kind == "string_type" and isinstance(value, int | float)
        remedy = ": put it in quotes" if quotable else ""
        return f"{_EXPECTED[kind]}; it is {found}{remedy}"
    if kind == "literal_error":
        return _not_one_of(context["expected"].replace("True", "true"), value, found)
    if kind in _BOUNDS:
        words, bound = _BOUNDS[kind]
        return f"must be {words} {context[bound]}; it is {found}"
    return f"can't be {found}"


def _not_one_of(expected: str, value: object, found: str) -> str:
    sentence = f"must be {expected.replace(chr(39), '')}; it is {found}"
    choices = expected.replace(" or ", ", ").replace("'", "").split(", ")
    near = nearest(value, choices) if isinstance(value, str) else None
    return f'{sentence}: did you mean "{near}"?' if near else sentence


def _unknown_key(place: Place, root: object) -> tuple[Place, str]:
    *above, key = place
    section = _section_at(root, tuple(above))
    known = list(section.model_fields) if section else []
    near = nearest(str(key), known)
    if near is not None:
        return place, f'unknown key; did you mean "{near}"?'
    if _is_secret(tuple(above)):
        # The key may be the secret: `{TEXT}` is a mapping with a key and no value.
        return tuple(above), f"has an unknown key; known are {names(known)}"
    return place, f"unknown key; known are {names(known)}"


def _section_at(root: object, path: Place) -> type[BaseModel] | None:
    section = _section_in(root)
    names_a_member = False
    for step in path:
        if isinstance(step, str) and not names_a_member:
            field = section.model_fields.get(step) if section else None
            section = _section_in(field.annotation) if field else None
            names_a_member = field is not None and _is_mapping(field.annotation)
        else:
            names_a_member = False
    return section


def _is_mapping(annotation: Any) -> bool:
    """Whether the keys below are names that the file chooses."""
    return get_origin(annotation) is dict or any(map(_is_mapping, get_args(annotation)))


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_section_in(inner) for inner in get_args(annotation))
    return next((one for one in found if one is not None), None)
