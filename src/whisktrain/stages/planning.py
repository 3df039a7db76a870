"""From a request to the frozen plan of a run: what is asked for beats a model's compile settings, and those the defaults."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, cast

from whisktrain import metrics
from whisktrain.errors import RequestError
from whisktrain.learning import compiled, losses
from whisktrain.merge import optimizers
from whisktrain.request.sections import DEFAULT_EPOCHS, DEFAULT_LEARNING_RATE, Request, TrainRequest
from whisktrain.rules import batches
from whisktrain.rules.capacity import Limits, plan_lease, plan_slots
from whisktrain.spec import LossConfig, ModelSource, OptimizerConfig, OuterConfig, Spec
from whisktrain.stages.given_model import given_loss

if TYPE_CHECKING:
    from whisktrain.data.dataset import DatasetBody
    from whisktrain.jsontypes import Json, JsonObject

__all__ = ["resolve_spec", "with_learning_rate"]

LARGE_IMAGE = 12
"""From this height and width on, images go to the preset `cnn`; smaller ones, and tables, to `mlp`."""

_PLANNED = frozenset({"name", "optimizer", "outer", "batch", "rounds", "lease"})
"""Settings of `train` that the plan holds in another form than the request."""

_AS_REQUESTED = tuple(
    field.name
    for field in fields(Spec)
    if field.name in TrainRequest.model_fields.keys() - _PLANNED
)
"""Settings of `train` that the plan holds as they are in the request."""


def resolve_spec(
    request: Request,
    dataset: str,
    body: DatasetBody,
    limits: Limits,
    given: Mapping[str, Json] | None = None,
) -> Spec:
    """Make the plan.

    Args:
        request: What was asked for; `model.init` names a version.
        dataset: The data set's id.
        body: The data set's document.
        limits: The platform's limits.
        given: The configuration of a given model (`model.to_json()` as an object), where there is one.

    Raises:
        RequestError: Something does not fit the task, or is not known.
    """
    train, task, targets = request.train, body["task"], body["y"]
    mean, scale = (targets["mean"], targets["scale"]) if targets["kind"] == "value" else (0.0, 1.0)
    as_requested: dict[str, Any] = {name: getattr(train, name) for name in _AS_REQUESTED}
    spec = Spec(
        dataset=dataset,
        name=train.name or _name(body["source"] or ""),
        task=task,
        classes=len(body["classes"] or ()),
        x_shape=tuple(body["x_shape"]),
        shard_rows=tuple(body["shards"]),
        validation_rows=tuple(body["validation"]),
        model=_model(request, body),
        loss=_loss(request, given, task, standardised=(mean, scale) != (0.0, 1.0)),
        metrics=_metrics(request, given, task),
        optimizer=_optimizer(train, given),
        outer=_outer(train),
        batch=0 if train.batch == "full" else train.batch,
        class_weights=_class_weights(train, body),
        target_mean=float(mean),
        target_scale=float(scale),
        lease=plan_lease(limits, train.lease),
        slots=plan_slots(limits, len(body["shards"])),
        **as_requested,
    )
    return replace(
        spec,
        rounds=train.rounds or (train.epochs or DEFAULT_EPOCHS) * batches.rounds_per_epoch(spec),
    )


def _name(source: str) -> str:
    """A model's name from where the data came from: "churn" from "/data/churn.csv"."""
    stem = (
        re.split(r"[/\\?#]", source.rstrip("/"))[-1]
        .removeprefix("upload:")
        .removeprefix("dataset:")
    )
    stem = re.sub(
        r"\.(csv|tsv|json|jsonl|ndjson|parquet|npz|npy|zip|tar|gz|txt)$",
        "",
        stem,
        flags=re.IGNORECASE,
    )
    word = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64]
    return word or "model"


def _model(request: Request, body: DatasetBody) -> ModelSource:
    keys = ModelSource.__annotations__.keys() - {"preset"}
    asked = request.model.model_dump(include=keys, exclude_none=True)
    if asked:
        return cast(ModelSource, asked)
    preset = request.model.preset or "auto"
    if preset == "auto":
        sides = body["x_shape"][:2]
        preset = (
            "cnn" if body.get("image") and len(sides) == 2 and min(sides) >= LARGE_IMAGE else "mlp"
        )
    return {"preset": preset}


def _loss(
    request: Request, given: Mapping[str, Json] | None, task: str, *, standardised: bool
) -> LossConfig:
    loss = given_loss(request.model, given)
    return losses.check(loss or {"name": "auto"}, task, standardised=standardised)


def _metrics(request: Request, given: Mapping[str, Json] | None, task: str) -> tuple[str, ...]:
    if request.model.metrics is not None:
        return tuple(dict.fromkeys(metrics.canonical(name, task) for name in request.model.metrics))
    found = compiled.metrics_of(given, task) if given is not None else None
    return found or metrics.BASE[task]


def _optimizer(train: TrainRequest, given: Mapping[str, Json] | None) -> OptimizerConfig:
    """What is asked for, on top of the compiled optimizer where it is of the same kind, else of Keras' defaults."""
    asked = _asked_optimizer(train)
    base = _base_optimizer(given, asked.get("name"))
    if "learning_rate" in asked and "schedule" not in asked:
        base.pop("schedule", None)
    return optimizers.check({**base, **asked})


def with_learning_rate(optimizer: OptimizerConfig, learning_rate: Json) -> OptimizerConfig:
    """The optimizer's settings with another, constant learning rate; unchanged where that is None.

    Raises:
        RequestError: It is not a positive number.
    """
    if learning_rate is None:
        return optimizer
    changed: JsonObject = {**cast(dict[str, Any], optimizer), "learning_rate": learning_rate}
    changed.pop("schedule", None)
    return optimizers.check(changed)


def _asked_optimizer(train: TrainRequest) -> JsonObject:
    """The request's optimizer, with the learning rate that may stand beside it.

    Raises:
        RequestError: The two learning rates differ.
    """
    asked: JsonObject = train.optimizer.model_dump(exclude_none=True)
    if train.learning_rate is not None:
        if asked.get("learning_rate", train.learning_rate) != train.learning_rate:
            raise RequestError(
                f"Two learning rates were given: {train.learning_rate} and {asked['learning_rate']}; expected one."
            )
        asked["learning_rate"] = train.learning_rate
    return asked


def _base_optimizer(given: Mapping[str, Json] | None, name: Json) -> JsonObject:
    """What holds where nothing is asked for: of the compiled optimizer, unless one of another name is asked for.

    An optimizer that is asked for replaces the compiled one altogether, which then need not even be supported.
    """
    default: JsonObject = {"name": "adam", "learning_rate": DEFAULT_LEARNING_RATE}
    if given is None:
        base = default
    elif name is None:
        base = compiled.optimizer_of(given) or default
    else:
        try:
            base = compiled.optimizer_of(given) or default
        except RequestError:
            base = default
    return base if name in (None, base["name"]) else {"learning_rate": DEFAULT_LEARNING_RATE}


def _outer(train: TrainRequest) -> OuterConfig:
    if train.outer.name == "average":
        return {"name": "average"}
    return cast(OuterConfig, train.outer.model_dump())


def _class_weights(train: TrainRequest, body: DatasetBody) -> tuple[float, ...] | None:
    """Balanced: rows / (classes · rows of the class), as scikit-learn's `compute_class_weight` has it."""
    if train.class_weight != "balanced":
        return None
    targets = body["y"]
    if targets["kind"] == "value":
        raise RequestError(
            "Class weights were asked for, but the target holds values (regression); expected classes.",
            hint="Leave --class-weight out, or set the task to classification.",
        )
    counts = targets["counts"]
    return tuple(sum(counts) / (len(counts) * n) if n else 0.0 for n in counts)
