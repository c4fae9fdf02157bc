"""The JSON Schema of the configuration, for editors; loaded only where it is asked for."""

import ast
import inspect
import textwrap
from collections.abc import Mapping
from itertools import pairwise
from typing import Any, Final

from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema, to_jsonable_python

from sidecar.config.section import ANY, Section
from sidecar.config.settings import Settings

_DIALECT: Final = GenerateJsonSchema.schema_dialect


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    described = Settings.model_json_schema(schema_generator=_Schema)
    return {"$schema": _DIALECT, **described, "title": "jwt-sidecar.yaml"}


class _Schema(GenerateJsonSchema):
    """With what is said of each setting, and without what says nothing: titles, null as default."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def encode_default(self, dft: Any) -> Any:
        return "*" if dft == ANY else to_jsonable_python(dft, exclude_none=True)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> dict[str, Any]:
        described = super().default_schema(schema)
        if described.get("default", ...) is None:
            del described["default"]
        return described

    def model_schema(self, schema: core_schema.ModelSchema) -> dict[str, Any]:
        described = super().model_schema(schema)
        for name, text in _descriptions(schema["cls"]).items():
            if name in described["properties"]:
                described["properties"][name]["description"] = text
        return described


def _descriptions(section: type) -> Mapping[str, str]:
    """What stands behind each setting of a section, and of those that it inherits."""
    found: dict[str, str] = {}
    for one in reversed(section.__mro__):
        if issubclass(one, Section) and one is not Section:
            (written,) = ast.parse(textwrap.dedent(inspect.getsource(one))).body
            found |= dict(_documented(written))
    return found


def _documented(section: Any) -> list[tuple[str, str]]:
    return [
        (setting.target.id, inspect.cleandoc(str(text.value.value)))
        for setting, text in pairwise(section.body)
        if isinstance(setting, ast.AnnAssign)
        and isinstance(setting.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    ]
