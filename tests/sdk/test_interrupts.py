"""Ctrl-C once, twice, and elsewhere."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from whisktrain.sdk.training.interrupts import Interrupts


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


def test_the_first_is_noted_and_the_second_interrupts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Interrupts() as interrupts:
        assert not interrupts.asked
        press()
        assert interrupts.asked
        press()
    assert signal.getsignal(signal.SIGINT) is before


def test_sigterm_interrupts_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), Interrupts():
        press(signal.SIGTERM)


def test_another_thread_leaves_the_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen: list[object] = []

    def work() -> None:
        with Interrupts() as interrupts:
            seen.extend([signal.getsignal(signal.SIGINT), interrupts.asked])

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before, False]
