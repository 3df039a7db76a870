"""Checks of a model's configuration without Keras: that it holds no code, and that it fits the data.

A Keras configuration names classes and functions. Only those of an allow-list are built (`whisktrain.learning.allowed`);
everything else is refused before anything is deserialised. Where Keras runs, `building.classes` looks at the classes that
the names stand for.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Mapping

from whisktrain.decoding import decoding
from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json, JsonObject, parse_json
from whisktrain.learning import allowed
from whisktrain.learning.parts import Part, parts, shown

__all__ = [
    "check_config",
    "check_policy",
    "is_allowed",
    "last_activation",
    "output_units",
    "read_archive",
]

_MAX_CONFIG = 64 * 2**20
_MAX_ARCHIVE = 8 * 2**30
_HOW_TO_REPLACE = (
    "Replace it by one of Keras' own, or have the model's factory added to the deployment's allow-list "
    "(WHISKTRAIN_FACTORIES)."
)


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
    refusal = f"{len(data)} bytes were given that are no .keras file"
    with (
        decoding(refusal, RequestError.code, hint, RequestError),
        zipfile.ZipFile(io.BytesIO(data)) as archive,
    ):
        sizes = {info.filename: info.file_size for info in archive.infolist()}
        if "config.json" not in sizes or "model.weights.h5" not in sizes:
            raise RequestError(
                "the .keras file has no config.json or no model.weights.h5 in it.", hint=hint
            )
        if sizes["config.json"] > _MAX_CONFIG or sum(sizes.values()) > _MAX_ARCHIVE:
            raise RequestError("the .keras file unpacks to more than is allowed.", hint=hint)
        config = parse_json(archive.read("config.json"))
    if not isinstance(config, dict):
        raise RequestError("the .keras file's config.json is no JSON object.", hint=hint)
    return config


def check_config(
    config: Mapping[str, Json],
    x_shape: tuple[int, ...] | None = None,
    also: Callable[[Part], bool] | None = None,
) -> None:
    """Refuse a model that will not be built or trained, as far as its configuration alone shows.

    Args:
        config: `model.to_json()` as an object, or a .keras file's config.json.
        x_shape: Shape of one row of the data; None to leave it unchecked.
        also: Whether a part is allowed that is not Keras' own (of an allow-listed factory).

    Raises:
        RequestError: It is malformed, holds code or custom objects, has several inputs or outputs, asks for float16, takes
            text, or does not fit the data.
    """
    arguments = config.get("config")
    kind = config.get("class_name")
    if not isinstance(kind, str) or not isinstance(arguments, Mapping):
        raise RequestError(
            "the model's configuration has no class_name and config; expected what model.to_json() gives.",
            hint="Pass json.loads(model.to_json()).",
        )
    found = list(parts(dict(config)))
    if kind not in allowed.MODELS and not (also is not None and also(found[0])):
        raise RequestError(
            f"the model is a {kind}, a class of its own; expected a Sequential or a functional model.",
            code="custom_object",
            hint="Build it as keras.Model(inputs, outputs), or deploy it as a factory.",
        )
    for part in found:
        _check_part(part, also)
        _check_types(part.found)
    for which, key in (("inputs", "input_layers"), ("outputs", "output_layers")):
        count = _tensor_count(arguments.get(key))
        if count != 1:
            raise RequestError(
                f"the model has {count} {which}; expected one.", hint="Join them inside the model."
            )
    if x_shape is not None:
        _check_shape(config, x_shape)


def is_allowed(part: Part) -> bool:
    """Whether the allow-list holds the name of a part, as Keras would look it up."""
    if part.kind in allowed.VALUES:
        return True
    module, registered = part.found.get("module"), part.found.get("registered_name")
    if module is not None and not re.fullmatch(r"keras(\.\w+)*|builtins", str(module)):
        return False
    if part.is_function:
        return part.kind in allowed.ACTIVATIONS and registered in (None, "function", part.kind)
    if registered is not None and registered != part.kind:
        return False
    known = part.kind in allowed.LAYERS or part.kind in allowed.OBJECTS
    return known or part.kind in allowed.MODELS or allowed.is_operation(module, part.kind)


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
        raise RequestError(
            f"{subject} {policy}, which is quantised and cannot be trained here.",
            hint="Save the model before it is quantised.",
        )


def last_activation(config: Mapping[str, Json]) -> str | None:
    """The activation of the model's last layer: a name, or None where it has none of its own."""
    last = _output_layer(config)
    if last is None:
        return None
    kind, arguments = last.get("class_name"), last.get("config")
    if not isinstance(kind, str):
        return None
    if kind in allowed.MODELS:
        return last_activation(last)
    if kind in _OWN_ACTIVATION:
        return _OWN_ACTIVATION[kind]
    activation = arguments.get("activation") if isinstance(arguments, dict) else None
    if isinstance(activation, dict):
        function = activation.get("config")
        activation = function if isinstance(function, str) else activation.get("class_name")
    return str(activation).lower() if activation else None


_SAME_SHAPE = frozenset(
    "Activation Dropout ELU Identity LeakyReLU PReLU ReLU Rescaling Softmax Relu Sigmoid Tanh".split()  # noqa: SIM905
)
_OWN_ACTIVATION = {
    "Softmax": "softmax",
    "ReLU": "relu",
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
}
"""Layers and operations that are an activation."""


def output_units(config: Mapping[str, Json]) -> int | None:
    """The units of the model's last layer that has any; None where another kind of layer shapes the output."""
    last = _output_layer(config)
    before = [layer for layer in _layers(config) if layer is not last]
    while last is not None:
        kind, arguments = last.get("class_name"), last.get("config")
        if isinstance(kind, str) and kind in allowed.MODELS:
            return output_units(last)
        units = arguments.get("units") if isinstance(arguments, dict) else None
        if isinstance(units, int):
            return units
        last = before.pop() if before and kind in _SAME_SHAPE else None
    return None


def _check_part(part: Part, also: Callable[[Part], bool] | None) -> None:
    """Refuse an object that is code, loads something else, or is not on the allow-list."""
    if part.kind in allowed.CODE:
        what = part.argument.replace("_", " ") or part.kind
        raise RequestError(
            f"the model holds embedded code ({what} of the {part.layer or 'model'}); it is not run, wherever it comes from.",
            code="embedded_code",
            hint="Replace it by a Keras layer, operation or activation, or deploy the model as a factory.",
        )
    if part.kind in allowed.FOREIGN:
        raise RequestError(
            f"the {part} is not supported: it loads something that is not in the model's configuration.",
            hint="Replace it by a layer whose configuration says everything.",
        )
    if not is_allowed(part) and not (also is not None and also(part)):
        raise RequestError(
            f"the model uses the {part}, which is not Keras' own (or not supported here).",
            code="custom_object",
            hint=_HOW_TO_REPLACE,
        )
    arguments = part.found.get("config")
    if not isinstance(arguments, dict):
        return
    if part.kind in allowed.LOOKUPS and isinstance(arguments.get("vocabulary"), str):
        raise RequestError(
            f"the {part} reads its vocabulary from a file, which does not come with the model; expected the words themselves.",
            hint="Build the layer with a list of words, or adapt it and save the model.",
        )
    if part.kind == "InputLayer" and arguments.get("dtype") == "string":
        raise RequestError(
            f"the {part} takes text; expected numbers, which is what rows consist of when they reach the model.",
            hint="Turn text into numbers before training: columns of text become categories by themselves.",
        )


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
    if not batch_shape or not all(size is None or isinstance(size, int) for size in batch_shape):
        raise RequestError(
            f"the model's input has the batch shape {shown(batch_shape)}; expected null, and the sizes of a row."
        )
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
    arguments = inputs[0].get("config")
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
    while isinstance(outputs, (list, dict)) and outputs:
        outputs = outputs[0] if isinstance(outputs, list) else next(iter(outputs.values()))
    name = outputs
    return next((layer for layer in layers if _layer_name(layer) == name), layers[-1])


def _layer_name(layer: JsonObject) -> Json:
    arguments = layer.get("config")
    return (
        arguments.get("name", layer.get("name"))
        if isinstance(arguments, dict)
        else layer.get("name")
    )
