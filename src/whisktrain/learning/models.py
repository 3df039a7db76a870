"""Where a model comes from: a preset, a configuration, a .keras file, a factory, or an earlier model."""

from __future__ import annotations

import importlib
import json
import os
import random
import re
import tempfile
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from whisktrain import seeds, tensors
from whisktrain.errors import RequestError
from whisktrain.learning import backend, checks
from whisktrain.learning.layout import variables
from whisktrain.learning.presets import preset
from whisktrain.spec import Spec
from whisktrain.tensors import Tensors

__all__ = ["assign", "from_config", "make", "seeded", "to_config"]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Everything that Keras draws comes from the run's seed; the process's own generators are left as they were."""
    python, legacy = random.getstate(), np.random.get_state()
    backend.keras().utils.set_random_seed(seeds.integer(seed, "init"))
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(legacy)


def _reason(error: Exception) -> str:
    return re.sub(r"\s+", " ", str(error)).strip()[:300]


def _masters(config: Any) -> Any:
    """Pure bfloat16 becomes mixed: computed in bfloat16, kept in float32."""
    if isinstance(config, Mapping):
        policy = config.get("class_name") == "DTypePolicy"
        plain: dict[str, Any] = {
            k: "mixed_bfloat16" if k == "dtype" and v == "bfloat16" else _masters(v) for k, v in config.items()
        }
        inner = plain.get("config")
        if policy and isinstance(inner, dict) and inner.get("name") == "bfloat16":
            plain["config"] = {**inner, "name": "mixed_bfloat16"}
        return plain
    return [_masters(v) for v in config] if isinstance(config, list) else config


def _packages(spec: Spec) -> tuple[str, ...]:
    """The packages of the run's factory, whose registered classes may appear in its configuration."""
    factory = spec.model.get("factory")
    return (str(factory).partition(":")[0].partition(".")[0],) if factory and not str(factory).startswith("model.py:") else ()


def _deserialise(config: Mapping[str, Any], spec: Spec) -> Any:
    if packages := _packages(spec):
        _module(str(spec.model["factory"]))  # its classes register themselves
    checks.check_config(config, spec.x_shape, packages)
    plain = {k: v for k, v in config.items() if k not in ("compile_config", "build_config")}
    shape = config.get("build_config")
    try:
        with backend.quiet():
            model = backend.keras().models.model_from_json(json.dumps({**plain, **({"build_config": shape} if shape else {})}))
            if not model.built:
                model.build((None, *spec.x_shape))
    except RequestError:
        raise
    except Exception as error:  # noqa: BLE001 - Keras raises whatever its layers raise
        raise RequestError(f"Keras cannot build the model: {_reason(error)}", hint="Build it once with Keras itself.") from None
    return model


def _from_file(data: bytes, spec: Spec) -> Any:
    config = checks.read_archive(data)
    checks.check_config(config, spec.x_shape)
    with tempfile.TemporaryDirectory(prefix="whisktrain-") as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(data)
        try:
            with backend.quiet():
                loaded = backend.keras().saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # noqa: BLE001 - Keras raises whatever its layers raise
            raise RequestError(
                f"Keras cannot load the .keras file: {_reason(error)}", hint="Load it once with Keras."
            ) from None
    model = _deserialise(_masters(json.loads(loaded.to_json())), spec)
    assign(model, {name: v.numpy() for name, v in variables(loaded).items()})
    return model


def _module(factory: str) -> types.ModuleType:
    """The module of a factory that this deployment allows."""
    allowed = [name.strip() for name in os.environ.get("WHISKTRAIN_FACTORIES", "").split(",") if name.strip()]
    if factory not in allowed:
        raise RequestError(
            f"the factory {factory!r} is not on this deployment's allow-list ({', '.join(allowed) or 'which is empty'}).",
            hint="Have it added to WHISKTRAIN_FACTORIES of the deployment.",
        )
    name = factory.partition(":")[0]
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001 - whatever the module's own code raises
        raise RequestError(
            f"the module {name} of the factory cannot be imported: {type(error).__name__}: {_reason(error)}",
            hint="Install it where the workers run.",
        ) from None


def _call(function: Any, spec: Spec, name: str) -> Any:
    keras = backend.keras()
    try:
        made = function(spec.x_shape, spec.classes)
    except Exception as error:  # noqa: BLE001 - whatever the user's code raises
        raise RequestError(f"the factory {name} failed: {type(error).__name__}: {_reason(error)}") from None
    if not isinstance(made, keras.Model):
        raise RequestError(f"the factory {name} returned {type(made).__name__}; expected a Keras model.")
    return made


def _from_factory(factory: str, files: Mapping[str, bytes], spec: Spec) -> Any:
    module, _, name = factory.partition(":")
    if module == "model.py":
        if os.environ.get("WHISKTRAIN_EMBEDDED") != "1":
            raise RequestError(
                "a model.py is only run on the embedded host, which runs your own code on your own machine.",
                hint="Save the model as a .keras file, or deploy it as a factory.",
            )
        space = types.ModuleType("model")
        try:
            exec(compile(files["factory"], "model.py", "exec"), space.__dict__)  # noqa: S102 - the user's own code, on their machine
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises
            raise RequestError(f"model.py failed: {type(error).__name__}: {_reason(error)}") from None
        function = getattr(space, name, None)
    else:
        function = getattr(_module(factory), name, None)
    if not callable(function):
        raise RequestError(f"{module} has no function {name}; expected {name}(x_shape, classes) that returns a Keras model.")
    made = _call(function, spec, factory)
    if not made.built:
        made.build((None, *spec.x_shape))
    model = _deserialise(_masters(json.loads(made.to_json())), spec)
    assign(model, {n: v.numpy() for n, v in variables(made).items()})
    return model


def _from_earlier(files: Mapping[str, bytes], spec: Spec) -> Any:
    held = tensors.decode(files["init"])
    config = files.get("config") or bytes(np.asarray(held["file/config"], np.uint8))
    model = from_config(config, spec)
    assign(model, {name: t for name, t in held.items() if not name.startswith("file/")})
    return model


def make(spec: Spec, files: Mapping[str, bytes]) -> Any:
    """Build the model that a run asks for, with its first weights.

    Args:
        spec: The plan; `spec.seed` alone decides what is drawn.
        files: What `spec.model` refers to: "file", "factory" (the source of model.py), or "init" (and "config").

    Returns:
        A built Keras model that is not compiled.

    Raises:
        RequestError: It cannot be built, holds code, or does not fit the data.
    """
    source = spec.model
    backend.keras().utils.clear_session(free_memory=False)
    with seeded(spec.seed):
        if "config" in source:
            model = _deserialise(_masters(source["config"]), spec)
        elif "factory" in source:  # beside it, "file" names the source of a model.py
            model = _from_factory(str(source["factory"]), files, spec)
        elif "file" in source:
            model = _from_file(files["file"], spec)
        elif "init" in source:
            model = _from_earlier(files, spec)
        else:
            model = preset(str(source.get("preset")), spec.x_shape, spec.classes)
    return model


def to_config(model: Any) -> bytes:
    """A model's configuration as it travels: Keras JSON, the same bytes for the same model."""
    return json.dumps(json.loads(model.to_json()), sort_keys=True, separators=(",", ":")).encode()


def from_config(config: bytes, spec: Spec) -> Any:
    """Open a model from its configuration; its weights are not set."""
    return _deserialise(json.loads(config), spec)


def assign(model: Any, params: Tensors | Mapping[str, Any]) -> None:
    """Set a model's weights.

    Args:
        model: A Keras model.
        params: Arrays by the layout's names, or in the model's order by other names.

    Raises:
        RequestError: They do not fit the model.
    """
    own = variables(model)
    if sorted(own) != sorted(params) and len(own) == len(params):
        params = dict(zip(own, params.values(), strict=True))
    for name, variable in own.items():
        value = params.get(name)
        if value is None or tuple(value.shape) != tuple(variable.shape):
            received = "none" if value is None else f"one of shape {tuple(value.shape)}"
            raise RequestError(f"the model expects a weight {name} of shape {tuple(variable.shape)}; received {received}.")
        variable.assign(value)
