"""The environment of an action's process. OpenWhisk passes only `__OW_*`: no PATH, no HOME, none of the image's variables.

Call `prepare` before anything heavy is imported. Threads are set here because libraries read them when they are imported, and
because the bits of a gradient depend on their number.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

__all__ = ["prepare"]

_THREADS = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)


def prepare() -> None:
    """Set what libraries expect to find: a back-end, a home folder that can be written, a path, thread counts."""
    threads = os.environ.get("WHISKTRAIN_THREADS", "1")
    for name in _THREADS:
        os.environ[name] = threads
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    os.environ.setdefault("PATH", "/usr/local/bin:/usr/bin:/bin")
    home = os.environ.get("HOME", "")
    if not home or not os.access(home, os.W_OK):
        os.environ["HOME"] = _new_home()


def _new_home() -> str:
    """A folder of this process' own: beside the action's code, which the platform removes, else a temporary one.

    Its name cannot be guessed, and it is made by this process: in a shared place nothing prepared is read from it.
    """
    try:
        return tempfile.mkdtemp(prefix=".home-", dir=Path.cwd())
    except OSError:
        return tempfile.mkdtemp(prefix="whisktrain-home-")
