"""base64url without padding (RFC 7515, section 2), read strictly."""

import binascii

_TO_STANDARD = bytes.maketrans(b"-_", b"+/")
_TO_URL = bytes.maketrans(b"+/", b"-_")
_PADDING = (b"", b"===", b"==", b"=")


def encode(data: bytes) -> bytes:
    """The base64url form of the bytes, without padding."""
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").translate(_TO_URL)


def decode(text: bytes) -> bytes:
    """The bytes that encode to exactly this text.

    Raises ValueError for anything else: padding, white space, characters outside the
    alphabet, an impossible length, or stray bits in the last character. Comparing with the
    encoding of the result finds all of these at once.
    """
    try:
        data = binascii.a2b_base64(text.translate(_TO_STANDARD) + _PADDING[len(text) % 4])
    except binascii.Error as error:
        raise ValueError("not base64url") from error
    if encode(data) != text:
        raise ValueError("not base64url in its one correct form")
    return data
