"""docs/protocol.md explains every step by its name; it and architecture.md name files and functions that exist."""

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


PATHS = re.compile(r"`((?:\w+/)+(?:\w+\.py)?)`")


@pytest.mark.parametrize("page", ["protocol.md", "architecture.md"])
def test_the_pages_name_files_that_exist(page: str) -> None:
    named = set(PATHS.findall((ROOT / "docs" / page).read_text()))
    assert len(named) > 5
    places = (ROOT, ROOT / "src", ROOT / "src" / "whisktrain")
    assert [name for name in named if not any((place / name).exists() for place in places)] == []


def test_the_walk_of_a_gradient_names_functions_of_its_files() -> None:
    """Each stop of the walk in docs/architecture.md names what happens there."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    stops = re.findall(r"^\| \d \| `([\w/]+\.py)` \| (.*) \|$", page, re.MULTILINE)
    assert len(stops) == 6
    assert len({file for file, _ in stops}) == 6, "no file is visited twice"
    for file, text in stops:
        code = (ROOT / "src" / "whisktrain" / file).read_text()
        for name in re.findall(r"`(_?[a-z][a-z_]+)`", text):
            assert re.search(rf"\b(def|class) {name}\b", code), f"{name} is not in {file}"
