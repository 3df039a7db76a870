"""How a given model was compiled (optimizer, loss, metrics), read from its configuration without Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from whisktrain import metrics as known_metrics
from whisktrain.errors import RequestError

__all__ = ["loss_of", "metrics_of", "optimizer_of"]

_OPTIMIZERS = {"SGD": "sgd", "Adam": "adam", "AdamW": "adamw"}
_ARGUMENTS = (
    "momentum", "nesterov", "beta_1", "beta_2", "epsilon", "amsgrad", "weight_decay",
    "clipnorm", "clipvalue", "global_clipnorm",
)  # fmt: skip
_UNSUPPORTED = ("use_ema", "gradient_accumulation_steps", "loss_scale_factor")


def _section(config: Mapping[str, Any]) -> Mapping[str, Any]:
    section = config.get("compile_config")
    return section if isinstance(section, Mapping) else {}


def _named(found: Any) -> tuple[str, Mapping[str, Any]]:
    """The name and the arguments of a serialised object, function or plain name."""
    if isinstance(found, str):
        return found, {}
    if isinstance(found, Mapping):
        inner = found.get("config")
        if found.get("class_name") == "function" and isinstance(inner, str):
            return inner, {}
        return str(found.get("class_name", "")), inner if isinstance(inner, Mapping) else {}
    return "", {}


def optimizer_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The optimizer that a model was compiled with.

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
    kind, arguments = _named(found)
    name = _OPTIMIZERS.get(kind) or (kind.lower() if kind.lower() in _OPTIMIZERS.values() else None)
    if name is None:
        raise RequestError(
            f"the model was compiled with the optimizer {kind}; expected one of {', '.join(_OPTIMIZERS)}.",
            hint="Choose one with --optimizer.",
        )
    if refused := [k for k in _UNSUPPORTED if arguments.get(k)]:
        raise RequestError(
            f"the model was compiled with {' and '.join(refused)}, which is not supported.",
            hint="Choose an optimizer with --optimizer, or compile the model without it.",
        )
    result: dict[str, Any] = {"name": name, **{k: arguments[k] for k in _ARGUMENTS if arguments.get(k) is not None}}
    rate = arguments.get("learning_rate")
    if isinstance(rate, Mapping):
        schedule, options = _named(rate)
        result["schedule"] = {"name": schedule, **{k: v for k, v in options.items() if k != "name"}}
        if "initial_learning_rate" in options:
            result["learning_rate"] = options["initial_learning_rate"]
    elif rate is not None:
        result["learning_rate"] = rate
    return result


def _only(found: Any) -> Any:
    """The one entry of a list or object with one entry: how Keras writes what belongs to the only output."""
    while isinstance(found, (list, tuple)) and len(found) == 1:
        found = found[0]
    if isinstance(found, Mapping) and "class_name" not in found and len(found) == 1:
        return _only(next(iter(found.values())))
    return found


def loss_of(config: Mapping[str, Any]) -> dict[str, Any] | None:
    """The loss that a model was compiled with: `{"name", ...options}`, or None.

    Raises:
        RequestError: There are several losses, or loss weights.
    """
    section = _section(config)
    found = _only(section.get("loss"))
    if found is None:
        return None
    if isinstance(found, (list, tuple)) or (isinstance(found, Mapping) and "class_name" not in found):
        raise RequestError(f"the model was compiled with {len(found)} losses; expected one.", hint="Give one loss.")
    if section.get("loss_weights"):
        raise RequestError("the model was compiled with loss_weights; expected none, as there is one loss.")
    name, arguments = _named(found)
    return {**{k: v for k, v in arguments.items() if k not in ("name", "dtype", "fn") and v is not None}, "name": name}


def metrics_of(config: Mapping[str, Any], task: str) -> tuple[str, ...] | None:
    """The metrics that a model was compiled with, by their canonical names, or None.

    Args:
        config: `model.to_json()` as an object, or a .keras file's config.json.
        task: "classification" or "regression".

    Raises:
        RequestError: One of them is not known for this task.
    """
    found: list[Any] = []
    for key in ("metrics", "weighted_metrics"):
        waiting = [_section(config).get(key)]
        while waiting:
            entry = waiting.pop(0)
            if isinstance(entry, (list, tuple)):
                waiting = [*entry, *waiting]
            elif isinstance(entry, Mapping) and "class_name" not in entry:
                waiting = [*entry.values(), *waiting]
            elif entry is not None:
                found.append(entry)
    if not found:
        return None
    names: list[str] = []
    for entry in found:
        name, arguments = _named(entry)
        if name == "MeanMetricWrapper" and "fn" in arguments:
            name, arguments = _named(arguments["fn"])
        canonical = known_metrics.canonical(name, task)
        if canonical == "top_5_accuracy" and arguments.get("k", 5) != 5:
            canonical = f"top_{int(arguments['k'])}_accuracy"
        names.append(canonical)
    return tuple(dict.fromkeys(names))
