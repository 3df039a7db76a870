"""The result of a run that outlived its sequence, without a platform."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from whisktrain.errors import DataError, Diverged, RequestError, TrainingError, WhisktrainError
from whisktrain.sdk.training.outcomes import late_result
from whisktrain.serving.results import RESULT_KEYS, result_of
from whisktrain.store.opening import open_store

SUMMARY: dict[str, Any] = {
    "schema": 1,
    "status": "completed",
    "run": "r",
    "model": "m:1",
    "task": "classification",
    "classes": ["a", "b"],
    "workers": 2,
    "slots": 2,
    "rounds": 4,
    "seconds": 1.5,
    "round_ms": {"p50": 1.0, "p95": 2.0},
    "metrics": {"accuracy": 0.5},
    "cost": {"invocations": 3, "gb_seconds": 0.1},
    "reason": "All 4 rounds are done.",
    "ended": "2026-01-01T00:00:00.000+00:00",
    "created": "2026-01-01T00:00:00.000+00:00",
    "history": [],
    "spec": {},
    "resumable": False,
}


def session(answer: Any = None) -> Any:
    """A session whose platform gives one answer to `predict`, or fails with it."""
    calls: list[tuple[str, dict[str, Any]]] = []

    def call(action: str, arguments: dict[str, Any]) -> Any:
        calls.append((action, arguments))
        if isinstance(answer, Exception):
            raise answer
        return answer

    return SimpleNamespace(client=SimpleNamespace(call=call), has_store=False, calls=calls)


def test_a_late_result_is_the_summary_with_a_message() -> None:
    result = late_result(session(), SUMMARY, None)  # type: ignore[arg-type]
    assert set(result) == {*RESULT_KEYS, "reason", "message"}, "as the sequence answers"
    assert result["message"] == "Model m:1 is trained: training accuracy 0.5."


@pytest.mark.parametrize("rows", [[[1, 2]], {"rows": [[1, 2]], "top_k": 1}])
def test_the_decisions_that_the_sequence_could_not_make_are_made(rows: Any) -> None:
    here = session({"decisions": [{"value": 1.0}], "message": "One."})
    result = late_result(here, SUMMARY, rows)  # type: ignore[arg-type]
    assert result["decisions"] == [{"value": 1.0}]
    assert result["message"].endswith(" One.")
    [(action, arguments)] = here.calls
    assert action == "whisktrain/predict"
    assert (arguments["model"], arguments["rows"]) == ("m:1", [[1, 2]])


def test_a_mistake_in_the_rows_does_not_hide_the_model() -> None:
    result = late_result(session(DataError("Bad rows.")), SUMMARY, [[1]])  # type: ignore[arg-type]
    assert (result["model"], result["decisions"]) == ("m:1", None)
    assert result["decisions_error"]["message"] == "Bad rows."


def test_a_stopped_run_decides_on_nothing() -> None:
    here = session()
    result = late_result(here, {**SUMMARY, "status": "stopped"}, [[1]])  # type: ignore[arg-type,typeddict-item]
    assert here.calls == []
    assert "decisions" not in result


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Diverged("nan"), Diverged),
        (RequestError("no"), RequestError),
        (WhisktrainError("x", code="worker_failed"), TrainingError),
    ],
)
def test_a_failed_run_is_an_error_of_training_or_request(
    error: WhisktrainError, kind: type[WhisktrainError]
) -> None:
    with pytest.raises(kind) as caught:
        late_result(session(), {**SUMMARY, "status": "failed", "error": error.to_record()}, None)  # type: ignore[arg-type,typeddict-item]
    assert caught.value.code == error.code


def test_the_result_of_a_summary_has_the_documented_keys_in_order() -> None:
    assert tuple(result_of(SUMMARY)) == (*RESULT_KEYS, "reason")  # type: ignore[arg-type]
    failed = {**SUMMARY, "error": Diverged("nan").to_record(), "workers_log": ["x"]}
    assert tuple(result_of(failed)) == (*RESULT_KEYS, "reason", "error")  # type: ignore[arg-type]
    assert RESULT_KEYS[:4] == ("status", "run", "run_id", "model")


def test_rows_that_were_left_out_are_in_the_result_and_its_message(tmp_path: Path) -> None:
    store = open_store(f"sqlite:{tmp_path}/store")
    store.ensure()
    rows = {"read": 90, "used": 60, "dropped": 30}
    split = {"how": "random", "column": None, "reason": "no column holds dates"}
    body = {"rows": rows, "split": split, "warnings": ["30 row(s) without a target were left out."]}
    store.library.put("dataset:d", body, attachment=b"fitted")
    here = session()
    here.has_store, here.store = True, store
    result = late_result(here, {**SUMMARY, "spec": {"dataset": "d"}}, None)  # type: ignore[arg-type,typeddict-item]
    assert result["message"].endswith("30 of 90 rows had no target and were left out.")
    assert result["data"] == {"dataset": "dataset:d", **body}
    gone = late_result(here, {**SUMMARY, "spec": {"dataset": "gone"}}, None)  # type: ignore[arg-type,typeddict-item]
    assert "data" not in gone
    store.close()
