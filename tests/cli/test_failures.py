"""How a failure looks."""

from __future__ import annotations

import json

import pytest

from whisktrain.cli.failures import report
from whisktrain.errors import TrainingError


def test_a_failing_worker_is_named_first_with_its_log(capsys: pytest.CaptureFixture[str]) -> None:
    error = TrainingError("Worker 2 failed in round 3.", hint="Give it more memory.")
    error.workers_log = [f"line {k}" for k in range(30)]  # type: ignore[attr-defined]
    assert report(error, as_json=False) == 6
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "error: Worker 2 failed in round 3."
    assert lines[1:-1] == [f"log: line {k}" for k in range(20, 30)]
    assert lines[-1] == "hint: Give it more memory."


def test_an_error_of_ours_shows_no_log(capsys: pytest.CaptureFixture[str]) -> None:
    error = TrainingError("Worker 0 failed: the loss is nan.")
    error.workers_log = ["Traceback …", "whisktrain.errors.Diverged: the loss is nan."]  # type: ignore[attr-defined]
    report(error, as_json=False)
    assert capsys.readouterr().err == "error: Worker 0 failed: the loss is nan.\n"


def test_as_json_it_is_one_object_with_four_keys(capsys: pytest.CaptureFixture[str]) -> None:
    assert report(TrainingError("m", hint="h"), as_json=True) == 6
    out, err = capsys.readouterr()
    record = {"code": "training_failed", "message": "m", "hint": "h", "retryable": False}
    assert json.loads(out) == {"status": "failed", "error": record}
    assert err == ""


def test_a_failure_that_is_about_a_run_names_it(capsys: pytest.CaptureFixture[str]) -> None:
    error = TrainingError("m")
    error.run = "r"
    report(error, as_json=True)
    assert json.loads(capsys.readouterr().out)["run"] == "r"


def test_what_nobody_expected_shows_no_traceback_unless_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WHISKTRAIN_DEBUG", raising=False)
    error = ZeroDivisionError("division by zero")
    assert report(error, as_json=False) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert err.startswith(
        "error: Something that should not happen: ZeroDivisionError: division by zero\nhint: "
    )
    monkeypatch.setenv("WHISKTRAIN_DEBUG", "1")
    report(error, as_json=False)
    assert "ZeroDivisionError" in capsys.readouterr().err
