"""Start Keras on TensorFlow, and the few operations that Keras 3 leaves to the back-end.

Equal bits need a fixed number of threads, so it is set (1, or WHISKTRAIN_THREADS) before TensorFlow starts. The environment of
an action is the platform's, so everything is set in code.
"""

from __future__ import annotations

import gc
import os
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import TypeVar

from whisktrain.errors import ConfigurationError
from whisktrain.learning.keras_types import BackendTensor, Signature, Variable

__all__ = [
    "NAME",
    "differentiate",
    "keras",
    "one_line",
    "quiet",
    "require_exact",
    "signature",
    "trace",
]

NAME = "tensorflow"

_START = threading.Lock()
_started: ModuleType | None = None
_inexact: ConfigurationError | None = None

T = TypeVar("T")


class _HidePackages(MetaPathFinder):
    """Import finder that reports packages as not installed, to one thread only."""

    def __init__(self, *packages: str) -> None:
        self._packages = packages
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Raise for a hidden package; otherwise leave it to the next finder."""
        if fullname.partition(".")[0] in self._packages and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@contextmanager
def _fast_imports() -> Iterator[None]:
    """Import without the garbage collector and, in an action, without the packages that no worker needs.

    Keras imports scikit-learn and pandas for wrappers of its own. Together the two take half of the time until TensorFlow is
    ready.
    """
    in_action = bool(os.environ.get("__OW_ACTIVATION_ID"))
    finders = [_HidePackages("sklearn", "pandas")] if in_action else []
    collecting = gc.isenabled()
    gc.disable()
    sys.meta_path[:0] = finders
    try:
        yield
    finally:
        for finder in finders:
            sys.meta_path.remove(finder)
        if collecting:
            gc.enable()


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Redirect file descriptor 2 to nowhere: TensorFlow's first lines ignore its own log level."""
    sys.stderr.flush()
    stderr, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(null)


def keras() -> ModuleType:
    """The Keras module, imported at the first call; on TensorFlow with a fixed number of threads, unless it runs already."""
    global _started
    if _started is None:
        with _START:
            _started = _started or _start()
    return _started


def require_exact() -> None:
    """Refuse to compute where the bits of the result are not fixed.

    Raises:
        ConfigurationError: Keras already ran on another back-end in this process, or TensorFlow on more threads.
    """
    keras()
    if _inexact is not None:
        raise _inexact


def _start() -> ModuleType:
    global _inexact
    if "keras" in sys.modules and (running := sys.modules["keras"].backend.backend()) != NAME:
        _inexact = ConfigurationError(
            f"Keras already runs on {running} in this process; expected {NAME}.",
            hint=f"Set KERAS_BACKEND={NAME} before Keras is imported.",
        )
        return sys.modules["keras"]
    os.environ["KERAS_BACKEND"] = NAME
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    wanted = int(os.environ.get("WHISKTRAIN_THREADS", "1"))
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(wanted)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    with _fast_imports(), _silent_stderr(), quiet():
        import tensorflow as tf

        threads = tf.config.threading
        _set_threads(
            wanted,
            threads.get_intra_op_parallelism_threads,
            threads.set_intra_op_parallelism_threads,
        )
        _set_threads(
            wanted,
            threads.get_inter_op_parallelism_threads,
            threads.set_inter_op_parallelism_threads,
        )
        import keras

        module: ModuleType = keras
    return module


def _set_threads(wanted: int, read: Callable[[], int], write: Callable[[int], None]) -> None:
    global _inexact
    try:
        write(wanted)
    except RuntimeError:
        if read() == wanted:
            return
        _inexact = ConfigurationError(
            f"TensorFlow already runs with {read() or 'all'} threads in this process; expected {wanted}.",
            hint="Compute in a process of its own, or import whisktrain.learning first.",
        )


def quiet() -> warnings.catch_warnings[None]:
    """A context that silences warnings of third-party code, on which the caller cannot act."""
    return warnings.catch_warnings(action="ignore")


def one_line(error: Exception, limit: int = 300) -> str:
    """The start of an exception's message, on one line."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
    return re.sub(r"\s+", " ", plain).strip()[:limit]


def signature(shape: Sequence[int | None], dtype: str) -> Signature:
    """The shape and type of an argument of a traced function; None where a size varies."""
    import tensorflow as tf

    spec: Signature = tf.TensorSpec(tuple(shape), dtype)
    return spec


def trace(function: Callable[..., T], *signatures: Signature) -> Callable[..., T]:
    """Turn a function of tensors into a graph, once for every number of rows.

    AutoGraph stays off: it fails on code without a source file, and nothing here needs it.
    """
    import tensorflow as tf

    traced = tf.function(function, input_signature=signatures, autograph=False)
    concrete: Callable[..., T] = traced.get_concrete_function()
    return concrete


def differentiate(
    forward: Callable[[], tuple[BackendTensor, T]], variables: Sequence[Variable]
) -> tuple[T, list[BackendTensor | None]]:
    """Compute the gradients of a scalar.

    Args:
        forward: Computes the scalar, and a result to pass on.
        variables: Keras variables.

    Returns:
        That result, and one dense gradient a variable (None where the scalar does not depend on it).
    """
    import tensorflow as tf

    with tf.GradientTape() as tape:
        scalar, result = forward()
    gradients = tape.gradient(scalar, [v.value for v in variables])
    return result, [None if g is None else tf.convert_to_tensor(g) for g in gradients]
