"""The classes and functions that a configuration's names stand for, as Keras would look them up, against the allow-list.

A name alone does not say what Keras builds: a class that is registered in this process comes before Keras' own of the same
name, and a module's path may lead to another class.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import cast

from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json
from whisktrain.learning import allowed, backend
from whisktrain.learning.checks import check_config, is_allowed
from whisktrain.learning.parts import Part, parts

__all__ = ["check_classes"]


def check_classes(
    config: Mapping[str, Json], x_shape: tuple[int, ...], packages: tuple[str, ...] = ()
) -> None:
    """Refuse a model that may not be built: by its names, and by the classes that they stand for.

    Args:
        config: `model.to_json()` as an object, or a .keras file's config.json.
        x_shape: Shape of one row of the data.
        packages: Packages besides Keras whose classes and functions are allowed (those of allow-listed factories).

    Raises:
        RequestError: As of `checks.check_config`.
    """

    def is_of_a_factory(part: Part) -> bool:
        return _package(_find(part)) in packages or _registered_by(part) in packages

    check_config(config, x_shape, is_of_a_factory if packages else None)
    for part in parts(dict(config)):
        found = _find(part)
        if found is None or (is_allowed(part) and _is_kerass_own(found)):
            continue
        if not (packages and is_of_a_factory(part)):
            raise RequestError(
                f"the model uses the {part}, which stands for {found!r}; expected one of Keras' own.",
                code="custom_object",
            )


def _find(part: Part) -> object | None:
    """What Keras would find for a name; None for a value, and for a name that it looks up among its own alone."""
    if part.kind in allowed.VALUES:
        return None
    keras = backend.keras()
    for name in (part.found.get("registered_name"), part.kind):
        registered = keras.saving.get_registered_object(name) if isinstance(name, str) else None
        if registered is not None:
            return cast(object, registered)
    module = part.found.get("module")
    if part.is_function and module in (None, "builtins"):
        return cast(object, getattr(keras.activations, part.kind, None))
    if not isinstance(module, str) or not module.startswith("keras"):
        return None
    try:
        found = importlib.import_module(module)
    except ImportError:
        return None
    return cast(object, getattr(found, part.kind, None))


def _is_kerass_own(found: object) -> bool:
    keras = backend.keras()
    if found in _allowed():
        return True
    if not isinstance(found, type):
        return False
    if issubclass(found, keras.Model):
        return found.__name__ in allowed.MODELS and found.__module__.startswith("keras.src.models.")
    is_operation = issubclass(found, keras.Operation)
    return is_operation and allowed.is_operation(found.__module__, found.__name__)


@functools.cache
def _allowed() -> frozenset[object]:
    """The classes and functions of the allow-list."""
    keras = backend.keras()
    rooms = {
        allowed.LAYERS: (keras.layers,),
        allowed.ACTIVATIONS: (keras.activations,),
        allowed.OBJECTS: (
            keras.initializers,
            keras.regularizers,
            keras.constraints,
            keras.dtype_policies,
            keras.random,
        ),
    }
    return frozenset(
        getattr(room, name)
        for names, modules in rooms.items()
        for name in names
        for room in modules
        if hasattr(room, name)
    )


def _registered_by(part: Part) -> str:
    """The package under whose name a class is registered."""
    registered = part.found.get("registered_name")
    package, arrow, _ = registered.partition(">") if isinstance(registered, str) else ("", "", "")
    return package.partition(".")[0] if arrow else ""


def _package(found: object | None) -> str:
    return str(getattr(found, "__module__", "")).partition(".")[0]
