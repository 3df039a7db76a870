"""Sixty schedules of faults; `make chaos N=5000` plays as many as one likes, `make chaos SEED=17` plays one again."""

from __future__ import annotations

import pytest
from chaos import play
from schedules import REAL_PROCESSES, STORIES, draw

SCHEDULES = 60


@pytest.mark.parametrize("seed", range(SCHEDULES))
def test_a_schedule_ends_with_the_same_bytes_or_one_clear_error_and_leaves_nothing(
    seed: int,
) -> None:
    play(seed)


def test_a_schedule_is_drawn_again_from_its_seed() -> None:
    assert [draw(seed) for seed in range(SCHEDULES)] == [draw(seed) for seed in range(SCHEDULES)]


def test_the_schedules_have_every_story_and_every_fault() -> None:
    drawn = [draw(seed) for seed in range(SCHEDULES)]
    assert {schedule.story for schedule in drawn} == set(STORIES)
    for fault in ("kills", "zombies", "lost", "full", "doubled", "large", "processes"):
        assert any(getattr(schedule, fault) for schedule in drawn), fault
    assert sum(schedule.processes for schedule in drawn) == SCHEDULES // REAL_PROCESSES
