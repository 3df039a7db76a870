"""Stage 3 on real models: rows in, decisions out."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from whisktrain.errors import NotFound, RequestError
from whisktrain.sdk.models import Models
from whisktrain.serving import answers
from whisktrain.stages.predict import predict
from whisktrain.store.protocol import Store

Publish = Callable[..., str]
TABLE = {
    "records": [
        {
            "age": 20 + i % 50,
            "plan": "pro" if i % 3 else "basic",
            "if": i % 7,
            "churned": "yes" if i % 2 else "no",
        }
        for i in range(80)
    ],
    "target": "churned",
}
ROW = {"age": 31, "plan": "pro", "if": 2}


def test_a_row_alone_and_in_a_batch_gives_the_same_answer(store: Store, publish: Publish) -> None:
    publish("churn", TABLE, model="mlp")
    rows = [{"age": 20 + i, "plan": "basic" if i % 2 else "pro", "if": i % 5} for i in range(70)]
    batch = predict({"model": "churn", "rows": rows}, store=store)["decisions"]
    assert len(batch) == 70
    for i in (0, 33, 69):
        assert predict({"model": "churn", "rows": [rows[i]]}, store=store)["decisions"] == [
            batch[i]
        ]
    assert predict({"model": "churn", "rows": rows[33]}, store=store)["decisions"] == [batch[33]], (
        "one row stands for a list"
    )


def test_the_columns_of_one_row_may_stand_beside_the_other_keys(
    store: Store, publish: Publish
) -> None:
    publish("churn", TABLE)
    expected = predict({"model": "churn", "rows": [ROW]}, store=store)
    assert predict({"model": "churn", **ROW}, store=store) == expected
    texts = {key: str(value) for key, value in ROW.items()}  # as the query of an address has them
    assert predict({"model": "churn", **texts}, store=store) == expected
    with pytest.raises(RequestError, match="lacks the column"):
        predict({"model": "churn", "age": 31}, store=store)


def test_columns_come_in_any_order_extra_ones_are_ignored_and_missing_ones_named(
    store: Store, publish: Publish
) -> None:
    publish("churn", TABLE)
    plain = predict({"model": "churn", "rows": [ROW]}, store=store)
    shuffled = predict(
        {"model": "churn", "rows": [{"zzz": 1, "if": 2, "plan": "pro", "age": 31}]}, store=store
    )
    assert shuffled["decisions"] == plain["decisions"]
    assert plain["notices"] == []
    assert "zzz" in " ".join(shuffled["notices"])
    assert (
        predict({"model": "churn", "rows": [[31, "pro", 2]]}, store=store)["decisions"]
        == plain["decisions"]
    ), "as an array"
    with pytest.raises(RequestError, match="'plan'"):
        predict({"model": "churn", "rows": [{"age": 31, "if": 2}]}, store=store)
    filled = predict(
        {"model": "churn", "rows": [{"age": 31, "if": 2}], "missing": "fill"}, store=store
    )
    assert len(filled["decisions"]) == 1


def test_classes_have_their_original_type_and_top_k_is_kept(store: Store, publish: Publish) -> None:
    publish("digits", "digits")
    answer = predict({"model": "digits", "rows": [[0.0] * 64], "top_k": 2}, store=store)
    assert answer["classes"] == list(range(10))
    [decision] = answer["decisions"]
    assert type(decision["class"]) is int
    assert len(decision["top"]) == 2
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer
    assert answer["model"] == "digits:1"
    assert f"class {decision['class']}" in answer["message"]


def test_a_regression_answers_in_the_targets_own_units(store: Store, publish: Publish) -> None:
    publish("sugar", "diabetes")
    rows = np.zeros((3, 10)).tolist()
    answer = predict({"model": "sugar", "rows": rows}, store=store)
    assert answer["classes"] is None
    values = [d["value"] for d in answer["decisions"]]
    assert values == [values[0]] * 3
    assert 25 < values[0] < 350, "an untrained model is near the target's mean, 152"


def test_after_retraining_the_next_answer_comes_wholly_from_the_new_version(
    store: Store, publish: Publish
) -> None:
    publish("churn", TABLE, seed=0, model="mlp")
    first = predict({"model": "churn", "rows": [ROW]}, store=store)
    publish("churn", TABLE, seed=1, model="mlp", version=2)
    second = predict({"model": "churn", "rows": [ROW]}, store=store)
    assert (first["model"], second["model"]) == ("churn:1", "churn:2")
    assert first["decisions"] != second["decisions"]
    assert (
        predict({"model": "churn:1", "rows": [ROW]}, store=store)["decisions"] == first["decisions"]
    )


def test_a_deleted_model_answers_no_more(store: Store, publish: Publish) -> None:
    publish("churn", TABLE)
    publish("churn", TABLE, seed=1, version=2)
    predict({"model": "churn", "rows": [ROW]}, store=store)
    assert Models(SimpleNamespace(store=store)).delete("churn:2") == ["churn:2"]
    assert predict({"model": "churn", "rows": [ROW]}, store=store)["model"] == "churn:1"
    assert Models(SimpleNamespace(store=store)).delete("churn") == ["churn:1"]
    with pytest.raises(NotFound):
        predict({"model": "churn:1", "rows": [ROW]}, store=store)


def test_what_is_missing_is_named(store: Store, publish: Publish) -> None:
    publish("churn", TABLE)
    with pytest.raises(NotFound, match="Did you mean 'churn'"):
        predict({"model": "chrun", "rows": [ROW]}, store=store)
    with pytest.raises(NotFound, match="has version 1"):
        predict({"model": "churn:9", "rows": [ROW]}, store=store)
    with pytest.raises(RequestError, match="no rows"):
        predict({"model": "churn"}, store=store)
    with pytest.raises(RequestError, match="names no model"):
        predict({"rows": [ROW]}, store=store)
    with pytest.raises(RequestError, match="'rows'"):
        predict({"model": "churn", "row": [ROW]}, store=store)
    with pytest.raises(RequestError, match="NAME or NAME:VERSION"):
        predict({"model": "churn:new", "rows": [ROW]}, store=store)


def test_texts_of_a_web_query_mean_the_same(store: Store, publish: Publish) -> None:
    publish("churn", TABLE)
    plain = predict({"model": "churn", "rows": [ROW], "top_k": 1}, store=store)
    assert predict({"model": "churn", "rows": json.dumps(ROW), "top_k": "1"}, store=store) == plain
    with pytest.raises(RequestError, match="no JSON"):
        predict({"model": "churn", "rows": "age=31"}, store=store)


def test_more_than_fits_is_stored_or_refused_with_the_count_that_fits(
    store: Store, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    from whisktrain.data.sources.uploads import get_upload

    publish("churn", TABLE)
    rows = [{"age": 20 + i % 60, "plan": "pro", "if": 1} for i in range(300)]
    whole = predict({"model": "churn", "rows": rows}, store=store)
    monkeypatch.setattr(answers, "MAX_ANSWER", 20_000)
    stored = predict({"model": "churn", "rows": rows}, store=store)
    assert stored["decisions"] is None
    assert stored["decisions_count"] == 300
    lines = get_upload(store, stored["decisions_at"]).bytes.decode().splitlines()
    assert [json.loads(line) for line in lines] == whole["decisions"]
    with pytest.raises(RequestError, match="300 rows take") as refused:
        predict({"model": "churn", "rows": rows, "output": "inline"}, store=store)
    fitting = int(refused.value.hint.split("at most ")[1].split()[0])
    assert 50 < fitting < 300
    answer = predict({"model": "churn", "rows": rows[:fitting], "output": "inline"}, store=store)
    assert len(json.dumps(answer)) <= 20_000


def result_of_training(**more: Any) -> dict[str, Any]:
    return {
        "status": "completed",
        "run": "r1",
        "model": "churn:1",
        "metrics": {"val_accuracy": 0.9, "val_rows": 16},
        **more,
    }


def test_as_the_last_stage_it_adds_decisions_and_a_message(store: Store, publish: Publish) -> None:
    publish("churn", TABLE)
    answer = predict(result_of_training(predict={"rows": [ROW]}), store=store)
    assert "predict" not in answer
    assert (answer["run"], answer["status"]) == ("r1", "completed")
    assert len(answer["decisions"]) == 1
    assert answer["message"].startswith(
        "Model churn:1 is trained: accuracy 0.9 on 16 validation rows. The model expects class "
    )
    assert "decisions" not in predict(result_of_training(predict={}), store=store)


def test_a_mistake_in_the_rows_does_not_hide_the_trained_model(
    store: Store, publish: Publish
) -> None:
    publish("churn", TABLE)
    answer = predict(result_of_training(predict={"rows": [{"age": 1}]}), store=store)
    assert answer["status"] == "completed"
    assert answer["decisions"] is None
    assert answer["decisions_error"]["code"]
    assert "is trained" in answer["message"]


def test_a_run_that_goes_on_is_told_how_to_follow(store: Store) -> None:
    answer = predict(
        {"status": "training", "run": "r1", "model": "m:1", "predict": {"rows": [ROW]}}, store=store
    )
    assert answer["decisions"] is None
    assert "whisktrain runs watch r1" in answer["message"]


def test_an_exported_model_is_the_same_model(store: Store, publish: Publish, tmp_path: Any) -> None:
    import keras

    publish("flowers", "iris", model="mlp")
    path = Models(SimpleNamespace(store=store)).export("flowers", tmp_path / "flowers.keras")
    from whisktrain.serving.loaded import open_model

    loaded = open_model(store, "flowers")
    rows = [[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.0, 2.0]]
    there = keras.saving.load_model(path)
    expected = loaded.forward(loaded.fitted.transform(rows).x)
    assert np.asarray(there(np.array(rows))) == pytest.approx(expected, abs=1e-5)
    with pytest.raises(RequestError, match=r"ends in \.keras"):
        Models(SimpleNamespace(store=store)).export("flowers", tmp_path / "flowers.h5")
