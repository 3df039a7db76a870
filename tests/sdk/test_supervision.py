"""A child that is kept running: restarts, pauses, giving up; and what a wait says then."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from whisktrain.errors import PlatformError
from whisktrain.sdk.hosting import Hosting
from whisktrain.sdk.supervision import Restarts, Supervised

SLEEPS = "import sys, time; print('up', flush=True); sys.stdin.read()"
FAILS = "import sys; print('cannot follow: no store', flush=True); sys.exit(3)"


def until(condition, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def child(tmp_path: Path, code: str, narrated: list[str], **restarts) -> Supervised:
    policy = Restarts(**{"first_pause_s": 0.01, "longest_pause_s": 0.02, **restarts})
    command = [sys.executable, "-c", code]
    log = tmp_path / "child.log"
    return Supervised(
        "the child", command, dict(os.environ), log, narrate=narrated.append, restarts=policy
    )


def test_pauses_grow_and_end() -> None:
    policy = Restarts()
    pauses = [policy.pause(ends) for ends in range(1, 14)]
    assert pauses[:4] == [0.2, 0.4, 0.8, 1.6]
    assert pauses[7:11] == [15.0] * 4
    assert pauses[11:] == [None, None]


def test_a_child_that_ran_well_is_started_again_any_number_of_times(tmp_path: Path) -> None:
    narrated: list[str] = []
    supervised = child(tmp_path, SLEEPS, narrated, well_s=0.0, most=2)
    supervised.start()
    try:
        seen = set()
        for _ in range(6):
            until(lambda: supervised.pid is not None and supervised.pid not in seen)
            seen.add(supervised.pid)
            os.kill(supervised.pid, signal.SIGKILL)
        until(lambda: supervised.pid is not None and supervised.pid not in seen)
        supervised.check()
        assert narrated == []
    finally:
        supervised.stop()
    assert supervised.pid is None


def test_a_child_that_keeps_ending_is_given_up_with_its_reason(tmp_path: Path) -> None:
    narrated: list[str] = []
    supervised = child(tmp_path, FAILS, narrated, well_s=60.0, most=4)
    supervised.start()
    until(lambda: len(narrated) == 3)
    assert narrated[0].startswith("the child has ended (status 3: cannot follow: no store); it is")
    with pytest.raises(PlatformError) as given_up:
        supervised.check()
    assert "The child has ended 4 times in a row" in given_up.value.message
    assert "status 3: cannot follow: no store" in given_up.value.message
    assert str(tmp_path / "child.log") in given_up.value.hint
    assert narrated[-1] == str(given_up.value)
    supervised.stop()


def test_a_child_that_the_system_cannot_start_again_is_given_up_too(tmp_path: Path) -> None:
    narrated: list[str] = []
    supervised = child(tmp_path, FAILS, narrated, most=3)
    supervised.start()
    supervised._command = [str(tmp_path / "gone")]
    until(lambda: len(narrated) == 2)
    with pytest.raises(PlatformError):
        supervised.check()
    supervised.stop()


def test_stopping_while_it_is_started_again_leaves_nothing(tmp_path: Path) -> None:
    for _ in range(5):
        supervised = child(tmp_path, "pass", [], well_s=0.0)
        supervised.start()
        time.sleep(0.05)
        supervised.stop()
        assert supervised.pid is None
        assert not supervised._watch.is_alive()


def test_a_host_and_its_follower_are_checked(tmp_path: Path) -> None:
    home = tmp_path / "home"
    hosting = Hosting(home, f"sqlite:{home}/store", bare=True)
    with hosting:
        hosting.check()
        assert hosting.folder.stat().st_mode & 0o777 == 0o700
        assert home.stat().st_mode & 0o777 == 0o700
        hosting.host._shut_down()
        until(lambda: hosting.host.failure is not None)
        with pytest.raises(PlatformError, match="The embedded host has ended"):
            hosting.check()


def test_a_training_says_that_the_follower_was_given_up(tmp_path: Path, monkeypatch) -> None:
    import whisktrain
    from whisktrain.sdk import hosting

    def fails(environment, log, narrate):
        return child(tmp_path, FAILS, [], most=2)

    monkeypatch.setattr(hosting, "_follower", fails)
    ended: list[BaseException] = []

    def train() -> None:
        with whisktrain.connect(home=tmp_path / "home") as connection:
            try:
                connection.train("iris", model="linear", epochs=2, key="mine")
            except PlatformError as error:
                ended.append(error)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join(120)
    assert not thread.is_alive()
    assert "The child has ended 2 times in a row" in str(ended[0])
    assert ended[0].run == "mine"
