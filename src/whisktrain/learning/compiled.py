"""Compile settings of a given model (optimizer, loss, metrics), read from its configuration without Keras."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from whisktrain import metrics
from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json, JsonObject

__all__ = ["OPTIMIZERS", "loss_of", "metrics_of", "optimizer_of"]

OPTIMIZERS = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw"}
"""The optimizers that are known: Keras' class and the run's name for it."""

_ARGUMENTS = (
    "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "amsgrad", "weight_decay",
    "clipnorm", "clipvalue", "global_clipnorm",
)  # fmt: skip
_UNSUPPORTED = ("use_ema", "gradient_accumulation_steps", "loss_scale_factor")
_NOT_LOSS_OPTIONS = ("name", "dtype", "fn")


def optimizer_of(config: Mapping[str, Json]) -> JsonObject | None:
    """Read the optimizer that a model was compiled with.

    Args:
        config: `model.to_json()` as an object, or a .keras file's config.json.

    Returns:
        `{"name", "learning_rate"?, "schedule"?, ...}` with Keras' argument names; None if the model was not compiled.

    Raises:
        RequestError: It is an optimizer, or a setting of one, that cannot be merged.
    """
    found = _section(config).get("optimizer")
    if found is None:
        return None
    kind, arguments = _name_and_arguments(found)
    name = _optimizer_name(kind)
    refused = [key for key in _UNSUPPORTED if arguments.get(key)]
    if refused:
        raise RequestError(
            f"the model was compiled with {' and '.join(refused)}, which is not supported.",
            hint="Choose an optimizer with --optimizer, or compile the model without it.",
        )
    given = {key: arguments[key] for key in _ARGUMENTS if arguments.get(key) is not None}
    return {"name": name, **given, **_learning_rate(arguments.get("learning_rate"))}


def loss_of(config: Mapping[str, Json]) -> JsonObject | None:
    """Read the loss that a model was compiled with: `{"name", ...options}`, or None.

    Raises:
        RequestError: There are several losses, or loss weights.
    """
    section = _section(config)
    found = _only(section.get("loss"))
    if found is None:
        return None
    if isinstance(found, list) or (isinstance(found, dict) and "class_name" not in found):
        raise RequestError(
            f"the model was compiled with {len(found)} losses; expected one.", hint="Give one loss."
        )
    if section.get("loss_weights"):
        raise RequestError(
            "the model was compiled with loss_weights; expected none, as there is one loss."
        )
    name, arguments = _name_and_arguments(found)
    options = {
        key: value
        for key, value in arguments.items()
        if key not in _NOT_LOSS_OPTIONS and value is not None
    }
    return {**options, "name": name}


def metrics_of(config: Mapping[str, Json], task: str) -> tuple[str, ...] | None:
    """Read the metrics that a model was compiled with, by their canonical names, or None.

    Args:
        config: `model.to_json()` as an object, or a .keras file's config.json.
        task: "classification" or "regression".

    Raises:
        RequestError: One of them is not known for this task.
    """
    section = _section(config)
    found = [
        entry for key in ("metrics", "weighted_metrics") for entry in _entries(section.get(key))
    ]
    names = [_metric_name(entry, task) for entry in found]
    return tuple(dict.fromkeys(names)) or None


def _section(config: Mapping[str, Json]) -> JsonObject:
    section = config.get("compile_config")
    return section if isinstance(section, dict) else {}


def _name_and_arguments(found: Json) -> tuple[str, JsonObject]:
    """The name and the arguments of a serialised object, function or plain name."""
    if isinstance(found, str):
        return found, {}
    if isinstance(found, dict):
        arguments = found.get("config")
        if found.get("class_name") == "function" and isinstance(arguments, str):
            return arguments, {}
        return str(found.get("class_name", "")), arguments if isinstance(arguments, dict) else {}
    return "", {}


def _optimizer_name(kind: str) -> str:
    lower = kind.lower()
    name = OPTIMIZERS.get(kind) or (lower if lower in OPTIMIZERS.values() else None)
    if name is None:
        raise RequestError(
            f"the model was compiled with the optimizer {kind}; expected one of {', '.join(OPTIMIZERS)}.",
            hint="Choose one with --optimizer.",
        )
    return name


def _learning_rate(rate: Json) -> JsonObject:
    """The optimizer's `learning_rate` and `schedule`, whichever it has."""
    if rate is None:
        return {}
    if not isinstance(rate, dict):
        return {"learning_rate": rate}
    name, options = _name_and_arguments(rate)
    found: JsonObject = {
        "schedule": {
            "name": name,
            **{key: value for key, value in options.items() if key != "name"},
        }
    }
    if "initial_learning_rate" in options:
        found["learning_rate"] = options["initial_learning_rate"]
    return found


def _only(found: Json) -> Json:
    """The one entry of a list or object with one entry: how Keras writes what belongs to the only output."""
    while isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, dict) and "class_name" not in found and len(found) == 1:
        return _only(next(iter(found.values())))
    return found


def _entries(found: Json) -> Iterator[Json]:
    """The serialised metrics in lists, and in objects by output, in their order."""
    if isinstance(found, list):
        for entry in found:
            yield from _entries(entry)
    elif isinstance(found, dict) and "class_name" not in found:
        for entry in found.values():
            yield from _entries(entry)
    elif found is not None:
        yield found


def _metric_name(found: Json, task: str) -> str:
    name, arguments = _name_and_arguments(found)
    if name == "MeanMetricWrapper" and "fn" in arguments:
        name, arguments = _name_and_arguments(arguments["fn"])
    canonical = metrics.canonical(name, task)
    k = arguments.get("k", 5)
    if canonical == "top_5_accuracy" and isinstance(k, (int, float)) and k != 5:
        return f"top_{int(k)}_accuracy"
    return canonical
