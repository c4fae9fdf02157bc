"""Read DER strictly (ITU-T X.690), as far as the algorithm of a key needs it."""

from typing import Final

SEQUENCE: Final = 0x30
OCTET_STRING: Final = 0x04
INTEGER: Final = 0x02
_OBJECT_IDENTIFIER: Final = 0x06
_NULL: Final = 0x05
_MAX_LENGTH_BYTES: Final = 3

Element = tuple[int, bytes]
"""A tag of one byte, and the content."""


def elements(data: bytes) -> list[Element]:
    """Split bytes into the elements that they consist of; raises ValueError unless they do."""
    found = []
    while data:
        element, data = _first(data)
        found.append(element)
    return found


def only(data: bytes, tag: int) -> bytes:
    """Return the content of the one element that the bytes are; raises ValueError."""
    match elements(data):
        case [(found, content)] if found == tag:
            return content
    raise ValueError(f"it is not one element with the tag {tag:#x}")


def integer(element: Element) -> int:
    """Return the value of an INTEGER; raises ValueError unless it is 0 or more."""
    tag, content = element
    if tag != INTEGER or not content or content[0] & 0x80:
        raise ValueError("it is no INTEGER from 0 up")
    if len(content) > 1 and content[0] == 0 and not content[1] & 0x80:
        raise ValueError("an INTEGER is longer than it needs to be")
    return int.from_bytes(content, "big")


def octets(element: Element) -> bytes:
    """Return the content of an OCTET STRING; raises ValueError."""
    tag, content = element
    if tag != OCTET_STRING:
        raise ValueError("it is no OCTET STRING")
    return content


def algorithm(element: Element) -> tuple[str, list[Element]]:
    """Return the OID in dotted form and the parameters of an AlgorithmIdentifier.

    NULL counts as no parameters (RFC 4055, section 2.1). Raises ValueError.
    """
    tag, content = element
    parts = elements(content)
    if tag != SEQUENCE or len(parts) not in {1, 2} or parts[0][0] != _OBJECT_IDENTIFIER:
        raise ValueError("it is no AlgorithmIdentifier")
    parameters = [part for part in parts[1:] if part != (_NULL, b"")]
    return _dotted(parts[0][1]), parameters


def _first(data: bytes) -> tuple[Element, bytes]:
    if len(data) < 2 or data[0] & 0x1F == 0x1F:
        raise ValueError("an element is cut short, or its tag too long")
    start, length = 2, data[1]
    if length & 0x80:
        size = length & 0x7F
        start += size
        length = int.from_bytes(data[2:start], "big")
        # BER would allow more forms of a length, and none at all.
        if not 1 <= size <= _MAX_LENGTH_BYTES or length < max(0x80, 1 << 8 * (size - 1)):
            raise ValueError("a length is not in the one form that DER allows")
    end = start + length
    if end > len(data):
        raise ValueError("an element is cut short")
    return (data[0], data[start:end]), data[end:]


def _dotted(content: bytes) -> str:
    numbers, number = [], 0
    for position, byte in enumerate(content):
        if byte == 0x80 and (position == 0 or not content[position - 1] & 0x80):
            raise ValueError("a number of an OID is longer than it needs to be")
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    if not content or content[-1] & 0x80:
        raise ValueError("an OID is cut short")
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))
