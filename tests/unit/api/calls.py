"""The context of a gRPC call, as far as handlers use it."""

from typing import Any, NoReturn

from google.rpc import error_details_pb2, status_pb2


class Aborted(Exception):
    """The call was ended with a status."""

    def __init__(self, status: Any) -> None:
        super().__init__(status.details)
        self.code = status.code
        (self.details,) = (
            status_pb2.Status.FromString(value)
            for name, value in status.trailing_metadata
            if name == "grpc-status-details-bin"
        )

    @property
    def info(self) -> error_details_pb2.ErrorInfo:
        """The google.rpc.ErrorInfo of the status."""
        info = error_details_pb2.ErrorInfo()
        assert self.details.details[0].Unpack(info)
        return info

    @property
    def fields(self) -> list[str]:
        """The fields that the google.rpc.BadRequest of the status names."""
        found = error_details_pb2.BadRequest()
        for detail in self.details.details:
            if detail.Unpack(found):
                return [one.field for one in found.field_violations]
        return []


class Call:
    """A call with so many seconds left, None without a deadline."""

    def __init__(self, seconds: float | None = None) -> None:
        self._seconds = seconds

    def time_remaining(self) -> float | None:
        return self._seconds

    async def abort_with_status(self, status: Any) -> NoReturn:
        raise Aborted(status)
