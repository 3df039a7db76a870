"""The live view of a run."""

from __future__ import annotations

import os
import pty
import select
import sys
from dataclasses import replace

import pytest

from whisktrain.cli.context import CommandContext
from whisktrain.cli.output.screen import Screen, line
from whisktrain.cli.output.tables import columns, facts
from whisktrain.records.failures import Failure
from whisktrain.sdk import Progress

SHOWN = Progress(
    run="r",
    model="m:1",
    dataset="d",
    status="running",
    reason="",
    phase="train",
    round=46,
    rounds=460,
    epoch=2,
    epochs=20,
    workers=4,
    done=3,
    seconds=12.34,
    round_ms=21.4,
    latest={"epoch": 2, "loss": 0.2292, "accuracy": 0.9, "val_accuracy": 0.9499},
)


def test_a_run_is_one_line() -> None:
    assert (
        line(SHOWN)
        == "round 46/460 (epoch 2/20)  loss 0.2292  val accuracy 0.9499  workers 3/4  12.3 s  21 ms/round"
    )
    assert "epoch" not in line(SHOWN, 80)
    assert len(line(SHOWN, 80)) <= 80
    assert "3/4, 1 failed" in line(replace(SHOWN, failed=1))
    assert line(replace(SHOWN, phase="build")).startswith("building the model, 4 workers")
    assert line(replace(SHOWN, phase="evaluate")).startswith("evaluating")
    assert line(replace(SHOWN, status="stopped", reason="Why.")) == "stopped: Why."


def history(epochs: int) -> tuple[dict[str, float], ...]:
    return tuple(
        {"epoch": k, "round": 23 * k, "loss": 1 / k, "val_accuracy": 0.9}
        for k in range(1, epochs + 1)
    )


def test_off_a_terminal_each_epoch_has_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(CommandContext())
    for epochs in (0, 1, 1, 3, 20):
        screen.show(replace(SHOWN, history=history(epochs)))
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert lines[0] == "training m:1: 4 workers, 460 rounds in 20 epochs"
    assert [text.split()[1] for text in lines[1:]] == [f"{k}/20" for k in range(1, 21)]
    assert (
        lines[2]
        == "epoch 2/20  round 46/460  loss 0.5000  val accuracy 0.9000  12.3 s  21 ms/round"
    )


def test_epochs_that_ended_before_the_watch_have_no_time(
    capsys: pytest.CaptureFixture[str],
) -> None:
    screen = Screen(CommandContext())
    for epochs in (3, 4):
        screen.show(replace(SHOWN, missed=3, history=history(epochs)))
    lines = [text for text in capsys.readouterr().err.splitlines() if text.startswith("epoch ")]
    assert lines[2] == "epoch 3/20  round 69/460  loss 0.3333  val accuracy 0.9000"
    assert ["12.3 s" in text for text in lines] == [False, False, False, True]


def test_a_long_run_says_one_line_a_second_and_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(CommandContext())
    for k in range(1, 1001):
        screen.show(replace(SHOWN, epochs=1000, seconds=10 + k / 100, history=history(k)))
    lines = [text for text in capsys.readouterr().err.splitlines() if text.startswith("epoch ")]
    assert 10 <= len(lines) <= 13
    assert lines[-1].startswith("epoch 1000/1000")


def test_a_long_run_says_its_newest_epoch(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(CommandContext())
    for k in range(1, 6):
        screen.show(replace(SHOWN, epochs=1000, seconds=2.0 * k, history=history(50 * k)))
    lines = [text for text in capsys.readouterr().err.splitlines() if text.startswith("epoch ")]
    assert [text.split()[1] for text in lines] == [f"{50 * k}/1000" for k in range(1, 6)]


def test_a_failing_worker_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    failed = Failure(
        round=46,
        shard=2,
        attempt=1,
        execution="abc",
        error={"code": "out_of_memory", "message": "out of memory", "hint": "", "retryable": False},
    )
    screen = Screen(CommandContext())
    for _ in range(3):
        screen.show(replace(SHOWN, failed=1, failures=(failed,)))
    shown = [text for text in capsys.readouterr().err.splitlines() if "failed" in text]
    assert shown == ["worker 2 failed in round 46, attempt 1 (activation abc): out of memory"]


def test_switched_off_it_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    Screen(CommandContext(), on=False).show(replace(SHOWN, history=history(3)))
    assert capsys.readouterr() == ("", "")


def test_on_a_terminal_it_is_one_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        monkeypatch.setenv("TERM", "xterm")
        monkeypatch.setenv("NO_COLOR", "1")
        with Screen(CommandContext()) as screen:
            screen.show(SHOWN)
            screen.show(replace(SHOWN, round=47))
        terminal.flush()
        written = ""
        while select.select([leader], [], [], 0.3)[0]:
            written += os.read(leader, 65536).decode()
    os.close(leader)
    assert "round 47/460" in written
    assert "\x1b[3" not in written, "no colours with NO_COLOR"
    assert "epoch 1/20" not in written


def test_tables_are_aligned_and_facts_leave_nothing_out() -> None:
    assert columns(("a", "name"), [(1, "x"), (22.5, None)]) == "A     NAME\n1     x\n22.5  -"
    text = facts(
        {
            "run": "r",
            "none": None,
            "metrics": {"loss": 0.123456, "none": None},
            "round_ms": {"p50": None},
            "list": [1, 2],
        }
    )
    assert text.splitlines() == ["run   r", "metrics", "  loss  0.1235", "list  1, 2"]
