"""How answers are printed: a message as JSON, rows as a table."""

import json
from collections.abc import Iterable, Iterator, Sequence

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message


def print_as_json(message: Message) -> None:
    """Prints a message with the names of the contract."""
    print(json.dumps(MessageToDict(message, preserving_proto_field_name=True), indent=2))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table, its columns as wide as they need to be."""
    cells = [head, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    for row in cells:
        padded = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(padded).rstrip()
