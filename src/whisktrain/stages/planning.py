"""From a request to the frozen plan of a run: what is asked for beats a model's compile settings, and those the defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

from whisktrain import metrics
from whisktrain.errors import RequestError
from whisktrain.learning import compiled, losses
from whisktrain.merge import optimizers
from whisktrain.request import OuterRequest, Request
from whisktrain.rules import batches
from whisktrain.rules.capacity import Limits, plan_lease, plan_slots
from whisktrain.spec import LossConfig, ModelSource, OptimizerConfig, OuterConfig, Spec

__all__ = ["resolve_spec"]

EPOCHS = 20
LEARNING_RATE = 0.001
LARGE_IMAGE = 12
"""From this height and width on, images go to the preset `cnn`; smaller ones, and tables, to `mlp`."""


def resolve_spec(
    request: Request, dataset: str, body: Mapping[str, Any], limits: Limits, given: Mapping[str, Any] | None = None
) -> Spec:
    """Make the plan.

    Args:
        request: What was asked for; `model.init` names a version.
        dataset: The data set's id.
        body: The data set's document.
        limits: What the platform says.
        given: The configuration of a given model (`model.to_json()` as an object), where there is one.

    Raises:
        RequestError: Something does not fit the task, or is not known.
    """
    train, task = request.train, body["task"]
    regression = task == "regression"
    y = body["y"]
    mean, scale = (float(y["mean"]), float(y["scale"])) if regression else (0.0, 1.0)
    spec = Spec(
        dataset=dataset,
        name=train.name or _name(str(body.get("source") or "")),
        task=task,
        classes=0 if regression else len(body["classes"]),
        x_shape=tuple(body["x_shape"]),
        shard_rows=tuple(body["shards"]),
        validation_rows=tuple(body["validation"]),
        model=_model(request, body),
        loss=_loss(request, given, task, standardised=(mean, scale) != (0.0, 1.0)),
        metrics=_metrics(request, given, task),
        optimizer=_optimizer(request, given),
        sync=train.sync,
        outer=_outer(train.outer),
        batch=0 if train.batch == "full" else train.batch,
        local_steps=train.local_steps,
        seed=train.seed,
        class_weights=_class_weights(train.class_weight, body),
        target_mean=mean,
        target_scale=scale,
        patience=train.patience,
        lease=plan_lease(limits, train.lease),
        slots=plan_slots(limits, len(body["shards"])),
    )
    return replace(spec, rounds=train.rounds or (train.epochs or EPOCHS) * batches.rounds_per_epoch(spec))


def _name(source: str) -> str:
    """A model's name from where the data came from: "churn" from "/data/churn.csv"."""
    stem = re.split(r"[/\\?#]", source.rstrip("/"))[-1].removeprefix("upload:").removeprefix("dataset:")
    stem = re.sub(r"\.(csv|tsv|json|jsonl|ndjson|parquet|npz|npy|zip|tar|gz|txt)$", "", stem, flags=re.IGNORECASE)
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64]
    return word or "model"


def _model(request: Request, body: Mapping[str, Any]) -> ModelSource:
    asked = {k: v for k in ("config", "file", "factory", "init") if (v := getattr(request.model, k)) is not None}
    if asked:
        return cast(ModelSource, asked)
    preset = request.model.preset or "auto"
    if preset == "auto":
        sides = list(body["x_shape"])[:2]
        preset = "cnn" if body.get("image") and len(sides) == 2 and min(sides) >= LARGE_IMAGE else "mlp"
    return {"preset": preset}


def _loss(request: Request, given: Mapping[str, Any] | None, task: str, *, standardised: bool) -> LossConfig:
    asked = request.model.loss
    loss: dict[str, Any] | None = None
    if isinstance(asked, str):
        loss = {"name": asked}
    elif asked is not None:
        # Keras writes {"class_name", "config"}; plain options beside a name are the short form.
        options = {k: v for k, v in dict(asked.get("config", asked)).items() if k not in ("class_name", "fn", "dtype")}
        loss = {**options, "name": str(asked.get("class_name") or asked.get("name") or "auto")}
    elif given is not None:
        loss = compiled.loss_of(given)
    return losses.check(loss or {"name": "auto"}, task, standardised=standardised)


def _metrics(request: Request, given: Mapping[str, Any] | None, task: str) -> tuple[str, ...]:
    if request.model.metrics is not None:
        return tuple(dict.fromkeys(metrics.canonical(name, task) for name in request.model.metrics))
    found = compiled.metrics_of(given, task) if given is not None else None
    return found or metrics.BASE[task]


def _optimizer(request: Request, given: Mapping[str, Any] | None) -> OptimizerConfig:
    asked = {k: v for k, v in request.train.optimizer.model_dump().items() if v is not None}
    if request.train.learning_rate is not None:
        if asked.get("learning_rate", request.train.learning_rate) != request.train.learning_rate:
            raise RequestError(
                f"Two learning rates were given: {request.train.learning_rate} and {asked['learning_rate']}; expected one."
            )
        asked["learning_rate"] = request.train.learning_rate
    # An optimizer that is asked for replaces the compiled one altogether, which then need not even be supported.
    own = None
    if given is not None and "name" not in asked:
        own = compiled.optimizer_of(given)
    elif given is not None:
        own = _compiled_alike(given, str(asked["name"]))
    base = own or {"name": "adam", "learning_rate": LEARNING_RATE}
    if "name" in asked and asked["name"] != base["name"]:
        base = {"learning_rate": LEARNING_RATE}
    if "learning_rate" in asked and "schedule" not in asked:
        base = {k: v for k, v in base.items() if k != "schedule"}
    return optimizers.check({**base, **asked})


def _outer(asked: OuterRequest) -> OuterConfig:
    if asked.name == "average":
        return {"name": "average"}
    return {"name": asked.name, "learning_rate": asked.learning_rate, "momentum": asked.momentum}


def _compiled_alike(given: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """The compiled optimizer where it is of the kind that is asked for."""
    try:
        own = compiled.optimizer_of(given)
    except RequestError:
        return None
    return own if own is not None and own["name"] == name else None


def _class_weights(asked: str, body: Mapping[str, Any]) -> tuple[float, ...] | None:
    """Balanced: rows / (classes · rows of the class), as scikit-learn's `compute_class_weight` has it."""
    if asked != "balanced":
        return None
    if body["task"] == "regression":
        raise RequestError(
            "Class weights were asked for, but the target holds values (regression); expected classes.",
            hint="Leave --class-weight out, or set the task to classification.",
        )
    counts = [int(n) for n in body["y"]["counts"]]
    return tuple(sum(counts) / (len(counts) * n) if n else 0.0 for n in counts)
