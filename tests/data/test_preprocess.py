"""Stage 1 as a whole: shards, documents, notices, and what cannot be done."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from whisktrain.data.sources.uploads import put_upload
from whisktrain.errors import DataError, NotFound, RequestError
from whisktrain.request import Request, parse
from whisktrain.stages.preprocess import preprocess
from whisktrain.store import Store

Make = Callable[..., Any]


def people(rows: int = 90, classes: str = "uv") -> list[dict[str, Any]]:
    rng = np.random.default_rng(1)
    return [
        {
            "a": float(rng.normal()),
            "b": "xyz"[k % 3],
            "site": f"s{k % 5}",
            "t": classes[k % len(classes)],
        }
        for k in range(rows)
    ]


@pytest.mark.parametrize("source", ["digits", "iris", "wine", "breast_cancer", "diabetes"])
def test_bundled_sets(make: Make, source: str) -> None:
    made = make(source, workers=3)
    report = made.report
    assert (
        sum(report["shards"]) + sum(report["validation"])
        == report["rows"]["used"]
        == report["rows"]["read"]
    )
    assert max(report["shards"]) - min(report["shards"]) <= 1
    assert max(report["validation"]) - min(report["validation"]) <= 1
    assert sum(report["validation"]) == round(0.2 * report["rows"]["used"])
    assert report["task"] == ("regression" if source == "diabetes" else "classification")
    for (rows, held_out), n, v in zip(
        made.shards, report["shards"], report["validation"], strict=True
    ):
        assert rows.x.shape == (n, *report["x_shape"])
        assert held_out.x.shape == (v, *report["x_shape"])
        assert rows.x.dtype == np.float32
        assert rows.y.dtype == (np.float32 if source == "diabetes" else np.int64)
    if report["task"] == "classification":
        assert np.bincount(made.training[1]).tolist() == report["y"]["counts"]
    assert made.body["features"] == report["features"][: report["feature_count"]]


def test_the_payload_is_small_json_and_nothing_else(make: Make) -> None:
    made = make("iris")
    assert set(made.payload) == {"request", "dataset", "data"}
    assert made.payload["request"] == {
        "data": {"source": "iris"},
        "train": {"seed": 0, "workers": 2},
    }
    parse(Request, made.payload["request"])
    json.dumps(made.payload, allow_nan=False)


def test_repeating_a_request_finds_what_it_made(make: Make, store: Store) -> None:
    first = make("iris")
    before = store.library.changes("0").position
    again = make("iris")
    assert again.payload == first.payload
    assert store.library.changes("0").position == before
    assert make("iris", seed=1).id != first.id
    assert make("iris", workers=3).id != first.id
    assert make("iris", scale="minmax").id != first.id


def test_a_half_written_data_set_is_completed(make: Make, store: Store) -> None:
    first = make("iris")
    bytes_of = {
        k: store.library.get(f"shard:{first.id}:{k}", attachment=True).attachment for k in range(2)
    }  # type: ignore[union-attr]
    store.library.delete(f"dataset:{first.id}")
    store.library.delete(f"shard:{first.id}:1")
    again = make("iris")
    assert again.payload == first.payload
    assert again.fitted_bytes == first.fitted_bytes
    for k, data in bytes_of.items():
        assert store.library.get(f"shard:{first.id}:{k}", attachment=True).attachment == data  # type: ignore[union-attr]


def test_no_validation(make: Make) -> None:
    made = make("iris", validation=0)
    assert made.report["validation"] == [0, 0]
    assert made.validation[0].shape == (0, 4)


def test_shards_by_a_column(make: Make) -> None:
    rows = people()
    made = make(rows, target="t", shards={"by": "site"}, workers=5, validation=0)
    site = [f"site=s{k}" for k in range(5)]
    at = [made.body["features"].index(name) for name in site]
    for shard, _ in made.shards:
        assert len({tuple(row) for row in shard.x[:, at]}) == 1
    skewed = [{**row, "site": f"s{int(row['t'] == 'v')}"} for row in rows]
    assert "differ much" in make(skewed, target="t", shards={"by": "site"}).said()
    with pytest.raises(DataError, match="only 5 groups of rows"):
        make(rows, target="t", shards={"by": "site"}, workers=6)
    reduced = make(rows, target="t", shards={"by": "site"}, workers=6, auto=True)
    assert len(reduced.report["shards"]) == 5
    assert "5 workers instead of 6" in reduced.said()
    with pytest.raises(DataError, match="Did you mean 'site'"):
        make(rows, target="t", shards={"by": "sites"})
    assert len(make(rows, target="t", shards={"by": "site"}, drop=["site"]).report["shards"]) == 2


def test_contiguous_shards(make: Make) -> None:
    rows = sorted(people(), key=lambda r: r["t"])
    made = make(rows, target="t", shards="contiguous", validation=0)
    assert set(made.shards[0][0].y.tolist()) == {0}
    assert "differ much" in made.said()
    values = make(
        [{"a": k % 7 + 0.5, "t": k * 1.5} for k in range(60)],
        target="t",
        shards="contiguous",
        validation=0,
    )
    assert values.shards[0][0].y.max() < values.shards[1][0].y.min()
    assert "differ much" in values.said()


def test_an_earlier_data_set_is_used_again(make: Make, store: Store) -> None:
    first = make("iris", workers=2)
    assert make(f"dataset:{first.id}", workers=2).id == first.id
    spread = make(f"dataset:{first.id}", workers=5)
    assert spread.fitted_bytes == first.fitted_bytes
    direct = make("iris", workers=5)
    for one, other in zip(spread.shards, direct.shards, strict=True):
        assert one[0].x.tobytes() == other[0].x.tobytes()
        assert one[1].y.tobytes() == other[1].y.tobytes()
    assert make(f"dataset:{first.id}", workers=5).id == spread.id
    assert make(f"dataset:{first.id}", workers=2, shards="contiguous").id != first.id
    assert make(f"dataset:{first.id}", workers=2, validation=0.2, scale="standard").id == first.id
    with pytest.raises(DataError, match=r"data\.scale was 'minmax'"):
        make(f"dataset:{first.id}", scale="minmax")
    with pytest.raises(DataError, match="by a column"):
        make(f"dataset:{first.id}", shards={"by": "x"})
    with pytest.raises(NotFound):
        make("dataset:nothing")
    values = make("diabetes", workers=2)
    assert make(f"dataset:{values.id}", workers=3).report["y"] == values.report["y"]


def test_more_shards_than_rows(make: Make) -> None:
    rows = people(6)
    with pytest.raises(
        DataError, match="9 workers were asked for, but there are only 5 training rows"
    ):
        make(rows, target="t", workers=9)
    made = make(rows, target="t", workers=9, auto=True)
    assert made.report["shards"] == [1] * 5
    assert "5 workers instead of 9" in made.said()


def test_columns_that_hold_nothing(make: Make) -> None:
    rows = [{**row, "empty": None, "same": 1, "gone": "NA", "word": "w"} for row in people()]
    made = make(rows, target="t")
    assert [made.column(n)["role"] for n in ("empty", "same", "gone", "word")] == ["dropped"] * 4
    assert made.column("same")["done"] == "left out: constant in the training rows"
    assert (made.column("empty")["type"], made.column("empty")["missing"]) == ("empty", 90)
    assert made.body["x_shape"] == [1 + 3 + 5]


@pytest.mark.parametrize(
    ("rows", "options", "code"),
    [
        ([], {}, "no_rows"),
        ([{"t": "u"}, {"t": "v"}], {"target": "t"}, "no_features"),
        ([{"a": 1, "t": k % 2} for k in range(30)], {"target": "t"}, "no_features"),
        ([{"a": k, "t": "u"} for k in range(30)], {"target": "t"}, "one_class"),
        ([{"a": k, "t": None} for k in range(30)], {"target": "t"}, "no_target"),
        (people(), {"target": "nothing"}, "no_target"),
        (people(), {"drop": ["nothing"]}, "no_column"),
        (people(), {"types": {"nothing": "numeric"}}, "no_column"),
        (people(), {"types": {"b": "numeric"}}, "bad_column_type"),
        (people(), {"target": "t", "drop": ["t"]}, "no_target"),
        ([{"a": 1e200 * k, "t": k % 2} for k in range(30)], {"target": "t"}, "value_too_large"),
        (
            [{"a": 1e100 * k, "b": k % 3, "t": k % 2} for k in range(30)],
            {"target": "t", "scale": "none"},
            "value_too_large",
        ),
    ],
)
def test_what_cannot_be_done_is_said(
    make: Make, rows: list[dict[str, Any]], options: dict[str, Any], code: str
) -> None:
    with pytest.raises(DataError) as caught:
        make(rows, **options)
    assert caught.value.code == code
    assert isinstance(caught.value, RequestError)


def test_tiny_tables(make: Make) -> None:
    made = make([{"x": k, "y": 3 * k + 0.5} for k in range(12)])
    assert made.report["target"] == "y"
    assert "is used: there is no other column" in made.said()
    two = make([{"x": 1.5, "t": "u"}, {"x": 2.5, "t": "v"}], target="t", workers=1)
    assert (two.report["shards"], two.report["validation"]) == ([2], [0])
    assert "single row" in two.said()


def test_rows_without_a_target_are_counted(make: Make) -> None:
    rows = [{**row, "t": None if k % 10 == 0 else row["t"]} for k, row in enumerate(people())]
    made = make(rows, target="t")
    assert made.report["rows"] == {"read": 90, "used": 81, "dropped": 9}
    assert "9 row(s) without a target" in made.said()


def test_columns_can_be_dropped_kept_and_typed(make: Make) -> None:
    rows = [
        {**row, "id": 7919 * k % 10_007, "code": k % 4, "note": f"note {k}"}
        for k, row in enumerate(people())
    ]
    made = make(rows, target="t")
    assert [made.column(n)["role"] for n in ("id", "note", "code")] == [
        "dropped",
        "dropped",
        "feature",
    ]
    kept = make(rows, target="t", keep=["id"], types={"code": "categorical"}, drop=["site"])
    assert kept.column("id")["type"] == "numeric"
    assert "code=3" in kept.body["features"]
    assert kept.column("site")["done"] == "dropped as asked"
    assert not any(f.startswith("site") for f in kept.body["features"])


def test_types_are_decided_over_the_whole_column(make: Make) -> None:
    """Leading zeros in the last rows alone make codes of all of them, in every shard."""
    rows = [
        {"zip": f"{k % 8 + 10}" if k < 80 else f"0{k % 3}", "t": "uv"[k % 2]} for k in range(90)
    ]
    made = make(rows, target="t", shards="contiguous", workers=3)
    assert made.column("zip")["type"] == "categorical"
    assert {s[0].x.shape[1:] for s in made.shards} == {tuple(made.report["x_shape"])}


def test_the_report_stays_small_for_wide_tables(make: Make) -> None:
    rng = np.random.default_rng(0)
    long = "n" * 300
    rows = [
        {**{f"{long}{c}": float(rng.normal()) for c in range(600)}, "t": "uv"[k % 2]}
        for k in range(12)
    ]
    made = make(rows, target="t", workers=1)
    assert len(json.dumps(made.payload)) < 100_000
    assert (made.report["feature_count"], made.report["column_count"]) == (600, 601)
    assert len(made.body["columns"]) == 601


def test_class_names_are_the_users(make: Make) -> None:
    names = ["error", "", "_id", "__ow_x", "type", "größe", "a.b", "1"]
    rows = [{"a": k % 13 + 0.5, "t": names[k % len(names)] or "NaN?"} for k in range(160)]
    made = make(rows, target="t")
    assert made.report["classes"] == sorted({n or "NaN?" for n in names})
    assert set(made.body) == set(make("iris").body)


def test_heavy_libraries_stay_out() -> None:
    """Workers read shards without pandas and scikit-learn, and stage 1 needs no TensorFlow."""
    script = """
import sys, tempfile
import whisktrain.data.shards.storage, whisktrain.data.sources.uploads, whisktrain.stages.preprocess
heavy = {"pandas", "sklearn", "pyarrow", "PIL", "skops", "keras", "tensorflow", "requests"}
print(sorted(heavy & set(sys.modules)))
from whisktrain.request import Request, parse
from whisktrain.store import open_store
store = open_store("sqlite:" + tempfile.mkdtemp())
whisktrain.stages.preprocess.preprocess(parse(Request, {"data": "iris"}), store, workers=2)
print(sorted({"keras", "tensorflow"} & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["[]", "[]"]


def test_two_requests_at_once_write_the_same(store: Store) -> None:
    from concurrent.futures import ThreadPoolExecutor

    request = parse(Request, {"data": "wine", "train": {"workers": 4}})
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: preprocess(request, store, workers=4), range(4)))
    assert all(payload == found[0] for payload in found)


def test_features_must_fit_into_memory(
    make: Make, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = ["a,c,t", *[f"{k % 17}.5,{k % 60},{k % 2}" for k in range(9000)]]
    ref = put_upload(store, "\n".join(lines).encode(), "t.csv")
    monkeypatch.setenv("WHISKTRAIN_MAX_DATA_MB", "1")
    assert make(ref, target="t").report["x_shape"] == [2]
    with pytest.raises(DataError, match="9000 rows of"):
        make(ref, target="t", types={"c": "categorical"})


def test_a_hint_that_is_printed_works(make: Callable[..., Any]) -> None:
    rng = np.random.default_rng(0)
    words = ["the", "quick", "brown", "fox", "jumps", "over", "a", "lazy", "dog", "again"]
    rows = [
        {
            "counts": k,
            "customer_id": int(rng.integers(10**6)),
            "unique": f"u{k}",
            "code_id": f"c{k % 25}",
            "essay": " ".join(rng.choice(words, 8)),
            "said": f"one of {k % 30} things that people say.",
            "nested": [k],
            "empty": None,
            "same": 1,
            "x": k % 7 + 0.5,
            "t": k % 2,
        }
        for k in range(300)
    ]
    made = make(rows, target="t")
    out = [column for column in made.report["columns"] if column["role"] == "dropped"]
    keepable = {column["name"] for column in out if column["keepable"]}
    assert {"counts", "customer_id", "said"} <= keepable
    assert keepable & {"unique", "essay", "nested", "empty", "same"} == set()
    for column in out:
        name = column["name"]
        kept = make(rows, target="t", keep=[name])
        assert (kept.column(name)["role"] == "feature") == (name in keepable), name
        in_vain = f"data.keep names {name!r}, but it is left out" in kept.said()
        assert in_vain == (name not in keepable)
        assert (
            f"'{name}'" in made.said() and "data.keep keeps" in made.said()
        ) or name not in keepable


def test_a_type_for_a_column_without_values_is_answered(make: Callable[..., Any]) -> None:
    rows = [{"e": None, "a": k % 7 + 0.5, "t": k % 2} for k in range(40)]
    made = make(rows, target="t", types={"e": "numeric"})
    assert "data.types names 'e', but it is left out: no values." in made.said()


def test_a_target_that_is_called_categorical_has_classes(make: Callable[..., Any]) -> None:
    rows = [{"a": k % 7 + 0.5, "zip": 10_000 + k % 30} for k in range(120)]
    assert make(rows, target="zip").report["task"] == "regression"
    made = make(rows, target="zip", types={"zip": "categorical"})
    assert (made.report["task"], made.report["class_count"]) == ("classification", 30)
    assert made.report["reason"] == "data.types calls it categorical"


@pytest.mark.parametrize(
    ("loss", "scale", "task", "standardised"),
    [
        ("mse", "standard", "regression", True),
        ("mse", "none", "regression", False),
        ("mape", "standard", "regression", False),
        ("binary_crossentropy", "standard", "classification", False),
    ],
)
def test_a_given_model_decides_the_task_of_a_table(
    store: Store, loss: str, scale: str, task: str, standardised: bool
) -> None:
    """Whatever the target looks like: a few whole numbers here, which are classes by themselves."""
    arguments = {"name": "d", "units": 1, "activation": "linear"}
    layer = {"module": "keras.layers", "class_name": "Dense", "config": arguments}
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": [layer]}}
    records = [{"x": i * 0.5, "y": [1, 3, 5, 7][i % 4]} for i in range(40)]
    request = {
        "data": {"records": records, "target": "y", "scale": scale},
        "model": {"config": config, "loss": loss},
    }
    made = preprocess(parse(Request, request), store, workers=1)["data"]
    assert made["task"] == task
    assert "the model's loss is" in made["reason"]
    found = made["y"]
    assert (found["kind"] == "value" and found["scale"] != 1.0) == standardised
    without = {**request, "model": {}}
    assert preprocess(parse(Request, without), store, workers=1)["data"]["task"] == "classification"
