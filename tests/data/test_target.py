"""The target: which column, classes or values, original types."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whisktrain.data.columns.target import ModelTarget, read_target
from whisktrain.data.columns.target_column import find_target
from whisktrain.errors import DataError


def column(*cells: Any, text: bool = False) -> pd.Series[Any]:
    return pd.Series(list(cells), dtype="str" if text else object)


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        (["a", "b", "c"], None, "c"),
        (["a", "Target", "c"], None, "Target"),
        (["label", "target", "c"], None, "target"),
        (["Species", "b"], None, "Species"),
        (["a", "y", "b"], None, "y"),
        (["x", "y", "z"], None, "z"),
        (["a", "b"], "a", "a"),
        (["Alpha", "b"], "alpha", "Alpha"),
        (["error", "_id", "__ow_x", "type", ""], "", ""),
    ],
)
def test_which_column(names: list[str], wanted: str | None, found: str) -> None:
    assert find_target(names, wanted, names)[0] == found


def test_a_target_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(DataError, match="Did you mean 'churned'"):
        find_target(["age", "churned"], "churnd", [])


CLASSES: list[tuple[pd.Series[Any], tuple[Any, ...]]] = [
    (column("3", "1", "2", "1", text=True), (1, 2, 3)),
    (column("b", "a", "b", text=True), ("a", "b")),
    (column("yes", "no", "yes", text=True), ("no", "yes")),
    (column("TRUE", "FALSE", "NA", text=True), (False, True)),
    (column("1.0", "2.0", "1.0", text=True), (1.0, 2.0)),
    (column("01", "02", "01", text=True), ("01", "02")),
    (column("10", "9", "", "10", text=True), (9, 10)),
    (column("None", "Mild", "None", text=True), ("Mild", "None")),
    (column("1", "?", "2", text=True), (1, 2)),
    (column(1, 2, 1, None), (1, 2)),
    (column(True, False, None), (False, True)),
    (column(1.0, 2.0, 1.0), (1.0, 2.0)),
    (column(2**60, 2**60 + 1, 2**60), (2**60, 2**60 + 1)),
    (
        column("9007199254740993", "9007199254740992", "9007199254740993", text=True),
        (2**53, 2**53 + 1),
    ),
    (column(True, 1, "1", "b", 1, True), (True, 1, "1", "b")),
    (column("error", "", "_id", "error", "_id"), ("_id", "error")),
]


@pytest.mark.parametrize(("cells", "classes"), CLASSES, ids=[str(c) for _, c in CLASSES])
def test_classes_keep_their_types_and_order(
    cells: pd.Series[Any], classes: tuple[Any, ...]
) -> None:
    target = read_target(cells, "t")
    assert target.task == "classification"
    assert target.classes == classes
    assert [type(label) for label in target.classes or ()] == [type(label) for label in classes]
    assert sorted(set(target.y.tolist())) == list(range(len(classes)))
    shuffled = read_target(cells.iloc[::-1].reset_index(drop=True), "t")
    assert shuffled.classes == classes


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (list(range(20)) * 2, "classification"),
        (list(range(21)) * 2, "regression"),
        ([float(k) for k in range(20)] * 2, "classification"),
        ([0.5, 1.5, 2.0], "regression"),
        (["1.5", "2.5"], "regression"),
        (["$1,200.50", "$80"], "regression"),
    ],
)
def test_classes_or_values(cells: list[Any], task: str) -> None:
    assert read_target(column(*cells), "t").task == task


def test_a_target_far_from_the_training_rows_is_named(make: Callable[..., Any]) -> None:
    rows = [{"a": k % 3 + 0.5, "t": 1e38 if k == 7 else (k % 4) * 1e-3} for k in range(40)]
    with pytest.raises(DataError, match="row 8 is too far"):
        for seed in range(50):  # until the row validates, and so did not teach the scale
            make(rows, target="t", task="regression", seed=seed)


def test_the_task_can_be_chosen() -> None:
    assert read_target(column(1, 2, 3), "t", task="regression").y.tolist() == [1.0, 2.0, 3.0]
    assert read_target(column(*range(30), *range(30)), "t", task="classification").classes == tuple(
        range(30)
    )
    with pytest.raises(DataError, match="as numeric"):
        read_target(column("a", "b"), "t", task="regression")


def test_rows_without_a_target_are_left_out() -> None:
    target = read_target(column(1.5, None, 2.5, float("nan"), "NA", 7.0), "t")
    assert target.used.tolist() == [True, False, True, False, False, True]
    assert target.y.tolist() == [1.5, 2.5, 7.0]


@pytest.mark.parametrize(
    "cells", [[1.5, float("inf"), 2.5], ["1.5", "-inf", "2.5"], [1.5, "Infinity", 2]]
)
def test_infinite_targets_name_their_rows(cells: list[Any]) -> None:
    with pytest.raises(DataError, match=r"infinite in row\(s\) 2;") as caught:
        read_target(column(*cells), "t")
    assert caught.value.code == "infinite_target"


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ([None, float("nan"), ""], "no_target"),
        (["a", "a", None], "one_class"),
        ([1.5, 1.5], "one_class"),
        ([[3], [4], [3]], "bad_target"),
        ([{"a": 1}, "x", 3], "bad_target"),
        (["a", "b", float("inf")], "infinite_target"),
        ([f"name {k}" for k in range(40)], "too_many_classes"),
        ([*[k * 1.5 for k in range(40)], "broken"], "bad_target"),
    ],
)
def test_targets_that_cannot_be(cells: list[Any], code: str) -> None:
    with pytest.raises(DataError) as caught:
        read_target(column(*cells), "t")
    assert caught.value.code == code


def test_regression_is_standardised_on_training_rows(make: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(50, 7, 200)
    made = make(
        [{"a": float(v) * 2 + k % 3, "t": float(v)} for k, v in enumerate(values)],
        target="t",
        workers=3,
    )
    _, y = made.training
    assert made.body["y"]["kind"] == "value"
    assert abs(float(y.mean())) < 1e-6
    assert float(y.std()) == pytest.approx(1, abs=1e-5)
    back = (
        np.concatenate([y, made.validation[1]]).astype(float) * made.body["y"]["scale"]
        + made.body["y"]["mean"]
    )
    assert np.allclose(np.sort(back), np.sort(values), rtol=1e-6)


def test_a_model_decides_where_the_caller_does_not() -> None:
    cells = column(1, 3, 5, 7)
    values = ModelTarget("regression", "the model's loss is mse")
    found = read_target(cells, "t", model=values)
    assert (found.task, found.reason) == ("regression", "the model's loss is mse")
    assert read_target(cells, "t", task="classification", model=values).task == "classification"
    single = ModelTarget(most_classes=2)
    assert read_target(cells, "t", model=single).task == "regression"
    assert read_target(column(0, 1, 1), "t", model=single).task == "classification"
    assert read_target(column("a", "b", "c"), "t", model=single).task == "classification"


def test_dates_are_classes_by_their_text() -> None:
    days = [datetime.date(2024, 1, 1 + k % 2) for k in range(8)]
    assert read_target(column(*days), "t").classes == ("2024-01-01", "2024-01-02")
