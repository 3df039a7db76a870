"""docs/protocol.md explains every step by its name, under the actor that takes it, and names files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from whisktrain.rounds.failpoints import Step

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text()


@pytest.mark.parametrize("step", Step)
def test_every_step_is_explained(step: Step) -> None:
    assert PAGE.count(f"**{step.value}** `{step.name}`") == 1


def test_the_page_names_no_step_that_does_not_exist() -> None:
    named = re.findall(r"\*\*([A-Z0-9.a-z]+)\*\* `([A-Z_]+)`", PAGE)
    assert sorted(named) == sorted((step.value, step.name) for step in Step)


def test_every_step_is_a_failpoint_somewhere() -> None:
    """Each step is passed in the code, so that the fault tests can kill there."""
    code = "".join(
        path.read_text() for path in (ROOT / "src" / "whisktrain" / "rounds").rglob("*.py")
    )
    assert [step for step in Step if f"failpoint(Step.{step.name})" not in code] == []


@pytest.mark.parametrize(
    "name", sorted(set(re.findall(r"`((?:rounds|rules|tests|src)/[\w/]+(?:\.py|/))`", PAGE)))
)
def test_the_page_names_files_that_exist(name: str) -> None:
    assert (ROOT / name).exists() or (ROOT / "src" / "whisktrain" / name).exists()
