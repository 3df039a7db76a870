"""Imports point one way, from the outside in, and the heavy ones stay inside functions."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import whisktrain

ROOT = Path(whisktrain.__file__).parent

# What every room may import.
EVERYWHERE = {"__version__", "jsontypes"}

# Each room may import from the rooms that stand below it.
BELOW = {
    "errors": set(),
    "jsontypes": set(),
    "seeds": set(),
    "tensors": {"errors"},
    "metrics": {"errors", "tensors"},
    "spec": {"tensors"},
    "request": {"errors"},
    "store": {"errors", "tensors"},
    "records": {"store", "spec", "tensors", "errors"},
    "data": {"records", "store", "spec", "request", "tensors", "seeds", "errors"},
    "learning": {"metrics", "spec", "request", "tensors", "seeds", "errors"},
    "rules": {"records", "metrics", "spec", "seeds", "errors"},
    "merge": {"spec", "tensors", "errors"},
    "rounds": {"data", "rules", "merge", "records", "metrics", "store", "spec", "request", "tensors", "seeds", "errors"},
    "serving": {"data", "learning", "records", "store", "spec", "request", "tensors", "errors"},
    "stages": {
        "data",
        "learning",
        "rounds",
        "rules",
        "merge",
        "records",
        "serving",
        "metrics",
        "store",
        "spec",
        "request",
        "tensors",
        "seeds",
        "errors",
    },
    "openwhisk": {"stages", "rounds", "rules", "records", "learning", "data", "store", "spec", "request", "tensors", "errors"},
    "doctor": {"openwhisk", "rounds", "rules", "records", "data", "store", "errors"},
    "sdk": {
        "doctor",
        "openwhisk",
        "stages",
        "rules",
        "records",
        "serving",
        "learning",
        "data",
        "store",
        "spec",
        "request",
        "tensors",
        "errors",
    },
    "cli": {
        "sdk",
        "doctor",
        "openwhisk",
        "stages",
        "rules",
        "records",
        "serving",
        "learning",
        "data",
        "store",
        "spec",
        "request",
        "errors",
    },
}
HEAVY = {"keras", "tensorflow", "sklearn", "pandas", "skops", "pyarrow", "scipy"}


def room_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports(path: Path, *, top_only: bool = False) -> set[str]:
    """Dotted names imported by a file; only those of its top level where asked (not under TYPE_CHECKING)."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_only else list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


FILES = sorted(p for p in ROOT.rglob("*.py") if "_system" not in p.parts)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_inwards(path: Path) -> None:
    room = room_of(path)
    if room in {"__init__", "__main__"}:
        return
    allowed = BELOW[room] | {room} | EVERYWHERE
    rooms = {name.split(".")[1] for name in imports(path) if name.startswith("whisktrain.")}
    assert rooms <= allowed, f"{path.name} is in {room} and imports {rooms - allowed}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_are_imported_inside_functions(path: Path) -> None:
    heavy = {name.split(".")[0] for name in imports(path, top_only=True)} & HEAVY
    assert not heavy, f"{path.name} imports {heavy} at its top"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_keras_is_imported_in_learning_only(path: Path) -> None:
    if room_of(path) != "learning":
        assert not {name.split(".")[0] for name in imports(path)} & {"keras", "tensorflow"}


def test_a_stranger_reads_rooms_not_halls() -> None:
    """No module grows past 400 lines."""
    long = {str(p.relative_to(ROOT)): n for p in FILES if (n := len(p.read_text().splitlines())) > 400}
    assert not long


def test_no_empty_file_travels_in_the_wheel() -> None:
    """Wskdeploy's zip writer skips files without bytes."""
    assert not [p for p in FILES if not p.read_text().strip()]


@pytest.mark.parametrize("module", ["whisktrain.stages.train", "whisktrain.rounds.aggregate", "whisktrain.stages.preprocess"])
def test_the_light_actions_never_load_tensorflow(module: str) -> None:
    code = f"import sys, {module}; sys.exit(bool({{'keras', 'tensorflow'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
