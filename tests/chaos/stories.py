"""What the user does, and what each call must answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from world import Call, World, expect

A, B = 1, 2
"""The seeds of two requests that differ in nothing else."""


def tell(world: World, expected: Callable[[int], bytes]) -> tuple[str, ...]:
    """Play the story of the world's schedule; the keys that were used."""
    return _STORIES[world.schedule.story](world, expected)


def _completes(world: World, call: Call, expected: bytes) -> Any:
    call.wait("train")
    expect(call.error is None, f"train failed: {call.error!r}")
    world.check_model(call.result, expected)
    return call.result


def _plain(world: World, expected: Callable[[int], bytes]) -> tuple[str, ...]:
    _completes(world, world.train("k", A), expected(A))
    return ("k",)


def _twice(world: World, expected: Callable[[int], bytes]) -> tuple[str, ...]:
    calls = [world.train("k", A) for _ in range(3)]
    results = [_completes(world, call, expected(A)) for call in calls]
    expect(len({result["run_id"] for result in results}) == 1, "one key named several runs")
    return ("k",)


def _other_request(world: World, expected: Callable[[int], bytes]) -> tuple[str, ...]:
    first = world.train("k", A)
    world.wait_round("k", world.schedule.at_round)
    other = world.train("k", B).wait("the other request")
    expect(
        other.error is not None and other.error.code == "key_in_use", f"it answered {other.result}"
    )
    expect("train.seed: was 1, is 2" in str(other.error), str(other.error))
    _completes(world, first, expected(A))
    return ("k",)


def _used_again(world: World, expected: Callable[[int], bytes]) -> tuple[str, ...]:
    first = _completes(world, world.train("k", A), expected(A))
    world.delete("k")
    second = _completes(world, world.train("k", B), expected(B))
    expect(first["run_id"] != second["run_id"], "the second run has the first one's id")
    expect(
        first["model"] != second["model"] or first["model"] is None,
        "the second run has the first one's version",
    )
    if first["status"] == "completed":
        world.check_model(first, expected(A))
    return ("k",)


def _deleted_and_used_again(world: World, expected: Callable[[int], bytes]) -> tuple[str, ...]:
    first = world.train("k", A)
    world.wait_round("k", world.schedule.at_round)
    world.delete("k")
    second = world.train("k", B)
    first.wait("train of the deleted run")
    if first.error is not None and first.error.code == "key_in_use":
        pass  # its call was repeated after the deletion, and found the second request's run
    elif first.error is not None:
        expect(first.error.code == "run_deleted", f"train failed: {first.error!r}")
    else:
        world.check_model(first.result, expected(A))
    second.wait("train")
    if second.error is not None and second.error.code == "key_in_use":
        # The first call was repeated after the deletion, and was faster.
        world.delete("k")
        second = world.train("k", B)
    _completes(world, second, expected(B))
    return ("k",)


def _stopped(world: World) -> tuple[Call, Any]:
    first = world.train("k", A)
    world.wait_round("k", world.schedule.at_round)
    world.stop("k")
    first.wait("train of the stopped run")
    expect(first.error is None, f"train failed: {first.error!r}")
    return first, first.result


def _stopped_and_resumed(world: World, expected: Callable[[int], bytes]) -> tuple[str, ...]:
    _, result = _stopped(world)
    if result["status"] != "stopped":
        world.check_model(result, expected(A))
        return ("k",)
    _completes(world, world.resume("k", "l"), expected(A))
    return ("k", "l")


def _stopped_deleted_and_used_again(
    world: World, expected: Callable[[int], bytes]
) -> tuple[str, ...]:
    _stopped(world)
    world.delete("k")
    gone = world.resume("k", "l").wait("resuming a deleted run")
    expect(
        gone.error is not None and gone.error.code == "no_checkpoint",
        f"it answered {gone.result or gone.error}",
    )
    _completes(world, world.train("k", B), expected(B))
    return ("k", "l")


_STORIES: dict[str, Callable[[World, Callable[[int], bytes]], tuple[str, ...]]] = {
    "plain": _plain,
    "twice": _twice,
    "other request": _other_request,
    "used again": _used_again,
    "deleted and used again": _deleted_and_used_again,
    "stopped and resumed": _stopped_and_resumed,
    "stopped, deleted and used again": _stopped_deleted_and_used_again,
}
