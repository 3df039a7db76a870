"""Keras and its back-end: how they are started, and the few things that Keras 3 leaves to the back-end (TensorFlow).

The number of threads is part of what must be fixed for equal bits, so it is set to 1 before TensorFlow starts. The environment
of an action is not ours, so everything is set in code.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from whisktrain.errors import ConfigurationError

__all__ = ["NAME", "differentiate", "keras", "quiet", "signature", "trace"]

NAME = "tensorflow"

_started: Any = None


def keras() -> Any:
    """Keras, on TensorFlow with one thread; imported at the first call.

    Raises:
        ConfigurationError: Keras already runs on another back-end in this process, or TensorFlow on more threads.
    """
    global _started
    if _started is None:
        os.environ["KERAS_BACKEND"] = NAME
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        with quiet():
            import tensorflow as tf

            threading = tf.config.threading
            for read, write in (
                (threading.get_intra_op_parallelism_threads, threading.set_intra_op_parallelism_threads),
                (threading.get_inter_op_parallelism_threads, threading.set_inter_op_parallelism_threads),
            ):
                try:
                    write(1)
                except RuntimeError:
                    if read() != 1:
                        raise ConfigurationError(
                            f"TensorFlow already runs with {read() or 'all'} threads in this process; expected 1.",
                            hint="Compute in a process of its own, or import whisktrain.learning first.",
                        ) from None
            import keras as module

        if module.backend.backend() != NAME:
            raise ConfigurationError(
                f"Keras already runs on {module.backend.backend()} in this process; expected {NAME}.",
                hint=f"Set KERAS_BACKEND={NAME} before Keras is imported.",
            )
        _started = module
    return _started


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
