"""Metrics from summed states, against scikit-learn on the union."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as oracle

from whisktrain import metrics
from whisktrain.errors import RequestError


def summed(
    name: str, y: np.ndarray, p: np.ndarray, parts: int, scale: float = 1.0
) -> tuple[float | None, str]:
    place = np.random.default_rng(1).integers(0, parts, len(y))
    states = [metrics.state(name, y[place == k], p[place == k]) for k in range(parts)]
    return metrics.value(name, np.sum(np.asarray(states), axis=0).tolist(), scale)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(1, 4), st.integers(0, 2**16))
def test_classification(classes: int, parts: int, seed: int) -> None:
    draw = np.random.default_rng(seed)
    y = draw.integers(0, classes, 40)
    p = draw.dirichlet(np.ones(classes), 40)
    guess = p.argmax(axis=1)
    average = "binary" if classes == 2 else "macro"
    assert summed("accuracy", y, p, parts)[0] == pytest.approx(oracle.accuracy_score(y, guess))
    if classes > 2:
        expected = oracle.top_k_accuracy_score(y, p, k=2, labels=range(classes))
        assert summed("top_2_accuracy", y, p, parts)[0] == pytest.approx(expected)
    for name, function in (
        ("precision", oracle.precision_score),
        ("recall", oracle.recall_score),
        ("f1", oracle.f1_score),
    ):
        assert summed(name, y, p, parts)[0] == pytest.approx(
            function(y, guess, average=average, zero_division=0)
        )
    if classes == 2:
        value, _ = summed("auc", y, p, parts)
        assert value == pytest.approx(
            oracle.roc_auc_score(y, p[:, 1]), abs=0.02
        )  # 200 thresholds, as Keras has


def test_f1_is_not_the_average_of_f1s() -> None:
    y = np.array([1, 0, 0, 0, 1, 1, 1, 1])
    p = np.eye(2)[[1, 1, 1, 1, 1, 1, 1, 0]]
    halves = [
        metrics.value("f1", metrics.state("f1", y[s], p[s]))[0] for s in (slice(0, 4), slice(4, 8))
    ]
    states = [metrics.state("f1", y[s], p[s]) for s in (slice(0, 4), slice(4, 8))]
    together, _ = metrics.value("f1", np.sum(states, axis=0).tolist())
    assert together == pytest.approx(oracle.f1_score(y, p.argmax(axis=1)))
    assert together != pytest.approx(np.mean(halves))


def test_regression_in_original_units() -> None:
    draw = np.random.default_rng(0)
    mean, scale = 1e6, 250.0
    y, p = draw.normal(size=50), draw.normal(size=50)
    wanted, got = y * scale + mean, p * scale + mean
    assert summed("mae", y, p, 3, scale)[0] == pytest.approx(
        oracle.mean_absolute_error(wanted, got)
    )
    assert summed("mse", y, p, 3, scale)[0] == pytest.approx(oracle.mean_squared_error(wanted, got))
    assert summed("rmse", y, p, 3, scale)[0] == pytest.approx(
        oracle.root_mean_squared_error(wanted, got)
    )
    assert summed("r2", y, p, 3, scale)[0] == pytest.approx(oracle.r2_score(wanted, got))


def test_what_is_undefined_says_why() -> None:
    one = np.ones(4, int)
    p = np.full((4, 2), 0.5)
    assert summed("auc", one, p, 2) == (None, "AUC needs rows of both classes")
    assert summed("precision", one, p, 2)[1] == "no row was predicted as the second class"
    assert summed("recall", one * 0, p, 2)[1] == "no row is of the second class"
    assert summed("f1", one * 0, p, 2)[1] == "no row is or was predicted as the second class"
    assert (
        summed("r2", np.full(4, 0.3), np.zeros(4), 2)[1]
        == "R2 needs at least two different targets"
    )
    assert (
        metrics.value("auc", metrics.state("auc", one, np.full((4, 3), 1 / 3)))[1]
        == "AUC is defined for two classes"
    )
    assert metrics.value("accuracy", [0.0, 0.0])[1] == "there are no rows"


def test_names() -> None:
    assert metrics.canonical("SparseCategoricalAccuracy", "classification") == "accuracy"
    assert metrics.canonical("SparseTopKCategoricalAccuracy", "classification") == "top_5_accuracy"
    assert metrics.canonical("F1Score", "classification") == "f1"
    assert metrics.canonical("AUC", "classification") == "auc"
    assert metrics.canonical("MeanAbsoluteError", "regression") == "mae"
    assert metrics.canonical("R2Score", "regression") == "r2"
    for name, task in (
        ("acuracy", "classification"),
        ("mae", "classification"),
        ("auc", "regression"),
        ("top_0_accuracy", "x"),
    ):
        if task != "x":
            with pytest.raises(RequestError, match="not known"):
                metrics.canonical(name, task)
    with pytest.raises(RequestError):
        metrics.canonical("top_0_accuracy", "classification")


def test_the_task_comes_first_in_what_is_reported_and_each_metric_once() -> None:
    assert metrics.reported(["AUC", "acc", "top_3_accuracy", "auc"], "classification") == (
        "accuracy",
        "auc",
        "top_3_accuracy",
    )
    assert metrics.reported([], "regression") == metrics.BASE["regression"]
    with pytest.raises(RequestError, match="Did you mean 'rmse'"):
        metrics.reported(["rsme"], "regression")
