"""Features against scikit-learn and pandas, computed independently; deciding equals training, bit by bit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from whisktrain.data.preprocessing.categories import choose_categories, most_features
from whisktrain.data.preprocessing.preprocessor import load
from whisktrain.data.preprocessing.row_reader import RowReader
from whisktrain.data.shards.storage import read_numbered_rows
from whisktrain.data.sources.uploads import put_upload
from whisktrain.errors import Damaged, DataError
from whisktrain.store import Store


def table(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "age": rng.integers(18, 90, rows).astype(float),
            "income": np.round(rng.lognormal(8, 1, rows), 2),
            "city": rng.choice(["Rome", "Oslo", "Lima"], rows, p=[0.5, 0.3, 0.2]),
            "member": rng.choice(["yes", "no"], rows),
            "since": pd.Timestamp("2020-01-01")
            + pd.to_timedelta(rng.integers(0, 900, rows), unit="D"),
            "t": rng.choice(["good", "bad"], rows),
        }
    )
    frame.loc[rng.random(rows) < 0.1, "income"] = np.nan
    frame.loc[rng.random(rows) < 0.02, "age"] = np.nan
    frame.loc[rng.random(rows) < 0.1, "city"] = None
    frame.loc[1, "city"] = "Bern"
    return frame


def numbers_of(made: Any) -> tuple[np.ndarray, np.ndarray]:
    parts = [read_numbered_rows(made.store, made.id, k) for k in range(len(made.shards))]
    return np.concatenate([p[0][1] for p in parts]), np.concatenate([p[1][1] for p in parts])


def oracle(frame: pd.DataFrame, training: np.ndarray, rows: np.ndarray, scaler: Any) -> np.ndarray:
    """The documented features by scikit-learn and pandas alone."""
    days = (frame["since"] - pd.Timestamp("1970-01-01")) / pd.Timedelta(days=1)
    dates = pd.DataFrame(
        {
            "d": days,
            "m": frame["since"].dt.month,
            "dd": frame["since"].dt.day,
            "w": frame["since"].dt.day_of_week,
        }
    )
    numbers = pd.concat([frame[["age", "income"]], dates], axis=1).to_numpy(float)
    imputer = SimpleImputer(strategy="median").fit(numbers[training])
    if scaler is not None:
        scaler.fit(imputer.transform(numbers[training]))
    filled = imputer.transform(numbers[rows])
    block = filled if scaler is None else scaler.transform(filled)
    flags = np.column_stack(
        [frame["income"].isna().to_numpy()[rows], (frame["member"] == "yes").to_numpy()[rows]]
    ).astype(float)
    city = frame[["city"]].astype(object).where(frame[["city"]].notna(), "~missing")
    encoder = OneHotEncoder(
        min_frequency=max(2, min(10, len(training) // 100)), handle_unknown="infrequent_if_exist"
    )
    encoder.fit(city.iloc[training].to_numpy())
    return np.hstack([block, flags, encoder.transform(city.iloc[rows].to_numpy()).toarray()])


@pytest.mark.parametrize(
    ("scale", "scaler"),
    [("standard", StandardScaler()), ("minmax", MinMaxScaler()), ("none", None)],
)
def test_features_equal_scikit_learns(
    make: Callable[..., Any], store: Store, scale: str, scaler: Any
) -> None:
    frame = table()
    made = make(
        put_upload(store, frame.to_csv(index=False).encode(), "t.csv"),
        target="t",
        scale=scale,
        workers=3,
    )
    training, held_out = numbers_of(made)
    assert sorted([*training, *held_out]) == list(range(len(frame)))
    for rows, found in ((training, made.training[0]), (held_out, made.validation[0])):
        assert np.allclose(found, oracle(frame, training, rows, scaler), rtol=1e-6, atol=1e-6)
    assert made.body["features"] == [
        "age",
        "income",
        "since: days",
        "since: month",
        "since: day",
        "since: weekday",
        "income is missing",
        "member",
        "city=Lima",
        "city=Oslo",
        "city=Rome",
        "city=(missing)",
        "city=(other)",
    ]


def test_only_training_rows_teach(make: Callable[..., Any]) -> None:
    rows = [{"a": float(k % 7), "c": "xy"[k % 2], "t": k % 2} for k in range(100)]
    first = make(rows, target="t")
    _, held_out = numbers_of(first)
    changed = [dict(row) for row in rows]
    for at in held_out:
        changed[at] |= {"a": 1e6 + at, "c": f"only here {at}"}
    second = make(changed, target="t")
    assert np.array_equal(first.training[0], second.training[0])
    assert json.loads(json.dumps(first.body["features"])) == second.body["features"]


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    records = frame.drop(columns="t").to_dict("records")
    return [
        {
            k: None if pd.isna(v) else v.isoformat() if isinstance(v, pd.Timestamp) else v
            for k, v in r.items()
        }
        for r in records
    ]


def test_deciding_equals_training_however_rows_are_sent(
    make: Callable[..., Any], store: Store
) -> None:
    frame = table()
    made = make(put_upload(store, frame.to_csv(index=False).encode(), "t.csv"), target="t")
    fitted = load(made.fitted_bytes)
    training, _ = numbers_of(made)
    expected = made.training[0]
    records = [json_rows(frame)[at] for at in training]
    backwards = [dict(reversed(list(r.items()))) for r in records]
    arrays = [[r[name] for name in fitted.columns] for r in records]
    text = [{k: "" if v is None else str(v) for k, v in r.items()} for r in records]
    for rows in (
        records,
        backwards,
        arrays,
        text,
        frame.iloc[training],
        frame.drop(columns="t").iloc[training],
    ):
        assert fitted.transform(rows).x.tobytes() == expected.tobytes()
    for at in range(0, len(records), 17):
        for row in ([records[at]], [arrays[at]], [text[at]], records[at : at + 2]):
            assert fitted.transform(row).x[0].tobytes() == expected[at].tobytes()


CELL = st.one_of(
    st.none(),
    st.floats(
        -(2.0**126), 2.0**126, width=32
    ),  # scaled, the largest float32 would overflow, which is an error
    st.integers(-(10**6), 10**6),
    st.integers(-1000, 1000).map(str),
    st.sampled_from(["", "NA", "?"]),
)
ROW = st.fixed_dictionaries(
    {
        "n": CELL,
        "c": st.sampled_from(["a", "b", "new", None, 1, 2.5]),
        "b": st.sampled_from([True, "no", 1, None]),
    }
)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from whisktrain.request import Request, parse
    from whisktrain.stages.preprocess import preprocess
    from whisktrain.store import open_store

    store = open_store(f"sqlite:{tmp_path_factory.mktemp('small')}")
    rng = np.random.default_rng(0)
    rows = [
        {
            "n": None if k % 9 == 0 else float(rng.normal()),
            "c": "abc"[k % 3],
            "b": bool(k % 2),
            "t": "uv"[k % 2],
        }
        for k in range(60)
    ]
    made = preprocess(parse(Request, {"data": {"records": rows, "target": "t"}}), store, workers=1)
    document = store.library.get(f"dataset:{made['dataset']}", attachment=True)
    assert document is not None
    yield load(document.attachment or b"")
    store.close()


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(ROW, min_size=1, max_size=6))
def test_a_row_gives_the_same_alone_and_in_any_batch(
    small: Any, rows: list[dict[str, Any]]
) -> None:
    batch = small.transform(rows).x
    assert np.isfinite(batch).all()
    for at, row in enumerate(rows):
        assert small.transform([row]).x.tobytes() == batch[at : at + 1].tobytes()


def test_columns_that_lack_or_are_too_many(small: Any) -> None:
    with pytest.raises(DataError, match=r"Row 2 lacks the column\(s\) 'c', 'b'") as caught:
        small.transform([{"n": 1, "c": "a", "b": True}, {"n": 1}])
    assert caught.value.code == "missing_columns"
    filled = small.transform([{"n": 1.0}], missing="fill")
    assert "'c', 'b'" in filled.notices[0]
    assert filled.x.tobytes() == small.transform([{"n": 1.0, "c": None, "b": None}]).x.tobytes()
    extra = small.transform([{"n": 1, "c": "a", "b": True, "zzz": 1, "t": "u"}])
    assert extra.notices == ["Ignored column(s) that training did not have: 'zzz'."]
    with pytest.raises(DataError, match="4 values; expected 3"):
        small.transform([[1, "a", True, 5]])
    for rows in ([], 5, "abc", [1, 2], [{"n": 1, "c": "a", "b": True}, [1, "a", True]]):
        with pytest.raises(DataError):
            small.transform(rows)


def test_columns_without_names_are_read_by_their_place(small: Any) -> None:
    import pandas as pd

    expected = small.transform([{"n": 1, "c": "a", "b": True}]).x.tobytes()
    assert small.transform([{"1": "a", "0": 1, "2": True}]).x.tobytes() == expected
    assert small.transform(pd.DataFrame([[1, "a", True]])).x.tobytes() == expected
    headless = pd.DataFrame({"column_1": [1], "column_2": ["a"], "column_3": [True]})
    assert small.transform(headless).x.tobytes() == expected
    with pytest.raises(DataError, match="4 values; expected 3"):
        small.transform([{"0": 1, "1": "a", "2": True, "3": 5}])


def test_numbered_columns_of_the_model_are_read_by_their_labels() -> None:
    reader = RowReader(used=("1", "2"), source=("1", "2"), target="0")
    assert reader.read([{"2": 7, "1": 5}], "error").frame.iloc[0].tolist() == [5, 7]
    with pytest.raises(DataError, match="lacks the column"):
        reader.read([{"0": 5, "1": 7}], "error")
    headless = RowReader(
        used=("column_2", "column_3"), source=("column_2", "column_3"), target="column_1"
    )
    rows = [{"column_1": 5, "column_2": 7}]
    assert headless.read(rows, "error").frame.iloc[0].tolist() == [5, 7], "a file without a header"
    rows = [{"column_1": "target", "column_2": 5, "column_3": 7}]
    assert headless.read(rows, "error").frame.iloc[0].tolist() == [5, 7], "with the target"


def test_unknown_categories_and_wrong_cells(small: Any) -> None:
    known = small.transform([{"n": 1, "c": "a", "b": True}])
    unknown = small.transform([{"n": 1, "c": "never", "b": True}])
    assert unknown.x[0, -3:].tolist() == [0, 0, 0] != known.x[0, -3:].tolist()
    assert "'never' in row 1" in unknown.notices[0]
    with pytest.raises(DataError, match="Row 2 has 'tall' in the column 'n'; expected a number"):
        small.transform([{"n": 1, "c": "a", "b": True}, {"n": "tall", "c": "a", "b": True}])
    with pytest.raises(DataError, match="in the column 'b'; expected true or false"):
        small.transform([{"n": 1, "c": "a", "b": "maybe"}])
    with pytest.raises(DataError, match="expected a number"):
        small.transform([{"n": float("inf"), "c": "a", "b": True}])
    with pytest.raises(DataError, match="too large for a float32"):
        small.transform([{"n": 1e300, "c": "a", "b": True}])


def test_rare_and_unknown_categories_share_a_feature(make: Callable[..., Any]) -> None:
    rows = [
        {"c": "ab"[k % 2] if k % 10 else f"rare{k % 23}", "n": k % 5 + 0.5, "t": k % 2}
        for k in range(400)
    ]
    made = make(rows, target="t", validation=0.0)
    fitted = load(made.fitted_bytes)
    assert made.body["features"][-1] == "c=(other)"
    x = fitted.transform([{"c": "never", "n": 1}, {"c": "rare10", "n": 1}, {"c": "a", "n": 1}]).x
    assert x[:, -1].tolist() == [1, 1, 0]


def of_categories(counts: dict[str, int], **more: Any) -> list[dict[str, Any]]:
    """Rows of a column `c` with so many of each category."""
    values = [name for name, count in counts.items() for _ in range(count)]
    return [{"c": value, "n": k % 5 + 0.5, "t": k % 2, **more} for k, value in enumerate(values)]


def test_many_categories_of_few_rows_are_features(make: Callable[..., Any]) -> None:
    made = make(of_categories({f"{k:03}": 9 for k in range(300)}), target="t")
    assert made.body["features"][1:] == [f"c={k:03}" for k in range(300)]
    assert made.column("c")["done"] == "one feature for each of 300 categories"
    x = np.concatenate([made.training[0], made.validation[0]])[:, 1:]
    assert (x.sum(axis=0) == 9).all()
    assert (x.sum(axis=1) == 1).all()


def test_the_rare_of_many_rows_share_a_feature(make: Callable[..., Any]) -> None:
    rows = of_categories({"a": 1000, "b": 900, **{f"r{k}": 3 for k in range(9)}})
    made = make(rows, target="t", validation=0)
    assert made.body["features"][1:] == ["c=a", "c=b", "c=(other)"]
    assert (
        "the 2 most frequent categories, one for the other 9 together" in made.column("c")["done"]
    )
    unseen = load(made.fitted_bytes).transform([{"c": "r3", "n": 1}, {"c": "new", "n": 1}])
    assert unseen.x[:, 1:].tolist() == [[0, 0, 1], [0, 0, 1]]
    assert "1 cell(s) of 'c'" in unseen.notices[0]


def test_categories_of_one_row_each_and_values_that_are_often_missing(
    make: Callable[..., Any],
) -> None:
    rows = [
        {"once": "ab"[k % 2], "promo": "yes" if k % 3 else "", "n": k % 5 + 0.5, "t": k % 2}
        for k in range(60)
    ]
    rows[0]["once"] = "single"
    made = make(rows, target="t", validation=0)
    assert "promo=yes" in made.body["features"]
    assert "promo=(missing)" in made.body["features"]
    assert "once=(other)" in made.body["features"]


@pytest.mark.parametrize(
    ("counts", "rows", "most", "own", "rare"),
    [
        ([9, 9, 9], 27, 64, "abc", ""),
        ([9] * 26, 2700, 64, "abcdefghijklmnopqrstuvwxyz", ""),
        ([990, 9, 1], 1000, 64, "a", "bc"),
        ([5, 4, 4, 4, 3], 20, 4, "abc", "de"),
        ([5, 4, 4, 4], 17, 4, "abcd", ""),
        ([1, 1, 1], 3, 64, "", "abc"),
        ([2, 1], 3, 64, "a", "b"),
    ],
)
def test_the_choice_of_categories(
    counts: list[int], rows: int, most: int, own: str, rare: str
) -> None:
    names = "abcdefghijklmnopqrstuvwxyz"[: len(counts)]
    found = choose_categories(list(names), np.array(counts), rows, most)
    assert ("".join(found.own), "".join(found.rare)) == (own, rare)


def test_cardinality_is_bounded_by_memory() -> None:
    assert most_features(100, 1) == 512
    assert most_features(100_000, 1) == 167
    assert most_features(100_000, 10) == 64


def test_wrong_cells_count_as_missing_where_training_had_such(make: Callable[..., Any]) -> None:
    rows = [
        {"n": "broken" if k == 7 else k * 0.37 % 5, "m": k % 5 + 0.5, "t": k % 2}
        for k in range(100)
    ]
    made = make(rows, target="t")
    assert "'broken'" in made.said()
    fitted = load(made.fitted_bytes)
    found = fitted.transform([{"n": "also broken", "m": 1}])
    assert "count as missing" in found.notices[0]
    assert found.x.tobytes() == fitted.transform([{"n": None, "m": 1}]).x.tobytes()


def test_decimal_commas_hold_for_deciding_too(make: Callable[..., Any], store: Store) -> None:
    lines = ["a;b;t", *[f"{k},5;1.{k:03d},25;{'ja' if k % 2 else 'nein'}" for k in range(100, 200)]]
    made = make(put_upload(store, "\n".join(lines).encode(), "de.csv"), target="t")
    fitted = load(made.fitted_bytes)
    same = [[{"a": "150,5", "b": "1.150,25"}], [{"a": 150.5, "b": 1150.25}], [["150,5", "1150,25"]]]
    assert len({fitted.transform(rows).x.tobytes() for rows in same}) == 1
    with pytest.raises(DataError, match="decimal comma"):
        fitted.transform([{"a": "150.5", "b": 1}])


def test_the_same_request_gives_the_same_bytes_in_another_process(
    make: Callable[..., Any], tmp_path: Any
) -> None:
    rows = json.loads(table().to_json(orient="records", date_format="iso"))
    made = make(rows, target="t", workers=3)
    script = """
import json, sys
from whisktrain.request import Request, parse
from whisktrain.stages.preprocess import preprocess
from whisktrain.store import open_store
from whisktrain.tensors import digest
store = open_store("sqlite:" + sys.argv[1])
request = parse(Request, {"data": {"records": json.load(sys.stdin), "target": "t"}, "train": {"workers": 3}})
id_ = preprocess(request, store, workers=3)["dataset"]
names = ["dataset:" + id_, *[f"{kind}:{id_}:{k}" for kind in ("shard", "validation") for k in range(3)]]
print(id_, *[digest(store.library.get(n, attachment=True).attachment) for n in names])
"""
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "other")],
        input=json.dumps(rows),
        capture_output=True,
        text=True,
        check=True,
    )
    from whisktrain.tensors import digest

    names = [
        f"dataset:{made.id}",
        *[f"{kind}:{made.id}:{k}" for kind in ("shard", "validation") for k in range(3)],
    ]
    own = [digest(made.store.library.get(n, attachment=True).attachment) for n in names]
    assert done.stdout.split() == [made.id, *own]


def test_nothing_is_pickled_and_damage_is_noticed(make: Callable[..., Any]) -> None:
    made = make("iris")
    assert b"pickle" not in made.fitted_bytes
    with pytest.raises(Damaged):
        load(made.fitted_bytes[:-30])
    with pytest.raises(Damaged):
        load(b"nothing")


@pytest.mark.parametrize(
    "name",
    [
        "error",
        "_id",
        "__ow_x",
        "type",
        "",
        "a.b.c",
        "größe 名",
        "x\ny",
        "=1",
        "_rev",
        "constructor",
    ],
)
def test_any_column_name_works(make: Callable[..., Any], name: str) -> None:
    rows = [{name: k % 11 + 0.5, "c": "pq"[k % 2], "t": "uv"[k % 2]} for k in range(60)]
    made = make(rows, target="t")
    assert made.column(name)["role"] == "feature"
    assert load(made.fitted_bytes).transform([{name: 1.5, "c": "p"}]).x.shape == (1, 3)
    if not name:
        return  # data.target cannot say it: an empty setting is one that is not given
    as_target = make([{name: "uv"[k % 2], "n": k % 7 + 0.5} for k in range(60)], target=name)
    assert as_target.report["target"] == name
    assert set(as_target.payload) == {"request", "dataset", "data"}
