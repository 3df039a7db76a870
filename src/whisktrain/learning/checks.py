"""What can be said of a model's configuration without Keras: that it holds no code, and that it fits the data.

A Keras configuration names classes and functions. Only Keras' own are built; whatever could run code, read a file or be looked
up by name elsewhere is refused before anything is deserialised.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

from whisktrain.errors import RequestError

__all__ = ["check_config", "last_activation", "read_archive"]

_MAX_CONFIG = 64 * 2**20
_MAX_ARCHIVE = 8 * 2**30
_MAX_DEPTH = 200
_CODE = {"Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod"}
_FOREIGN = {"TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
_TEXT = {"StringLookup", "TextVectorization", "IntegerLookup", "HashedCrossing", "FeatureSpace", "Hashing"}
_ONE_DTYPE = ("float16", "mixed_float16")


def read_archive(data: bytes) -> dict[str, Any]:
    """The configuration inside a .keras file.

    Args:
        data: The file.

    Returns:
        Its `config.json`.

    Raises:
        RequestError: The bytes are no .keras file, or it is too large.
    """
    hint = "Save the model with model.save('model.keras') of Keras 3."
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            if "config.json" not in sizes or "model.weights.h5" not in sizes:
                raise RequestError("the .keras file has no config.json or no model.weights.h5 in it.", hint=hint)
            if sizes["config.json"] > _MAX_CONFIG or sum(sizes.values()) > _MAX_ARCHIVE:
                raise RequestError("the .keras file unpacks to more than is allowed.", hint=hint)
            config = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, ValueError, KeyError, OSError) as error:
        raise RequestError(f"{len(data)} bytes were given that are no .keras file ({error}).", hint=hint) from None
    if not isinstance(config, dict):
        raise RequestError("the .keras file's config.json is no JSON object.", hint=hint)
    return config


def _objects(value: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    if depth > _MAX_DEPTH:
        raise RequestError(f"the model's configuration is nested more than {_MAX_DEPTH} deep.")
    if isinstance(value, Mapping):
        yield value
        for inner in value.values():
            yield from _objects(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner, depth + 1)


def _package(module: str) -> str:
    return module.partition(".")[0]


def _check_object(found: Mapping[str, Any], packages: frozenset[str]) -> None:
    kind = found.get("class_name")
    if not isinstance(kind, str):
        return
    if kind in _CODE:
        raise RequestError(
            f"the model holds embedded code ({kind}); it is not run, wherever it comes from.",
            code="embedded_code",
            hint="Replace the Lambda by a Keras layer or operation, or deploy the model as a factory.",
        )
    if kind in _FOREIGN or kind in _TEXT:
        raise RequestError(f"the layer {kind} is not supported: it loads something that is not in the model's configuration.")
    module, registered = found.get("module"), found.get("registered_name")
    custom = (
        isinstance(registered, str) and ">" in registered and _package(registered.split(">")[0]) not in ("keras", *packages)
    )
    foreign = isinstance(module, str) and _package(module) not in ("keras", "builtins", *packages)
    function = kind == "function" and _package(str(module)) not in ("keras", *packages)
    if custom or foreign or function:
        name = registered if custom else found["config"] if function and isinstance(found.get("config"), str) else kind
        raise RequestError(
            f"the model uses {name!r}, which is not Keras' own; expected Keras' own layers, functions and losses only.",
            code="custom_object",
            hint="Replace it, or have the model's factory added to the deployment's allow-list (WHISKTRAIN_FACTORIES).",
        )


def _check_types(found: Mapping[str, Any]) -> None:
    inner = found.get("config")
    policies = [found.get("dtype"), inner.get("dtype") if isinstance(inner, Mapping) else None]
    if found.get("class_name") == "DTypePolicy" and isinstance(inner, Mapping):
        policies.append(inner.get("name"))
    for policy in policies:
        if policy in _ONE_DTYPE:
            raise RequestError(
                f"the model asks for {policy}; expected float32, float64 or bfloat16.",
                hint="Sums of float16 gradients overflow: use mixed_bfloat16.",
            )
        if isinstance(policy, str) and ("float8" in policy or "int8" in policy or "int4" in policy):
            raise RequestError(f"the model is quantised ({policy}), which cannot be trained here.")


def _ends(entries: Any) -> int:
    """How many tensors `input_layers` or `output_layers` name: one is [name, node, tensor], several are a list of those."""
    if isinstance(entries, Mapping):
        return len(entries)
    if not isinstance(entries, list) or not entries:
        return 1
    return 1 if isinstance(entries[0], str) else len(entries)


def _check_shape(config: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, Mapping) else None
    inputs = [
        layer["config"] for layer in layers or [] if isinstance(layer, Mapping) and layer.get("class_name") == "InputLayer"
    ]
    if len(inputs) != 1:
        return
    batch_shape = inputs[0].get("batch_shape", inputs[0].get("batch_input_shape"))
    if not isinstance(batch_shape, list):
        return
    wanted = batch_shape[1:]
    if batch_shape[0] is not None:
        raise RequestError(
            f"the model takes batches of exactly {batch_shape[0]} rows; expected any number of rows.",
            hint="Build it with Input(shape=...) and no batch size.",
        )
    if len(wanted) != len(shape) or any(w is not None and w != s for w, s in zip(wanted, shape, strict=True)):
        raise RequestError(
            f"the model takes rows of shape {tuple(wanted)}, but the data's rows have shape {shape}.",
            hint=f"Build it with Input(shape={shape}).",
        )


def check_config(config: Mapping[str, Any], x_shape: tuple[int, ...] | None = None, packages: tuple[str, ...] = ()) -> None:
    """Refuse what will not be built or trained, as far as the configuration alone tells.

    Args:
        config: `model.to_json()` as an object, or a .keras file's config.json.
        x_shape: Shape of one row of the data; None to leave it unchecked.
        packages: Packages besides Keras whose registered classes are allowed (those of allow-listed factories).

    Raises:
        RequestError: It holds code or custom objects, has several inputs or outputs, asks for float16, or does not
            fit the data.
    """
    if not isinstance(config.get("class_name"), str) or not isinstance(config.get("config"), Mapping):
        raise RequestError(
            "the model's configuration has no class_name and config; expected what model.to_json() gives.",
            hint="Pass json.loads(model.to_json()).",
        )
    for found in _objects({k: v for k, v in config.items() if k != "compile_config"}):
        _check_object(found, frozenset(packages))
        _check_types(found)
    for which, key in (("inputs", "input_layers"), ("outputs", "output_layers")):
        count = _ends(config["config"].get(key))
        if count != 1:
            raise RequestError(f"the model has {count} {which}; expected one.", hint="Join them inside the model.")
    if x_shape is not None:
        _check_shape(config, x_shape)


def last_activation(config: Mapping[str, Any]) -> str | None:
    """The activation of the model's last layer: a name, or None where it has none of its own."""
    inner = config.get("config")
    layers = inner.get("layers") if isinstance(inner, Mapping) else None
    if not layers:
        return None
    named = inner.get("output_layers") if isinstance(inner, Mapping) else None
    last = layers[-1]
    if isinstance(named, list) and named:
        wanted = named[0] if isinstance(named[0], str) else named[0][0]
        last = next((layer for layer in layers if layer.get("config", {}).get("name", layer.get("name")) == wanted), last)
    if last.get("class_name") in ("Sequential", "Functional", "Model"):
        return last_activation(last)
    if last.get("class_name") == "Softmax":
        return "softmax"
    activation = last.get("config", {}).get("activation")
    if isinstance(activation, Mapping):
        activation = activation.get("config") if isinstance(activation.get("config"), str) else activation.get("class_name")
    return str(activation).lower() if activation else None
