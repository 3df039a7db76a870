"""`train` and what comes after it, as a user types it: real host, real processes, real signals."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from typing import Any

RESULT = {
    *(
        "status",
        "run",
        "model",
        "task",
        "classes",
        "workers",
        "rounds",
        "seconds",
        "round_ms",
        "metrics",
        "cost",
        "decisions",
    ),
    "message",
}
ESCAPES = re.compile(r"[\x1b\r]")


def test_json_is_exactly_the_documented_result(trained: Any, machine: Any) -> None:
    assert trained.code == 0, trained.err
    assert trained.out.count("\n") == 1
    result = trained.json
    assert set(result) >= RESULT
    assert (result["status"], result["model"], result["task"], result["workers"]) == (
        "completed",
        "flowers:1",
        "classification",
        2,
    )
    assert result["rounds"] == 16
    assert set(result["metrics"]) >= {"accuracy", "loss", "val_accuracy", "val_loss", "val_rows"}
    assert result["metrics"]["val_rows"] == 30
    assert set(result["round_ms"]) == {"p50", "p95"}
    assert set(result["cost"]) == {"invocations", "gb_seconds"}
    assert len(result["decisions"]) == 2
    assert result["message"].startswith("Model flowers:1 is trained")
    assert machine.processes() == []


def test_narration_is_on_stderr_a_line_for_each_epoch_without_escapes(trained: Any) -> None:
    lines = trained.err.splitlines()
    assert "this machine's own host" in lines[0]
    assert [line.split()[1] for line in lines if line.startswith("epoch ")] == [
        f"{k}/8" for k in range(1, 9)
    ]
    assert not ESCAPES.search(trained.err + trained.out)
    epoch = next(line for line in lines if line.startswith("epoch 8/8"))
    assert "val accuracy" in epoch
    assert "loss" in epoch


def test_predict_answers_on_stdout(trained: Any, machine: Any, warm: Any) -> None:
    (machine.folder / "new.csv").write_text(
        "petal_length,zzz,sepal_length,sepal_width,petal_width\n1.4,9,5.1,3.5,0.2\n"
    )
    columns = machine.run("models", "show", "flowers", "--json").json["features"]
    csv = ",".join([*reversed(columns), "zzz"]) + "\n0.2,1.4,3.5,5.1,9\n"
    (machine.folder / "new.csv").write_text(csv)
    from_file = machine.run("predict", "flowers", "--input", "new.csv", "--json", **warm)
    assert from_file.code == 0, from_file.err
    from_rows = machine.run("predict", "flowers:1", "--rows", "[5.1, 3.5, 1.4, 0.2]", **warm)
    [decision] = from_file.json["decisions"]
    assert decision["class"] == trained.json["decisions"][0]["class"]
    assert decision == trained.json["decisions"][0], "one row, and the same row in a batch"
    assert "zzz" in from_file.err
    assert from_rows.code == 0
    assert f"The model expects class {decision['class']}" in from_rows.out


def test_a_mistake_in_the_rows_is_exit_2(trained: Any, machine: Any, warm: Any) -> None:
    done = machine.run("predict", "flowers", "--rows", '{"nonsense": 1}', "--json", **warm)
    assert done.code == 2
    assert "lacks" in done.json["error"]["message"]
    assert machine.run("predict", "flowers", "--rows", "nonsense", **warm).code == 2
    assert machine.run("predict", "flowrs", "--rows", "[[1]]", **warm).code == 5


def test_runs_and_models_are_listed_shown_exported_deleted(trained: Any, machine: Any) -> None:
    run = trained.json["run"]
    assert run in {r["run"] for r in machine.run("runs", "list", "--json").json["runs"]}
    shown = machine.run("runs", "show", run, "--json").json
    assert (shown["status"], shown["model"], len(shown["history"])) == ("completed", "flowers:1", 8)
    assert machine.run("runs", "show", run).code == 0
    watched = machine.run("runs", "watch", run, "--json")
    assert (watched.code, watched.json["status"]) == (0, "completed")
    table = machine.run("models", "list")
    assert table.out.splitlines()[0].split()[:3] == ["MODEL", "TASK", "RESULT"]
    assert any(line.startswith("flowers:1 ") for line in table.out.splitlines())
    exported = machine.run("models", "export", "flowers", "--to", "flowers.keras")
    assert exported.code == 0, exported.err
    assert (machine.folder / "flowers.keras").stat().st_size > 1000
    assert "WARNING" not in exported.err
    assert machine.run("models", "export", "flowers", "--to", "flowers.h5").code == 2
    assert machine.run("runs", "resume", run).code == 2, "only a stopped run can be resumed"


def test_a_run_that_diverges_names_worker_and_fix_and_is_exit_6(machine: Any) -> None:
    words = "train wine --model mlp --workers 1 --rounds 30 --optimizer sgd --learning-rate 1e30"
    done = machine.run(*words.split(), "--name", "bad", "--progress", "off", "--json")
    assert done.code == 6, done.err
    assert done.json["status"] == "failed"
    error = done.json["error"]
    assert set(error) == {"code", "message", "hint", "retryable"}
    assert error["code"] == "diverged"
    assert "orker 0" in error["message"]
    assert "learning rate" in error["hint"]
    assert "epoch" not in done.err
    assert "Traceback" not in done.err


def test_a_wrong_target_is_exit_2_and_names_the_nearest(machine: Any) -> None:
    (machine.folder / "t.csv").write_text(
        "size,colour,kept\n" + "".join(f"{i},{'rb'[i % 2]},{i % 2}\n" for i in range(40))
    )
    done = machine.run("train", "t.csv", "--target", "kpt", "--workers", "1")
    assert done.code == 2
    assert done.out == ""
    assert done.err.splitlines()[-1] == "hint: Did you mean 'kept'?"
    assert done.err.splitlines()[-2].startswith("error: The target was 'kpt'")


LONG = (
    "train",
    "iris",
    "--model",
    "linear",
    "--workers",
    "1",
    "--epochs",
    "3000",
    "--name",
    "long",
    "--home",
)


def press(process: subprocess.Popen[str], times: int) -> tuple[str, str]:
    """Wait until training is under way, then press Ctrl-C (the terminal sends it to the whole group)."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("epoch "):
            break
    for _ in range(times):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.4)
    out, err = process.communicate(timeout=60)
    return out, "".join(seen) + err


def test_ctrl_c_once_stops_after_the_round_and_says_how_to_resume(machine: Any) -> None:
    process = machine.start(*LONG, str(machine.home))
    out, err = press(process, 1)
    assert process.returncode == 130, err
    assert "stopping after this round" in err
    run = re.search(r"resume: whisktrain runs resume (\S+)", err)
    assert run, err
    assert "status    stopped" in out
    assert machine.processes() == []
    second = machine.start("runs", "resume", run[1])
    out, err = press(second, 1)
    assert second.returncode == 130, err
    before = machine.run("runs", "show", run[1], "--json").json["rounds"]
    resumed = re.search(r"run (\S+) started", err)
    assert resumed
    assert machine.run("runs", "show", resumed[1], "--json").json["rounds"] > before
    assert machine.run("runs", "delete", resumed[1]).code == 0
    assert machine.run("runs", "show", resumed[1]).code == 5


def test_ctrl_c_twice_stops_at_once(machine: Any) -> None:
    process = machine.start(*LONG, str(machine.home))
    begin = time.monotonic()
    out, err = press(process, 2)
    assert process.returncode == 130, err
    assert machine.processes() == []
    assert "Traceback" not in err
    assert time.monotonic() - begin < 120
    run = re.search(r"run (\S+) started", err)
    assert run
    assert f"runs resume {run[1]}" in err
    assert out == "" or "status    stopped" in out, (
        "it may have stopped in order before the second one came"
    )


def test_sigkill_leaves_no_process_and_the_run_goes_on_with_its_key(machine: Any) -> None:
    process = machine.start(
        "train",
        "iris",
        "--model",
        "linear",
        "--workers",
        "1",
        "--epochs",
        "200",
        "--name",
        "killed",
        "--key",
        "killed-1",
    )
    assert process.stderr is not None
    seen = ""
    for line in process.stderr:
        seen += line
        if line.startswith("epoch "):
            break
    process.kill()
    process.communicate(timeout=20)
    until = time.monotonic() + 20
    while machine.processes() and time.monotonic() < until:
        time.sleep(0.2)
    assert machine.processes() == []
    run = re.search(r"run (\S+) started", seen)
    assert run
    words = "train iris --model linear --workers 1 --epochs 200 --name killed --key killed-1 --json"
    again = machine.run(*words.split())
    assert again.code == 0, again.err
    assert (again.json["status"], again.json["model"]) == ("completed", "killed:1")
    watched = machine.run("runs", "watch", run[1], "--json")
    assert watched.json["status"] == "completed"
    assert machine.processes() == []


def test_waits_for_what_is_not_there_end(machine: Any) -> None:
    for words in ("runs watch nothing", "runs stop nothing", "runs resume nothing"):
        done = machine.run(*words.split(), "--json", timeout=60)
        assert (done.code, done.json["run"]) == (5, "nothing")
        assert done.json["error"]["code"] == "no_such_run"


def test_no_wait_answers_with_the_run_which_ends_by_itself(machine: Any) -> None:
    words = "train iris --model linear --workers 1 --epochs 5 --name later --no-wait --json"
    done = machine.run(*words.split())
    assert done.code == 0, done.err
    assert done.json["status"] == "training"
    run = done.json["run"]
    watched = machine.run("runs", "watch", run, "--json")
    assert watched.json["status"] == "completed", watched.err
    until = time.monotonic() + 20
    while machine.processes() and time.monotonic() < until:
        time.sleep(0.2)
    assert machine.processes() == []
    failed = machine.run("train", "iris", "--target", "nothing", "--no-wait")
    assert failed.code == 2, "what preprocess finds wrong is still said"


def test_progress_can_be_switched_off(machine: Any) -> None:
    words = "train iris --model linear --workers 1 --epochs 2 --name p --progress off"
    done = machine.run(*words.split())
    assert done.code == 0, done.err
    assert "epoch" not in done.err
    assert done.out.splitlines()[0] == "status    completed"
    assert "next: whisktrain predict p --input FILE" in done.err


def test_doctor_finds_everything_in_order(machine: Any) -> None:
    done = machine.run("doctor", "--quick", "--json")
    record = json.loads(done.out)
    assert [f for f in record["findings"] if not f["ok"]] == []
    assert (done.code, record["success"]) == (0, True)
