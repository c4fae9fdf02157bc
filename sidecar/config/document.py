"""A YAML file as plain values that know their lines.

Stricter than YAML: no key twice, keys are text, no tags, no merge keys, one document, and
bounds on size, depth and what aliases expand to.
"""

from typing import Any, Final

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from sidecar.config.problems import InvalidConfiguration, Place, Problem
from sidecar.config.scalar import scalar

MOST_BYTES: Final = 16 * 1024 * 1024
_DEEPEST: Final = 64
_MOST_ALIASED: Final = 10_000
"""Values that all aliases together may stand for: ten lines can expand to billions."""
_PLAIN: Final = "plain"
_TEXT: Final = "text"
_KINDS: Final = {dict: "a mapping of settings", list: "a list"}


class _Untyped:
    """Leaves the meaning of plain scalars to `scalar`, and bounds the depth.

    A nested node costs C stack while it is composed, so depth is counted on the way down.
    """

    depth = 0

    def resolve(self, kind: type[Node], _: str | None, implicit: Any) -> str:
        return _PLAIN if kind is ScalarNode and implicit[0] else _TEXT

    def descend_resolver(self, parent: Node | None, _: Any) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise _TooDeep(_line(parent) if parent else 1)

    def ascend_resolver(self) -> None:
        self.depth -= 1


class _PythonLoader(_Untyped, yaml.SafeLoader):
    pass


try:

    class _CLoader(_Untyped, yaml.CSafeLoader):
        pass

    _Loader: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = _CLoader
except AttributeError:
    _Loader = _PythonLoader


class _TooDeep(Exception):
    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


class Document:
    """The values of one file, what is wrong with its form, and the line of each value."""

    def __init__(self, file: str, root: Node) -> None:
        """Raises InvalidConfiguration where aliases expand without end."""
        self.file = file
        self._root = root
        walk = _Walk(file)
        self.tree: Any = walk.value(root, (), 0)
        """dict, list, str, int, float, bool and None."""
        self.problems = tuple(walk.problems)

    def line(self, path: Place) -> int:
        """The line (from 1) of the value at this path, or of the nearest that is above it."""
        node, line = self._root, _line(self._root)
        for step in path:
            child = _child(node, step)
            if child is None:
                return line
            line, node = child
        return line

    def problem(self, path: Place, message: str) -> Problem:
        """A problem of the value at this path."""
        return Problem(self.file, self.line(path), path, message)


def parse(data: bytes, file: str, top: type[dict[str, Any]] | type[list[Any]] = dict) -> Document:
    """The document in these bytes; `file` is what its problems call it.

    Raises InvalidConfiguration, with one problem, for what is no YAML in UTF-8, holds more
    than one document or something else than a `top`, or is out of bounds. A key that is
    there twice or is no text leaves the rest readable and is among `problems`.
    """
    if len(data) > MOST_BYTES:
        raise _invalid(file, 1, f"the file is larger than {MOST_BYTES // 1024**2} MiB")
    root = _compose(_text(data, file), file)
    if root is None:
        raise _invalid(file, 1, f"the file is empty; it must hold {_KINDS[top]}")
    document = Document(file, root)
    if not isinstance(document.tree, top) and not document.problems:
        raise _invalid(file, _line(root), f"the file must hold {_KINDS[top]} at the top level")
    return document


def _text(data: bytes, file: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _invalid(file, line, "the file is not UTF-8; save it in that encoding") from None


def _compose(text: str, file: str, loader: Any = _Loader) -> Node | None:
    try:
        root: Node | None = loader(text).get_single_node()
        return root
    except _TooDeep as error:
        message = f"values are nested deeper than {_DEEPEST} levels"
        raise _invalid(file, error.line, message) from None
    except ReaderError as error:
        position = error.position if isinstance(error.position, int) else 0
        line = text.count("\n", 0, position) + 1
        raise _invalid(file, line, "a control character, which YAML does not allow") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _invalid(file, line, f"not YAML: {_said(error)}") from None
    except (yaml.YAMLError, ValueError):
        raise _invalid(file, 1, "not YAML") from None


def _said(error: yaml.MarkedYAMLError) -> str:
    """The parser's words, but for those that quote the file, where a secret may stand."""
    problem = error.problem or ""
    if "alias" in problem:
        return "an alias (*name) without an anchor (&name); quote text that starts with *"
    if "anchor" in problem or "occurrence" in problem:
        return "an anchor (&name) that is there already; quote text that starts with &"
    if "tag" in problem:
        return "a tag (!name) that is not known; quote text that starts with !"
    if "another document" in problem:
        return "a second document (---); the file must hold one"
    start, end = error.context_mark, error.problem_mark
    begun = None
    if start and end and start.line != end.line:
        begun = f"(begun in line {start.line + 1})"
    return " ".join(filter(None, (error.context, begun, problem)))


class _Walk:
    """Nodes into plain values, with what is wrong on the way."""

    def __init__(self, file: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._seen: set[int] = set()
        self._aliased = 0

    def value(self, node: Node, path: Place, depth: int) -> Any:
        self._count(node, depth)
        if self._is_tagged(node, path):
            return None
        if isinstance(node, MappingNode):
            return self._mapping(node, path, depth)
        if isinstance(node, SequenceNode):
            return [
                self.value(child, (*path, index), depth + 1)
                for index, child in enumerate(node.value)
            ]
        return self._scalar(node, path)

    def _mapping(self, node: MappingNode, path: Place, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, path)
            if key is None:
                continue
            if key in members:
                message = f"is already set in line {lines[key]}; remove one of the two"
                self._report(key_node, (*path, key), message)
                continue
            lines[key] = _line(key_node)
            members[key] = self.value(value_node, (*path, key), depth + 1)
        return members

    def _key(self, node: Node, path: Place) -> str | None:
        if self._is_tagged(node, path):
            return None
        if node.tag == _PLAIN and node.value == "<<":
            self._report(node, path, "merge keys (<<) are not supported; write the settings out")
            return None
        key = self._scalar(node, path) if isinstance(node, ScalarNode) else None
        if isinstance(key, str):
            return key
        self._report(node, path, "a key that is not text; put it in quotes")
        return None

    def _scalar(self, node: Node, path: Place) -> Any:
        text: str = node.value
        if not text.isascii() and any("\ud800" <= one <= "\udfff" for one in text):
            self._report(node, path, "has half of a surrogate pair, which is no character")
            return None
        if node.tag == _TEXT:
            return text
        try:
            return scalar(text)
        except ValueError:
            self._report(
                node, path, "is a number that is too long, too large or not finite; quote text"
            )
            return None

    def _is_tagged(self, node: Node, path: Place) -> bool:
        if node.tag in {_PLAIN, _TEXT}:
            return False
        self._report(node, path, "has a tag (!name); quote text that starts with !")
        return True

    def _count(self, node: Node, depth: int) -> None:
        if id(node) in self._seen:
            self._aliased += 1
        self._seen.add(id(node))
        if depth > _DEEPEST or self._aliased > _MOST_ALIASED:
            raise _invalid(
                self._file,
                _line(node),
                f"aliases expand to more than {_MOST_ALIASED} values, {_DEEPEST} levels or "
                "themselves; write the values out",
            )

    def _report(self, node: Node, path: Place, message: str) -> None:
        self.problems.append(Problem(self._file, _line(node), path, message))


def _child(node: Node, step: str | int) -> tuple[int, Node] | None:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            if key.value == step:
                return _line(key), value
    elif isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        child = node.value[step]
        return _line(child), child
    return None


def _line(node: Node) -> int:
    return int(node.start_mark.line) + 1


def _invalid(file: str, line: int, message: str) -> InvalidConfiguration:
    return InvalidConfiguration([Problem(file, line, (), message)])
