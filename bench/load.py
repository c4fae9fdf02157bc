"""The load: one HTTP/2 connection that keeps prepared calls in flight.

A gRPC library would take longer for a call than the faster servers do: they would wait for it,
and a server that wakes up for each single call costs more. So the few frames that a unary call
needs (RFC 9113) are written here, and the server is always the one that has work to do.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from typing import Final, Self

_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 1
_END_HEADERS: Final = 4
_HEAD: Final = struct.Struct(">BHBBI")
"""A frame's length in two parts, type, flags and stream."""
_INITIAL_WINDOW: Final = 65535
_LARGEST_WINDOW: Final = 2**31 - 1
_INDEXED: Final = bytes([0x83, 0x86, 0xC1, 0xC0, 0xBF, 0xBE])
"""The headers of every call but the first, which put them into the table (RFC 7541)."""


class Connection:
    """A connection to a gRPC server on a Unix socket, for calls of one unary method."""

    def __init__(self, path: str, method: str) -> None:
        self._headers = _first_headers(method)
        self._next_stream = 1
        self._credit = _INITIAL_WINDOW
        self._replies = b""
        self._answers: dict[int, bytes] = {}
        """What came so far, by stream."""
        self._received = bytearray()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        window = (_LARGEST_WINDOW - _INITIAL_WINDOW).to_bytes(4, "big")
        self._socket.sendall(
            _PREFACE + _frame(_SETTINGS, 0, 0, b"") + _frame(_WINDOW_UPDATE, 0, 0, window)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def call(self, requests: Sequence[bytes], in_flight: int) -> list[bytes]:
        """The answers to these requests, so many of which are made at a time.

        Raises RuntimeError where a call fails.
        """
        answers = [b""] * len(requests)
        first = self.begun
        sent = done = 0
        while done < len(requests):
            sent += self.send(requests[sent : done + in_flight])
            for number, answer in self.receive():
                answers[number - first] = answer
                done += 1
        return answers

    @property
    def begun(self) -> int:
        """How many calls were made so far, which is the number of the next one."""
        return self._next_stream // 2

    def fileno(self) -> int:
        """For `select`."""
        return self._socket.fileno()

    def send(self, requests: Sequence[bytes]) -> int:
        """Begins as many calls as the server takes now, and gives their number."""
        frames, number = [self._replies], 0
        for request in requests:
            size = len(request) + 5
            if size > self._credit:
                break
            self._credit -= size
            message = struct.pack(">BI", 0, len(request)) + request
            frames.append(_frame(_HEADERS, _END_HEADERS, self._next_stream, self._headers))
            frames.append(_frame(_DATA, _END_STREAM, self._next_stream, message))
            self._headers = _INDEXED
            self._next_stream += 2
            number += 1
        self._replies = b""
        self._socket.sendall(b"".join(frames))
        return number

    def receive(self) -> list[tuple[int, bytes]]:
        """Waits for the server, and gives the numbers and answers of the calls that ended by it.

        Raises RuntimeError where a call fails.
        """
        ended = []
        for kind, flags, stream, payload in self._frames():
            if kind == _DATA:
                self._answers[stream] = self._answers.get(stream, b"") + payload
            if kind in {_DATA, _HEADERS} and flags & _END_STREAM:
                answer = self._answers.pop(stream, b"")
                if len(answer) < 5:
                    raise RuntimeError("a call failed")
                ended.append((stream // 2, answer[5:]))
        return ended

    def _frames(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Waits for frames; those of streams are given on, those of the connection answered."""
        received = self._received
        data = self._socket.recv(1 << 18)
        if not data:
            raise RuntimeError("the server closed the connection")
        received += data
        start, end = 0, len(received)
        while end - start >= _HEAD.size:
            high, low, kind, flags, stream = _HEAD.unpack_from(received, start)
            after = start + _HEAD.size + (high << 16) + low
            if after > end:
                break
            payload = bytes(received[start + _HEAD.size : after])
            start = after
            if stream:
                if kind == _RST_STREAM:
                    raise RuntimeError("the server reset a call")
                yield kind, flags, stream, payload
            else:
                self._answer(kind, flags, payload)
        del received[:start]

    def _answer(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == _GOAWAY:
            raise RuntimeError(f"the server said goodbye: {payload[8:]!r}")
        if kind == _WINDOW_UPDATE:
            self._credit += int.from_bytes(payload, "big")
        elif kind == _PING and not flags & _ACK:
            self._replies += _frame(_PING, _ACK, 0, payload)
        elif kind == _SETTINGS and not flags & _ACK:
            self._replies += _frame(_SETTINGS, _ACK, 0, b"")


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    high, low = divmod(len(payload), 1 << 16)
    return _HEAD.pack(high, low, kind, flags, stream) + payload


def _first_headers(method: str) -> bytes:
    """The headers of a call: POST and http from the static table, the others into the table."""
    return (
        b"\x83\x86"
        + (b"\x44" + _text(method))
        + (b"\x41" + _text("localhost"))
        + (b"\x5f" + _text("application/grpc"))
        + (b"\x40" + _text("te") + _text("trailers"))
    )


def _text(value: str) -> bytes:
    assert len(value) < 127, "a longer text has a longer length"
    return bytes([len(value)]) + value.encode("ascii")
