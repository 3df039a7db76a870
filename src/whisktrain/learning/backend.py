"""Keras and its back-end: how they are started, and the few things that Keras 3 leaves to the back-end (TensorFlow).

The number of threads is part of what must be fixed for equal bits, so it is set (1, or WHISKTRAIN_THREADS) before TensorFlow
starts. The environment of an action is not ours, so everything is set in code.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from typing import Any

from whisktrain.errors import ConfigurationError

__all__ = ["NAME", "differentiate", "keras", "quiet", "signature", "trace"]

NAME = "tensorflow"

_START = threading.Lock()
_started: Any = None


class _Without(MetaPathFinder):
    """Lets Keras believe that a package is not installed, for imports by one thread only."""

    def __init__(self, *packages: str) -> None:
        self._packages = packages
        self._thread = threading.get_ident()

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> None:
        """Refuse the packages to the thread; otherwise leave it to the next finder."""
        if fullname.partition(".")[0] in self._packages and threading.get_ident() == self._thread:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@contextmanager
def _starting() -> Iterator[None]:
    """Start quietly, and in an action's process with what is needed only.

    Keras imports scikit-learn and pandas for wrappers that no worker uses: with the garbage collector, half of the time until
    TensorFlow is ready. TensorFlow's first lines on standard error ignore its own log level, hence the detour of file
    descriptor 2.
    """
    lean = [_Without("sklearn", "pandas")] if os.environ.get("__OW_ACTIVATION_ID") else []
    collecting = gc.isenabled()
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        gc.disable()
        sys.meta_path[:0] = lean
        os.dup2(nowhere, 2)
        with quiet():
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
        for finder in lean:
            sys.meta_path.remove(finder)
        if collecting:
            gc.enable()


def keras() -> Any:
    """Keras, on TensorFlow with a fixed number of threads; imported at the first call.

    Raises:
        ConfigurationError: Keras already runs on another back-end in this process, or TensorFlow on more threads.
    """
    global _started
    if _started is None:
        with _START:
            _started = _started or _start()
    return _started


def _start() -> Any:
    os.environ["KERAS_BACKEND"] = NAME
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    wanted = int(os.environ.get("WHISKTRAIN_THREADS", "1"))
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(wanted)
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    with _starting():
        import tensorflow as tf

        threads = tf.config.threading
        for read, write in (
            (threads.get_intra_op_parallelism_threads, threads.set_intra_op_parallelism_threads),
            (threads.get_inter_op_parallelism_threads, threads.set_inter_op_parallelism_threads),
        ):
            try:
                write(wanted)
            except RuntimeError:
                if read() != wanted:
                    raise ConfigurationError(
                        f"TensorFlow already runs with {read() or 'all'} threads in this process; expected {wanted}.",
                        hint="Compute in a process of its own, or import whisktrain.learning first.",
                    ) from None
        import keras as module
    if module.backend.backend() != NAME:
        raise ConfigurationError(
            f"Keras already runs on {module.backend.backend()} in this process; expected {NAME}.",
            hint=f"Set KERAS_BACKEND={NAME} before Keras is imported.",
        )
    return module


def quiet() -> warnings.catch_warnings[None]:
    """A context in which third-party deprecation warnings stay silent: they are not the caller's to act on."""
    return warnings.catch_warnings(action="ignore")


def signature(shape: Sequence[int | None], dtype: str) -> Any:
    """The shape and type of an argument of a traced function; None where the size varies."""
    import tensorflow as tf

    return tf.TensorSpec(tuple(shape), dtype)


def trace(function: Callable[..., Any], *signatures: Any) -> Callable[..., Any]:
    """Turn a function of tensors into a graph, once for every number of rows.

    AutoGraph stays off: it fails on code without a source file, and nothing here needs it.
    """
    import tensorflow as tf

    traced = tf.function(function, input_signature=signatures, autograph=False)
    return traced.get_concrete_function()  # type: ignore[no-any-return]


def differentiate(forward: Callable[[], tuple[Any, Any]], variables: Sequence[Any]) -> tuple[Any, list[Any]]:
    """Gradients of a scalar.

    Args:
        forward: Computes the scalar, and whatever else is wanted.
        variables: Keras variables.

    Returns:
        What else was wanted, and one dense gradient a variable (None where the scalar does not depend on it).
    """
    import tensorflow as tf

    with tf.GradientTape() as tape:
        scalar, rest = forward()
    gradients = tape.gradient(scalar, [v.value for v in variables])
    return rest, [None if g is None else tf.convert_to_tensor(g) for g in gradients]
