"""Build a model from its source: a preset, a configuration, a .keras file, a factory, or an earlier model."""

from __future__ import annotations

import io
import json
import random
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np

from whisktrain import seeds, tensors
from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json, JsonObject
from whisktrain.learning import backend, checks, user_code
from whisktrain.learning.building import derived, factories
from whisktrain.learning.building.classes import check_classes
from whisktrain.learning.building.layout import variables
from whisktrain.learning.building.presets import preset
from whisktrain.learning.keras_types import Model
from whisktrain.learning.parts import without_compile_settings
from whisktrain.spec import Blueprint, Spec
from whisktrain.tensors import Tensor, Tensors

__all__ = ["assign", "from_config", "make", "restore", "seeded", "to_config"]


def make(spec: Spec, files: Mapping[str, bytes]) -> Model:
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
            return _deserialise(_with_float32_weights(source["config"]), spec)
        if "factory" in source:  # beside it, "file" names the source of a model.py
            return _copy(factories.call(source["factory"], files, spec), spec)
        if "file" in source:
            return _from_file(files["file"], spec)
        if "init" in source:
            return _from_earlier(files, spec)
        return preset(str(source.get("preset")), spec.x_shape, spec.classes)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw everything that Keras draws from the run's seed; restore the process's own generators afterwards."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    backend.keras().utils.set_random_seed(seeds.integer(seed, "init"))
    try:
        yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)


def to_config(model: Model) -> bytes:
    """A model's configuration as it is stored: Keras JSON with all vocabularies, the same bytes for the same model."""
    derived.write_vocabularies(model)
    return json.dumps(json.loads(model.to_json()), sort_keys=True, separators=(",", ":")).encode()


def from_config(config: bytes, spec: Spec) -> Model:
    """Open a model from its configuration; its weights are not set."""
    return _deserialise(json.loads(config), spec)


def restore(spec: Spec, blueprint: Blueprint, params: Tensors) -> Model:
    """A trained model: its configuration opened, and its weights set."""
    model = from_config(blueprint.config, spec)
    names = [entry["name"] for entry in blueprint.layout["tensors"]]
    assign(model, {name: params[name] for name in names})
    return model


def assign(model: Model, params: Mapping[str, Tensor]) -> None:
    """Set a model's weights, and all that its layers derive from them.

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
            raise RequestError(
                f"the model expects a weight {name} of shape {tuple(variable.shape)}; received {received}.",
                hint="Start from a model that is built the same way.",
            )
        variable.assign(value)
    derived.derive(model)


def _deserialise(config: Mapping[str, Json], spec: Spec) -> Model:
    packages = factories.packages(spec.model.get("factory"))
    if packages:
        factories.import_module(spec.model["factory"])  # registers the classes of the configuration
    check_classes(config, spec.x_shape, packages)
    plain = cast(JsonObject, without_compile_settings(dict(config)))
    if not plain.get("build_config"):
        plain.pop("build_config", None)
    try:
        with backend.quiet():
            model: Model = backend.keras().models.model_from_json(json.dumps(plain))
            if not model.built:
                model.build((None, *spec.x_shape))
    except RequestError:
        raise
    except Exception as error:
        raise RequestError(
            f"Keras cannot build the model: {user_code.reason(error)}",
            hint="Build it once with Keras itself.",
        ) from error
    return model


def _copy(given: Model, spec: Spec) -> Model:
    """A model from the configuration and the weights of another one."""
    config = _with_float32_weights(json.loads(to_config(given)))
    model = _deserialise(config, spec)
    assign(model, {name: variable.numpy() for name, variable in variables(given).items()})
    return model


def _with_float32_weights(config: JsonObject) -> JsonObject:
    """Turn pure bfloat16 into mixed: computed in bfloat16, kept in float32."""
    return cast(JsonObject, _mixed(config))


def _mixed(value: Json) -> Json:
    if isinstance(value, list):
        return [_mixed(entry) for entry in value]
    if not isinstance(value, dict):
        return value
    plain = {key: _mixed(inner) for key, inner in value.items()}
    if value.get("dtype") == "bfloat16":
        plain["dtype"] = "mixed_bfloat16"
    policy = plain.get("config")
    if (
        value.get("class_name") == "DTypePolicy"
        and isinstance(policy, dict)
        and policy.get("name") == "bfloat16"
    ):
        plain["config"] = {**policy, "name": "mixed_bfloat16"}
    return plain


def _from_file(data: bytes, spec: Spec) -> Model:
    config = checks.read_archive(data)
    check_classes(config, spec.x_shape)
    with tempfile.TemporaryDirectory(prefix="whisktrain-") as folder:
        path = Path(folder) / "model.keras"
        path.write_bytes(_uncompiled(data, config))
        try:
            with backend.quiet():
                loaded: Model = backend.keras().saving.load_model(
                    path, compile=False, safe_mode=True
                )
        except Exception as error:
            raise RequestError(
                f"Keras cannot load the .keras file: {user_code.reason(error)}",
                hint="Load it once with Keras.",
            ) from error
    return _copy(loaded, spec)


def _uncompiled(data: bytes, config: JsonObject) -> bytes:
    """The same .keras file; without the compile settings of models inside the model, which Keras would build."""
    inner = config.get("config")
    plain = without_compile_settings(inner)
    if plain == inner:
        return data
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as given, zipfile.ZipFile(written, "w") as kept:
        for name in dict.fromkeys(given.namelist()):
            changed = json.dumps({**config, "config": plain}).encode()
            kept.writestr(name, changed if name == "config.json" else given.read(name))
    return written.getvalue()


def _from_earlier(files: Mapping[str, bytes], spec: Spec) -> Model:
    held = tensors.decode(files["init"])
    config = files.get("config") or held["file/config"].tobytes()
    model = from_config(config, spec)
    assign(model, {name: value for name, value in held.items() if not name.startswith("file/")})
    return model
