"""The host is a package of its own: it imports nothing of whisktrain, and its launcher nothing but the standard library."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import openwhisk_local

ROOT = Path(openwhisk_local.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_it_imports_few_packages_and_nothing_of_whisktrain(path: Path) -> None:
    own = {"openwhisk_local", "starlette", "uvicorn", "psutil"}
    assert imported(path) - set(sys.stdlib_module_names) <= own


def test_the_launcher_runs_with_the_standard_library_alone() -> None:
    assert imported(ROOT / "processes" / "launcher.py") <= set(sys.stdlib_module_names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_are_short_and_none_is_empty(path: Path) -> None:
    assert 0 < len(path.read_text().splitlines()) <= 400


def test_folders_are_small() -> None:
    folders = {path.parent for path in FILES}
    assert all(len(list(folder.glob("*.py"))) <= 15 for folder in folders)
