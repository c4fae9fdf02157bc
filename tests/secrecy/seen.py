"""What was answered and printed, by place, and that no marker is in it."""

from tests.secrecy.markers import Markers

_MOST_TOLD = 40


class Seen:
    """All of it, until it is searched."""

    def __init__(self, markers: Markers) -> None:
        self.markers = markers
        self.places: dict[str, bytes] = {}

    def add(self, place: str, data: bytes | str) -> None:
        data = data.encode() if isinstance(data, str) else data
        self.places[place] = self.places.get(place, b"") + data + b"\n"

    def assert_clean(self) -> None:
        assert self.places
        leaks = self.markers.leaks(self.places)
        assert not leaks, "\n".join([f"{len(leaks)} leaks", *map(str, leaks[:_MOST_TOLD])])
