"""Models from the user's own code: a function on the deployment's allow-list, or a model.py on the embedded host."""

from __future__ import annotations

import importlib
import os
import types
from collections.abc import Callable, Mapping

from whisktrain.errors import RequestError
from whisktrain.learning import backend, user_code
from whisktrain.learning.keras_types import Model
from whisktrain.spec import Spec

__all__ = ["call", "import_module", "packages"]

_MODEL_PY = "model.py"


def packages(factory: str | None) -> tuple[str, ...]:
    """The package whose registered classes may appear in the configuration of a factory's model; () without one."""
    if not factory or factory.startswith(f"{_MODEL_PY}:"):
        return ()
    module = factory.partition(":")[0]
    return (module.partition(".")[0],)


def import_module(factory: str) -> types.ModuleType:
    """Import the module of a factory.

    Raises:
        RequestError: The factory is not on this deployment's allow-list, or its module cannot be imported.
    """
    allowed = [
        name.strip()
        for name in os.environ.get("WHISKTRAIN_FACTORIES", "").split(",")
        if name.strip()
    ]
    if factory not in allowed:
        raise RequestError(
            f"the factory {factory!r} is not on this deployment's allow-list ({', '.join(allowed) or 'which is empty'}).",
            hint="Have it added to WHISKTRAIN_FACTORIES of the deployment.",
        )
    name = factory.partition(":")[0]
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise RequestError(
            f"the module {name} of the factory cannot be imported: {user_code.reason(error)}",
            hint="Install it where the workers run.",
        ) from error


def call(factory: str, files: Mapping[str, bytes], spec: Spec) -> Model:
    """Call a factory.

    Args:
        factory: "package.module:function", or "model.py:function".
        files: The source of the model.py as "factory".
        spec: The plan.

    Returns:
        The factory's own model, built.

    Raises:
        RequestError: The factory is not allowed here, is not there, fails, or returns something else.
    """
    module, _, name = factory.partition(":")
    space = _run_model_py(files) if module == _MODEL_PY else import_module(factory)
    function = getattr(space, name, None)
    if not callable(function):
        raise RequestError(
            f"{module} has no function {name}; expected {name}(x_shape, classes) that returns a Keras model."
        )
    model = _checked_call(function, spec, factory)
    try:
        if not model.built:
            model.build((None, *spec.x_shape))
    except Exception as error:
        raise RequestError(
            f"the model of {factory} cannot be built for rows of shape {spec.x_shape}: {user_code.reason(error)}",
            hint="Have the function return a model for rows of that shape, which it is given as x_shape.",
        ) from error
    return model


def _run_model_py(files: Mapping[str, bytes]) -> types.ModuleType:
    if os.environ.get("WHISKTRAIN_EMBEDDED") != "1":
        raise RequestError(
            "a model.py is only run on the embedded host, which runs your own code on your own machine.",
            hint="Save the model as a .keras file, or deploy it as a factory.",
        )
    user_code.remember(_MODEL_PY, files["factory"])
    space = types.ModuleType("model")
    try:
        exec(compile(files["factory"], _MODEL_PY, "exec"), space.__dict__)  # noqa: S102 - the user's own code, on their machine
    except Exception as error:
        raise RequestError(
            f"model.py failed: {user_code.reason(error)}",
            hint="Correct it; running it with Python shows the same.",
        ) from error
    return space


def _checked_call(
    function: Callable[[tuple[int, ...], int], object], spec: Spec, factory: str
) -> Model:
    keras = backend.keras()
    try:
        made = function(spec.x_shape, spec.classes)
    except Exception as error:
        raise RequestError(
            f"the factory {factory} failed: {user_code.reason(error)}",
            hint="Correct the function; calling it with (x_shape, classes) shows the same.",
        ) from error
    if not isinstance(made, keras.Model):
        raise RequestError(
            f"the factory {factory} returned {type(made).__name__}; expected a Keras model."
        )
    model: Model = made
    return model
