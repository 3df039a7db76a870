"""From OpenWhisk's words, as `Messages` in its sources has them, to what to do."""

from __future__ import annotations

import pytest

from whisktrain import __version__
from whisktrain.doctor.hints import diagnose, no_container


@pytest.mark.parametrize(
    ("text", "kind", "hint"),
    [
        (
            "Failed to pull container image 'me/runtime:1-light'.",
            "image",
            "docker build -f runtime-image/Dockerfile --target light -t me/runtime:1-light .",
        ),
        (
            "Failed to pull container image 'me/runtime:1'.",
            "image",
            "--target train -t me/runtime:1 .",
        ),
        (
            "Failed to pull container image 'me/runtime'.",
            "image",
            f"WHISKTRAIN_IMAGE=me/runtime:{__version__} whisktrain deploy",
        ),
        (
            "Failed to pull container image 'me/it:latest'.",
            "image",
            f"WHISKTRAIN_IMAGE=me/it:{__version__} whisktrain deploy",
        ),
        ("executable file not found in image me/it:1", "image", "docker build"),
        (
            "Failed to provision resources to run the action.",
            "image",
            "docker run --rm --memory 512m whisktrain/runtime:1",
        ),
        (
            "Too many requests in the last minute (count: 61, allowed: 60).",
            "rate",
            "invokes-perMinute=6000",
        ),
        (
            "Too many concurrent requests in flight (count: 31, allowed: 30).",
            "rate",
            "invokes-concurrent=200",
        ),
        (
            "The action exhausted its memory and was aborted.",
            "memory",
            "WHISKTRAIN_WORKER_MEMORY=1024 whisktrain deploy",
        ),
        (
            "The action exceeded its time limits of 60000 milliseconds during initialization.",
            "time",
            "WHISKTRAIN_WORKER_TIMEOUT=120000 whisktrain deploy",
        ),
        (
            "The action exceeded its time limits of 200000 milliseconds.",
            "time",
            "WHISKTRAIN_WORKER_TIMEOUT=300000",
        ),
        (
            "The action exceeded its time limits of 300000 milliseconds.",
            "time",
            "WHISKTRAIN_WORKER_TIMEOUT=600000",
        ),
        (
            "The action did not initialize and exited unexpectedly.",
            "start",
            "smoke.py --image whisktrain/runtime:1",
        ),
        (
            "The action failed during initialization: application error: could not initialise",
            "start",
            "smoke.py",
        ),
        ("Cannot start action. Check logs for details.", "start", "--target train"),
        (
            "The action failed to generate or locate a binary. See logs for details.",
            "start",
            "smoke.py",
        ),
        (
            "The action did not produce a valid response and exited unexpectedly.",
            "crash",
            "WHISKTRAIN_WORKER_MEMORY=1024",
        ),
        ("command exited", "crash", "WHISKTRAIN_WORKER_MEMORY=1024"),
        ("The requested resource does not exist.", "missing", "whisktrain deploy"),
        ("Action could not be found or may have been deleted.", "missing", "whisktrain deploy"),
        ("Action version is not compatible and cannot be invoked.", "missing", "whisktrain deploy"),
        ("System is overloaded, try again later.", "platform", "docker compose restart openwhisk"),
        (
            "The supplied authentication is not authorized to access this resource.",
            "platform",
            "whisktrain deploy",
        ),
        ("There was an internal server error.", "platform", "-Dwhisk.controller.interface=0.0.0.0"),
        ("Something that nobody has heard of.", "other", "wsk activation logs 0123"),
    ],
)
def test_what_to_do(text, kind, hint) -> None:
    found = diagnose(
        text,
        action="worker",
        image="whisktrain/runtime:1",
        memory=512,
        longest_ms=300_000,
        activation="0123",
    )
    assert found.kind == kind
    assert hint in found.hint


def test_without_knowing_the_action() -> None:
    assert "{" not in diagnose("The action exhausted its memory and was aborted.").hint
    assert diagnose("?").hint == "See OpenWhisk's own log."


def test_an_activation_that_waits() -> None:
    assert "512 MB" in no_container(512)
    assert "still pulls me/it:1" in no_container(512, "me/it:1")
    assert "user-memory" in no_container(512)
