"""Files and directories that only their owner can read: a store holds people's data."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

__all__ = ["make_directory", "make_file", "open_directory", "tighten"]

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def make_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing, for this user alone; one that exists stays as it is.

    Raises:
        OSError: It cannot be made, or something else has its name.
    """
    missing = []
    for folder in (path, *path.parents):
        if folder.exists():
            break
        missing.append(folder)
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    if not path.is_dir():
        raise NotADirectoryError(f"{path} is not a directory")


def make_file(path: Path) -> None:
    """Make an empty file that only this user can read; one that exists stays as it is.

    Raises:
        OSError: It cannot be made.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def tighten(path: Path) -> None:
    """Take others' rights away from a file or directory of this user; links, and what is not there, are left alone."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        if (
            not stat.S_ISLNK(found.st_mode)
            and found.st_uid == os.getuid()
            and found.st_mode & _OTHERS
        ):
            path.chmod(stat.S_IMODE(found.st_mode) & ~_OTHERS)


def open_directory(path: Path) -> int | None:
    """Open a directory in a place that others can write to, such as /tmp.

    Returns:
        A descriptor; None unless it is a directory (not a link to one) of this user's. Others' rights are taken away.

    Raises:
        FileNotFoundError: It is not there.
    """
    try:
        opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    found = os.fstat(opened)
    if found.st_uid != os.getuid():
        os.close(opened)
        return None
    if found.st_mode & _OTHERS:
        os.fchmod(opened, 0o700)
    return opened
