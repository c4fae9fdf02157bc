"""Telling one state of a file from another without reading it."""

import os

Stamp = tuple[int, int, int, int, int]
"""Device, inode, size, and the times of the last change of content and of attributes."""


def stamp(path: str) -> Stamp | None:
    """What tells one state of a file from another without reading it; None where it is not there.

    Links are followed, so a link that now leads elsewhere is a change.
    """
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return (
        status.st_dev,
        status.st_ino,
        status.st_size,
        status.st_mtime_ns,
        status.st_ctime_ns,
    )
