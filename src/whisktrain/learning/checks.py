"""Checks of a model's configuration without Keras: that it holds no code, and that it fits the data.

A Keras configuration names classes and functions. Only Keras' own are built; an object that could run code, read a file or
be looked up by name elsewhere is refused before anything is deserialised.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping

from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json, JsonObject

__all__ = ["check_config", "check_policy", "last_activation", "read_archive"]

_MAX_CONFIG = 64 * 2**20
_MAX_ARCHIVE = 8 * 2**30
_MAX_DEPTH = 200
_CODE = {"Lambda", "__lambda__", "TFOpLambda", "SlicingOpLambda", "ClassMethod", "InstanceMethod"}
_FOREIGN = {"TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"}
_TEXT = {
    "StringLookup",
    "TextVectorization",
    "IntegerLookup",
    "HashedCrossing",
    "FeatureSpace",
    "Hashing",
}
_MODELS = ("Sequential", "Functional", "Model")


def read_archive(data: bytes) -> JsonObject:
    """Read the configuration inside a .keras file.

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
                raise RequestError(
                    "the .keras file has no config.json or no model.weights.h5 in it.", hint=hint
                )
            if sizes["config.json"] > _MAX_CONFIG or sum(sizes.values()) > _MAX_ARCHIVE:
                raise RequestError("the .keras file unpacks to more than is allowed.", hint=hint)
            config: Json = json.loads(archive.read("config.json"))
    except (zipfile.BadZipFile, ValueError, KeyError, OSError) as error:
        raise RequestError(
            f"{len(data)} bytes were given that are no .keras file ({error}).", hint=hint
        ) from None
    if not isinstance(config, dict):
        raise RequestError("the .keras file's config.json is no JSON object.", hint=hint)
    return config


def check_config(
    config: Mapping[str, Json],
    x_shape: tuple[int, ...] | None = None,
    packages: tuple[str, ...] = (),
) -> None:
    """Refuse a model that will not be built or trained, as far as its configuration alone shows.

    Args:
        config: `model.to_json()` as an object, or a .keras file's config.json.
        x_shape: Shape of one row of the data; None to leave it unchecked.
        packages: Packages besides Keras whose registered classes are allowed (those of allow-listed factories).

    Raises:
        RequestError: It holds code or custom objects, has several inputs or outputs, asks for float16, or does not
            fit the data.
    """
    arguments = config.get("config")
    if not isinstance(config.get("class_name"), str) or not isinstance(arguments, Mapping):
        raise RequestError(
            "the model's configuration has no class_name and config; expected what model.to_json() gives.",
            hint="Pass json.loads(model.to_json()).",
        )
    built_from = {key: value for key, value in config.items() if key != "compile_config"}
    for found in _objects(built_from):
        _check_object(found, frozenset(packages))
        _check_types(found)
    for which, key in (("inputs", "input_layers"), ("outputs", "output_layers")):
        count = _tensor_count(arguments.get(key))
        if count != 1:
            raise RequestError(
                f"the model has {count} {which}; expected one.", hint="Join them inside the model."
            )
    if x_shape is not None:
        _check_shape(config, x_shape)


def check_policy(policy: str, subject: str) -> None:
    """Refuse a dtype policy in which gradients cannot be summed exactly.

    Args:
        policy: Its name, or the name of a type.
        subject: The start of the message, up to the policy's name.

    Raises:
        RequestError: It computes in float16, or is quantised.
    """
    if "float16" in policy.replace("bfloat16", ""):
        raise RequestError(
            f"{subject} {policy}; expected float32, float64 or bfloat16.",
            hint="Sums of float16 gradients overflow: use mixed_bfloat16.",
        )
    if "float8" in policy or "int8" in policy or "int4" in policy:
        raise RequestError(f"{subject} {policy}, which is quantised and cannot be trained here.")


def last_activation(config: Mapping[str, Json]) -> str | None:
    """The activation of the model's last layer: a name, or None where it has none of its own."""
    last = _output_layer(config)
    if last is None:
        return None
    kind, arguments = last.get("class_name"), last.get("config")
    if kind in _MODELS:
        return last_activation(last)
    if kind == "Softmax":
        return "softmax"
    activation = arguments.get("activation") if isinstance(arguments, dict) else None
    if isinstance(activation, dict):
        function = activation.get("config")
        activation = function if isinstance(function, str) else activation.get("class_name")
    return str(activation).lower() if activation else None


def _objects(value: Json | JsonObject, depth: int = 0) -> Iterator[JsonObject]:
    """All objects inside a configuration, the outer ones first."""
    if depth > _MAX_DEPTH:
        raise RequestError(f"the model's configuration is nested more than {_MAX_DEPTH} deep.")
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _objects(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects(inner, depth + 1)


def _check_object(found: JsonObject, packages: frozenset[str]) -> None:
    """Refuse an object that is code, loads something else, or is not Keras' own."""
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
        raise RequestError(
            f"the layer {kind} is not supported: it loads something that is not in the model's configuration."
        )
    name = _custom_name(found, kind, packages)
    if name is not None:
        raise RequestError(
            f"the model uses {name!r}, which is not Keras' own; expected Keras' own layers, functions and losses only.",
            code="custom_object",
            hint="Replace it, or have the model's factory added to the deployment's allow-list (WHISKTRAIN_FACTORIES).",
        )


def _custom_name(found: JsonObject, kind: str, packages: frozenset[str]) -> str | None:
    """The name of an object that neither Keras nor an allowed package defines; None for the others."""
    module, registered, arguments = (
        found.get("module"),
        found.get("registered_name"),
        found.get("config"),
    )
    if (
        isinstance(registered, str)
        and ">" in registered
        and _package(registered.split(">")[0]) not in ("keras", *packages)
    ):
        return registered
    if kind == "function" and _package(str(module)) not in ("keras", *packages):
        return arguments if isinstance(arguments, str) else kind
    if isinstance(module, str) and _package(module) not in ("keras", "builtins", *packages):
        return kind
    return None


def _package(module: str) -> str:
    return module.partition(".")[0]


def _check_types(found: JsonObject) -> None:
    arguments = found.get("config")
    policies = [found.get("dtype")]
    if isinstance(arguments, dict):
        policies.append(arguments.get("dtype"))
        if found.get("class_name") == "DTypePolicy":
            policies.append(arguments.get("name"))
    for policy in policies:
        if isinstance(policy, str):
            check_policy(policy, "the model asks for")


def _tensor_count(entries: Json) -> int:
    """Count the tensors of `input_layers` or `output_layers`: one is [name, node, tensor], several are a list of those."""
    if isinstance(entries, dict):
        return len(entries)
    if not isinstance(entries, list) or not entries:
        return 1
    return 1 if isinstance(entries[0], str) else len(entries)


def _check_shape(config: Mapping[str, Json], shape: tuple[int, ...]) -> None:
    batch_shape = _input_shape(config)
    if batch_shape is None:
        return
    if batch_shape[0] is not None:
        raise RequestError(
            f"the model takes batches of exactly {batch_shape[0]} rows; expected any number of rows.",
            hint="Build it with Input(shape=...) and no batch size.",
        )
    expected = tuple(batch_shape[1:])
    fits = len(expected) == len(shape) and all(
        e is None or e == s for e, s in zip(expected, shape, strict=True)
    )
    if not fits:
        raise RequestError(
            f"the model takes rows of shape {expected}, but the data's rows have shape {shape}.",
            hint=f"Build it with Input(shape={shape}).",
        )


def _input_shape(config: Mapping[str, Json]) -> list[Json] | None:
    """The batch shape of a model's only input layer; None where there is another number, or it is not written down."""
    inputs = [layer for layer in _layers(config) if layer.get("class_name") == "InputLayer"]
    if len(inputs) != 1:
        return None
    arguments = inputs[0]["config"]
    if not isinstance(arguments, dict):
        return None
    batch_shape = arguments.get("batch_shape", arguments.get("batch_input_shape"))
    return batch_shape if isinstance(batch_shape, list) else None


def _layers(config: Mapping[str, Json]) -> list[JsonObject]:
    """The layers that a model's configuration lists."""
    arguments = config.get("config")
    layers = arguments.get("layers") if isinstance(arguments, dict) else None
    return (
        [layer for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []
    )


def _output_layer(config: Mapping[str, Json]) -> JsonObject | None:
    """The layer that `output_layers` names, else the last one; None without layers."""
    layers = _layers(config)
    if not layers:
        return None
    arguments = config["config"]
    outputs = arguments.get("output_layers") if isinstance(arguments, dict) else None
    if not isinstance(outputs, list) or not outputs:
        return layers[-1]
    first = outputs[0]
    name = first[0] if isinstance(first, list) else first
    return next((layer for layer in layers if _layer_name(layer) == name), layers[-1])


def _layer_name(layer: JsonObject) -> Json:
    arguments = layer.get("config")
    return (
        arguments.get("name", layer.get("name"))
        if isinstance(arguments, dict)
        else layer.get("name")
    )
