"""A learner in NumPy: multinomial logistic regression. It stands in for Keras where the rounds are tested."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from whisktrain import metrics, seeds
from whisktrain.spec import Blueprint, Built, Contribution, OpenModel, Rows, Spec, Work
from whisktrain.tensors import Tensors

LAYOUT = {
    "tensors": [
        {"name": "w", "role": "trainable"},
        {"name": "b", "role": "trainable"},
        {"name": "c", "role": "frozen"},
    ]
}


def _softmax(z: Any) -> Any:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def gradient(params: Mapping[str, Any], x: Any, y: Any) -> tuple[dict[str, Any], Any]:
    """Gradient sums of the cross-entropy, and the probabilities."""
    p = _softmax(x @ params["w"] + params["b"])
    d = p.copy()
    d[np.arange(len(y)), y] -= 1
    return {"w": x.T @ d, "b": d.sum(axis=0)}, p


def _sums(spec: Spec, y: Any, p: Any) -> dict[str, Any]:
    loss = float(-np.log(np.maximum(p[np.arange(len(y)), y], 1e-30)).sum()) if len(y) else 0.0
    return {
        "rows": len(y),
        "loss": loss,
        "divisor": float(len(y)),
        "penalty": 0.0,
        "state": {"accuracy": metrics.state("accuracy", y, p)} if len(y) else {},
    }


@dataclass
class NumpyModel:
    spec: Spec
    trouble: Callable[[Work], None]

    def contribute(self, params: Tensors, work: Work, rows: Rows, validation: Rows) -> Contribution:
        self.trouble(work)
        numbers: dict[str, Any] = {
            "rows": 0,
            "divisor": 0.0,
            "train": None,
            "validation": None,
            "training": None,
        }
        tensors: dict[str, Any] = {}
        if work.phase == "train" and self.spec.sync == "gradient":
            (take,) = work.steps
            if len(take):
                tensors, p = gradient(params, rows.x[take], rows.y[take])
                numbers |= {
                    "rows": len(take),
                    "divisor": float(len(take)),
                    "train": _sums(self.spec, rows.y[take], p),
                }
        elif work.phase == "train" and work.steps:
            here: dict[str, Any] = {k: np.array(params[k]) for k in ("w", "b")}
            done = np.concatenate(work.steps)
            for take in work.steps:
                g, _ = gradient(here, rows.x[take], rows.y[take])
                here = {
                    k: here[k] - g[k] / len(take) * np.float32(self.spec.optimizer["learning_rate"])
                    for k in here
                }
            _, p = gradient(params, rows.x[done], rows.y[done])
            tensors = {k: here[k] - params[k] for k in here}
            numbers |= {
                "rows": len(done),
                "divisor": float(len(done)),
                "train": _sums(self.spec, rows.y[done], p),
            }
        if work.validate:
            numbers["validation"] = _sums(
                self.spec, validation.y, gradient(params, validation.x, validation.y)[1]
            )
        if work.score_training:
            numbers["training"] = _sums(self.spec, rows.y, gradient(params, rows.x, rows.y)[1])
        return Contribution(tensors, numbers)


class NumpyLearner:
    """Args: trouble: called with each piece of work; what it raises is the worker's failure. frozen: numbers that stay."""

    def __init__(
        self, trouble: Callable[[Work], None] = lambda work: None, *, frozen: int = 3
    ) -> None:
        self.trouble, self.frozen = trouble, frozen

    def build(self, spec: Spec, files: Mapping[str, bytes]) -> Built:
        draw = seeds.generator(spec.seed, "weights")
        shape = (spec.x_shape[0], spec.classes)
        params: Tensors = {
            "w": draw.normal(0, 0.1, shape).astype(np.float32),
            "b": np.zeros(spec.classes, np.float32),
            "c": np.arange(self.frozen, dtype=np.float32),
        }
        return Built(Blueprint(LAYOUT, b'{"model": "softmax"}'), params)

    def open(self, spec: Spec, blueprint: Blueprint) -> OpenModel:
        assert blueprint.config == b'{"model": "softmax"}'
        return NumpyModel(spec, self.trouble)
