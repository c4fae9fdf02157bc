"""Conditions in CEL, the Common Expression Language, over a token and its HTTP request.

The runtime is that of CEL's authors and loaded only where there is a condition. It is bounded: it
ends an evaluation after 10,000 steps of loops, nesting after 32 levels, and its regular expressions
(RE2) take time in proportion to the text.
"""

import functools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote_plus

from sidecar.authorization.header_names import folded
from sidecar.authorization.http_request import HttpRequest
from sidecar.token.snapshot import Consumer
from sidecar.token.words import quoted

_VARIABLES: Final = ("claims", "header", "request", "consumer")
_LONGEST: Final = 4096
"""Characters of an expression."""
_POSITION: Final = re.compile(r"<input>:(\d+):(\d+): (.*)")
_CODES: Final = re.compile(r"^[A-Z_]+: | \[[A-Z_]+\]$")
_LONGEST_PROBLEM: Final = 200


class InvalidCondition(Exception):
    """An expression that is none, and what is wrong with it, without a subject."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition that was compiled."""

    text: str
    _compiled: Any = field(repr=False, compare=False)
    _names: frozenset[str] = field(repr=False, compare=False)

    @classmethod
    def compiled(cls, text: str) -> "Expression":
        """Raises InvalidCondition, with the column of the mistake."""
        if len(text) > _LONGEST:
            raise InvalidCondition(f"has {len(text)} characters; at most {_LONGEST} are taken")
        cel, environment = _environment()
        try:
            compiled = environment.compile(text)
        except RuntimeError as error:
            raise InvalidCondition(_worded(str(error))) from None
        kind = compiled.return_type()
        if kind not in (cel.Type.BOOL, cel.Type.DYN):
            raise InvalidCondition(f"must be true or false; its type is {str(kind).lower()}")
        return cls(text, compiled, frozenset(re.findall(r"[a-z]+", text)))

    def about(self, request: HttpRequest, path: str, client_address: str) -> "Bound":
        """The condition on this request, whose path is this one in its normal form."""
        return Bound(self, request, path, client_address)

    def why_not(self, values: Mapping[str, Any]) -> str:
        """Why it is not met with these variables; empty where it is."""
        try:
            result = self._compiled.eval(data=values)
            kind, value = result.type(), result.value()
        except Exception as error:  # what the runtime raises is not documented
            return f"its condition can't be evaluated: {_worded(str(error))}"
        cel, _ = _environment()
        if kind == cel.Type.BOOL:
            return "" if value is True else f"its condition is not met: {quoted(self.text)}"
        if kind == cel.Type.ERROR:
            return f"its condition can't be evaluated: {_worded(str(value))}"
        return f"its condition is of type {str(kind).lower()} here, and neither true nor false"

    def names(self, variable: str) -> bool:
        """Whether the expression may read this variable."""
        return variable in self._names


@dataclass(frozen=True, slots=True)
class Bound:
    """A condition on one request."""

    _expression: Expression
    _request: HttpRequest
    _path: str
    _client_address: str

    def why_not(
        self, header: Mapping[str, Any], claims: Mapping[str, Any], consumer: Consumer | None
    ) -> str:
        """Why it is not met, in a sentence; empty where it is. Never raises."""
        used = self._expression.names
        return self._expression.why_not(
            {
                "claims": claims if used("claims") else None,
                "header": header if used("header") else None,
                "request": self._described() if used("request") else None,
                "consumer": _consumer(consumer) if used("consumer") else None,
            }
        )

    def _described(self) -> dict[str, Any]:
        request = self._request
        return {
            "method": request.method,
            "host": request.host,
            "path": self._path,
            "query": _query(request.query),
            "headers": _headers(request),
            "client_address": self._client_address,
            "client_certificate": {"names": list(request.client_certificate_names)},
        }


@functools.cache
def _environment() -> tuple[Any, Any]:
    try:
        from cel_expr_python import cel
    except ImportError:
        raise InvalidCondition(
            "needs the CEL runtime, which is not installed: pip install 'jwt-sidecar[cel]'"
        ) from None
    return cel, cel.NewEnv(variables=dict.fromkeys(_VARIABLES, cel.Type.DYN))


def _headers(request: HttpRequest) -> dict[str, str]:
    """Return name to values, joined by commas.

    Other spellings of a name count as that name, as they may to the upstream: each name has the
    values of all, and so has the spelling with hyphens.
    """
    by_form: dict[str, tuple[str, ...]] = {}
    for name, values in request.headers.items():
        form = folded(name)
        by_form[form] = (*by_form.get(form, ()), *values)
    found = {form: ",".join(values) for form, values in by_form.items()}
    return {**found, **{name: found[folded(name)] for name in request.headers}}


def _query(query: str) -> dict[str, Any]:
    """Name to value, decoded; to all values where a name is there more than once.

    Other spellings of a name count as that name, as they may to the upstream: PHP and Express read
    `user[]` as `user`, PHP ` user`, .NET `User`, and some take `;` for `&`.
    """
    by_form: dict[str, list[str]] = {}
    forms: dict[str, str] = {}
    for name, value in _parameters(query):
        plain = name.partition("\0")[0].partition("[")[0].strip()
        by_form.setdefault(_query_form(plain), []).append(value)
        forms[plain] = _query_form(plain)
        if plain != name:
            by_form.setdefault(name, []).append(value)
            forms[name] = name
    found = {name: by_form[form] for name, form in forms.items()}
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _parameters(query: str) -> Iterator[tuple[str, str]]:
    for pair in query.split("&"):
        for text in (pair, *pair.split(";")[1:]) if ";" in pair else (pair,):
            name, _, value = text.partition("=")
            if text:
                yield unquote_plus(name), unquote_plus(value)


def _query_form(name: str) -> str:
    return name.replace(".", "_").replace(" ", "_").casefold()


def _consumer(consumer: Consumer | None) -> dict[str, Any] | None:
    if consumer is None:
        return None
    return {"name": consumer.name, "labels": dict(consumer.labels)}


def _worded(problem: str) -> str:
    """The runtime's words for what is wrong, without its codes, with line and column in ours."""
    places = _POSITION.findall(problem)
    if not places:
        return _CODES.sub("", problem.partition("\n")[0])[:_LONGEST_PROBLEM]
    line, column, words = places[0]
    where = f"column {column}" if line == "1" else f"line {line}, column {column}"
    return f"{where}: {words}"
