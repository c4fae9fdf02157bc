"""`sidecar.token` is pure: no input or output, no clock, no gRPC, no state (see its docstring)."""

import ast
import copy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import sidecar.token
from tests.authors import STRANGER, key_set
from tests.tokens import consumers, issuer, judge, mint

PACKAGE = Path(sidecar.token.__path__[0])
MODULES = sorted(
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in PACKAGE.rglob("*.py")
)
ALLOWED = {
    *("array", "base64", "binascii", "collections", "dataclasses", "enum", "functools", "hashlib"),
    *("bisect", "ipaddress", "itertools", "string", "struct"),
    *("hmac", "json", "math", "re", "sys", "types", "typing", "urllib"),
    *("datetime", "cryptography", "jwt"),
}
"""Everything that `sidecar.token` may import. `datetime` is for calendars only: see below."""
CLOCKS = {"now", "today", "utcnow", "time", "monotonic", "perf_counter"}
OUTSIDE = {"open", "print", "input", "exec", "eval", "compile", "__import__", "globals"}


def tree_of(module: str) -> ast.Module:
    return ast.parse((PACKAGE / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))


def imports_of(module: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            names.add("." * node.level + (node.module or ""))
    return names


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_its_own_package_and_what_is_pure(module: str) -> None:
    foreign = {
        name
        for name in imports_of(module)
        if name.split(".")[0] not in ALLOWED
        and name != "sidecar.token"
        and not name.startswith("sidecar.token.")
    }
    assert not foreign


@pytest.mark.parametrize("module", MODULES)
def test_a_module_reads_no_clock_and_touches_nothing_outside(module: str) -> None:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in CLOCKS, node.lineno
        assert not (isinstance(node, ast.Name) and node.id in OUTSIDE), node.lineno
        assert not isinstance(node, ast.Global | ast.Nonlocal | ast.AsyncFunctionDef), node.lineno


def test_the_walk_sees_every_module() -> None:
    assert {"validator", "mint", "jws", "keyset", "claims", "checks.proof"} <= set(MODULES)
    assert "sidecar.token.reason" in imports_of("validator")


def state() -> dict[str, Any]:
    """The module-level values of the package that could be changed."""
    found: dict[str, Any] = {}
    for module in MODULES:
        name = f"sidecar.token.{module}".removesuffix(".__init__")
        for variable, value in vars(import_module(name)).items():
            if isinstance(value, dict | list | set | bytearray) and not variable.startswith("__"):
                found[f"{name}.{variable}"] = value
    return found


def test_validating_changes_no_state_of_a_module() -> None:
    before = {name: copy.copy(value) for name, value in state().items()}
    loaded = {name for name in sys.modules if name.startswith("sidecar.token")}
    for token in ("", "x", mint(), mint(STRANGER), mint(iss="x"), mint(exp=1), mint(key="x")):
        judge(token, issuer(), consumers())
    assert before == state()
    assert "sidecar.token.algorithms.ALGORITHMS" in before
    assert loaded == {name for name in sys.modules if name.startswith("sidecar.token")}


def test_validating_twice_gives_the_same_answer() -> None:
    party = issuer(keys=key_set(STRANGER, STRANGER.calling_itself("key-2")))
    for token in (mint(), mint(STRANGER), mint(STRANGER, exp=1)):
        assert judge(token, party) == judge(token, party)
