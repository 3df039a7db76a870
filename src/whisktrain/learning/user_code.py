"""Errors of the user's own model code: what was raised, and the line of theirs that raised it."""

from __future__ import annotations

import linecache
import sysconfig
import traceback
from pathlib import Path

from whisktrain.learning import backend

__all__ = ["place", "reason", "remember"]

_NOT_THEIRS = ("keras", "tensorflow", "whisktrain", "numpy", "optree", "h5py", "absl", "ml_dtypes")
"""Packages whose frames are never the user's."""


def remember(name: str, source: bytes) -> None:
    """Keep a source that is in no file, so that errors can show its lines."""
    lines = source.decode(errors="replace").splitlines(keepends=True)
    linecache.cache[name] = (len(source), None, lines, name)


def reason(error: Exception) -> str:
    """An error in one line, with the last line of the user's own code that it went through, where there is one."""
    text = f"{type(error).__name__}: {backend.one_line(error)}"
    where = place(error)
    return f"{text} ({where})" if where else text


def place(error: Exception) -> str:
    """The last line of the user's own code that an error went through; "" where there is none."""
    if isinstance(error, SyntaxError):
        line = (error.text or "").strip()
        return f"{_short(error.filename or '')}, line {error.lineno}: {line}" if line else ""
    frames = list(reversed(traceback.extract_tb(error.__traceback__)))
    theirs = [frame for frame in frames if _owner(frame.filename) == ""]
    installed = [frame for frame in frames if _owner(frame.filename) not in ("", *_NOT_THEIRS)]
    for frame in [*theirs, *installed][:1]:
        where = f"{_short(frame.filename)}, line {frame.lineno}, in {frame.name}"
        return f"{where}: {frame.line}" if frame.line else where
    return ""


def _owner(file: str) -> str:
    """The installed package that a file belongs to; "" for the user's own files, "whisktrain" for Python's too."""
    path = Path(file)
    if file.startswith("<") or path.is_relative_to(Path(__file__).parents[1]):
        return "whisktrain"
    for library in (sysconfig.get_path("purelib"), sysconfig.get_path("platlib")):
        if path.is_relative_to(library):
            return path.relative_to(library).parts[0]
    return "whisktrain" if path.is_relative_to(sysconfig.get_path("stdlib")) else ""


def _short(file: str) -> str:
    return "/".join(Path(file).parts[-2:])
