"""What happens in one schedule: drawn from its seed alone, so that it can be drawn again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from whisktrain.rounds.failpoints import Step

STORIES = (
    "plain", "twice", "other request", "used again", "deleted and used again", "stopped and resumed",
    "stopped, deleted and used again",
)  # fmt: skip
"""What the user does. In each, further things may happen to activations and to the store."""

REAL_PROCESSES = 20
"""One in so many schedules kills real processes at random moments, instead of threads at named steps."""


@dataclass(frozen=True)
class Schedule:
    """One schedule.

    Attributes:
        seed: What it was drawn from.
        story: What the user does.
        settings: The request's section `train`, without key and seed.
        shards: Workers' shards.
        at_round: The round at which the user does the story's second thing.
        kills: The steps at which an activation is killed, each with how often it is reached before.
        zombies: The steps at which an activation is held, each with how often it is reached before, and for how long.
        lost: Share of the store's calls that fail, or whose answers are lost.
        full: The write at which the disk is full, and for how long; None: never.
        doubled: How every activation is started twice: with the same id, with another, or "" not at all.
        large: Whether parameters are so large that they are files.
        processes: Whether activations are real processes.
    """

    seed: int
    story: str
    settings: dict[str, object]
    shards: int
    at_round: int
    kills: tuple[tuple[str, int], ...]
    zombies: tuple[tuple[str, int, float], ...]
    lost: float
    full: tuple[int, float] | None
    doubled: str
    large: bool
    processes: bool


def draw(seed: int) -> Schedule:
    """Draw the schedule of a seed."""
    dice = random.Random(seed)
    steps = [step.value for step in Step]
    processes = seed % REAL_PROCESSES == REAL_PROCESSES - 1
    settings: dict[str, object] = {
        "rounds": dice.choice((4, 7, 12)),
        "lease": dice.choice((30.0, 30.0, 0.0, 1.2)),
        "sync": dice.choice(("gradient", "gradient", "local")),
        "batch": dice.choice((16, "full")),
    }
    if settings["sync"] == "local":
        settings["local_steps"] = 2
    if processes:
        settings |= {"rounds": 12, "lease": 30.0}
    kills = tuple((dice.choice(steps), dice.randint(1, 4)) for _ in range(dice.randint(0, 4)))
    zombies = tuple(
        (dice.choice(steps), dice.randint(1, 4), dice.uniform(0.05, 1.0))
        for _ in range(dice.randint(0, 2))
    )
    return Schedule(
        seed=seed,
        story=dice.choice(STORIES),
        settings=settings,
        shards=dice.choice((2, 3)),
        at_round=dice.randint(0, int(str(settings["rounds"]))),
        kills=() if processes else kills,
        zombies=() if processes else zombies,
        lost=0.0 if processes else dice.choice((0.0, 0.0, 0.02, 0.05)),
        full=None
        if processes or dice.random() < 0.8
        else (dice.randint(1, 60), dice.uniform(0.05, 0.5)),
        doubled="" if processes else dice.choice(("", "", "", "same", "other")),
        large=processes or dice.random() < 0.3,
        processes=processes,
    )
