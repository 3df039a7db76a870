"""From what a user says to the request."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from whisktrain.errors import RequestError
from whisktrain.records.ids import RUN_KEY
from whisktrain.request import Request, parse
from whisktrain.sdk import requests
from whisktrain.sdk.frames import FrameFile


def upload(path: Path | FrameFile) -> str:
    return f"upload:{path.name}"


def test_only_what_was_said_is_set() -> None:
    options = {
        "epochs": 3,
        "target": "y",
        "learning_rate": None,
        "optimizer": "sgd",
        "scale": None,
        "drop": ["a"],
    }
    made = requests.build({"source": "digits"}, {}, options)
    assert made == {
        "data": {"source": "digits", "target": "y", "drop": ["a"]},
        "train": {"epochs": 3, "optimizer": {"name": "sgd"}},
    }
    parse(Request, made)


def test_an_unknown_setting_suggests_the_nearest() -> None:
    with pytest.raises(RequestError, match="Did you mean 'epochs'"):
        requests.build({}, {}, {"epoch": 3})


def test_data_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "churn.csv").write_text("a,b\n1,2\n")
    assert requests.find_data("digits", upload) == {"source": "digits"}
    assert requests.find_data("https://h/x.csv", upload) == {"source": "https://h/x.csv"}
    assert requests.find_data("dataset:1", upload) == {"source": "dataset:1"}
    assert requests.find_data("churn.csv", upload) == {"source": "upload:churn.csv"}
    assert requests.find_data([{"a": 1}], upload) == {"records": [{"a": 1}]}
    with pytest.raises(RequestError, match=r"Did you mean 'churn\.csv'"):
        requests.find_data("chrun.csv", upload)
    with pytest.raises(RequestError, match="Did you mean 'digits'"):
        requests.find_data("digit", upload)


def test_many_records_are_uploaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "LARGEST_INLINE", 20)
    files: list[FrameFile] = []

    def keep(file: Path | FrameFile) -> str:
        assert isinstance(file, FrameFile)
        files.append(file)
        return "upload:1"

    rows = [{"a": 1e-12, "b": None}, {"a": 2, "b": "NA"}]
    assert requests.find_data(rows, keep) == {"source": "upload:1"}
    assert files[0].name == "records.json"
    assert json.loads(files[0].content) == rows


def test_a_file_named_like_a_bundled_set_is_reached_by_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iris").mkdir()
    assert requests.find_data("iris", upload) == {"source": "iris"}
    assert requests.find_data("./iris", upload) == {"source": "upload:iris"}


def test_models_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in (
        ("m.keras", "x"),
        ("m.json", '{"class_name": "Sequential"}'),
        ("model.py", "def build(): ..."),
    ):
        (tmp_path / name).write_text(text)
    assert requests.find_model("auto", None, upload) == {"preset": "auto"}
    assert requests.find_model("auto", "old:2", upload) == {"init": "old:2"}
    assert requests.find_model("m.keras", None, upload) == {"file": "upload:m.keras"}
    assert requests.find_model("m.json", None, upload) == {"config": {"class_name": "Sequential"}}
    assert requests.find_model("my.models:build", None, upload) == {"factory": "my.models:build"}
    own = requests.find_model("model.py:build", None, upload)
    assert own == {"factory": "model.py:build", "file": "upload:model.py"}
    parse(Request, {"model": own})
    for wrong in ("mpl", "gone.keras", "gone.py:build"):
        with pytest.raises(RequestError):
            requests.find_model(wrong, None, upload)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        ("digits", "digits"),
        ("/x/Churn data 2024.csv", "Churn-data-2024"),
        ("https://h/a/t.csv?x=1", "t"),
        ("upload:1", None),
        ([], None),
    ],
)
def test_names_come_from_the_data(data: object, name: str | None) -> None:
    assert requests.default_name(data) == name
    parse(Request, {"train": {"name": name}})


def test_run_ids_are_new_and_allowed() -> None:
    made = {requests.new_key("a" * 64) for _ in range(20)}
    assert len(made) == 20
    assert all(RUN_KEY.fullmatch(i) for i in made)


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ([[1, 2], [3, 4]], [[1, 2], [3, 4]]),
        ([1, 2], [[1, 2]]),
        ({"a": 1}, [{"a": 1}]),
        ({"rows": [{"a": 1}]}, [{"a": 1}]),
    ],
)
def test_rows_in_json_files(content: object, rows: object, tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    file.write_text(json.dumps(content))
    assert requests.rows_file(file) == rows
    assert requests.rows_file(tmp_path / "rows.json") == rows


def test_other_files_are_uploaded_and_missing_ones_named(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("a\n1\n")
    assert requests.rows_file(tmp_path / "rows.csv") is None
    with pytest.raises(RequestError, match="no file"):
        requests.rows_file(tmp_path / "gone.csv")
