"""What the import contracts in pyproject.toml do not see: when an import happens, and cycles through a package itself."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import grimp
import pytest

import whisktrain

ROOT = Path(whisktrain.__file__).parent
FILES = sorted(p for p in ROOT.rglob("*.py") if "_system" not in p.parts)

HEAVY = {"keras", "tensorflow", "sklearn", "pandas", "skops", "pyarrow", "scipy"}


def imported_at_the_top(path: Path) -> Iterator[str]:
    """Libraries that importing a file imports; what stands under TYPE_CHECKING or in a function is not."""
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module.split(".")[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_heavy_libraries_are_imported_inside_functions(path: Path) -> None:
    heavy = HEAVY.intersection(imported_at_the_top(path))
    assert not heavy, f"{path.name} imports {heavy} at its top"


@pytest.mark.parametrize(
    "module",
    ["whisktrain.stages.train", "whisktrain.rounds.aggregate", "whisktrain.stages.preprocess"],
)
def test_the_light_actions_never_load_tensorflow(module: str) -> None:
    code = f"import sys, {module}; sys.exit(bool({{'keras', 'tensorflow'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def import_cycle(imports: dict[str, Iterable[str]]) -> list[str]:
    """The modules of one import cycle; none where there is no cycle."""
    try:
        graphlib.TopologicalSorter(imports).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


@pytest.mark.parametrize("package", ["whisktrain", "openwhisk_local"])
def test_no_files_import_each_other_in_a_cycle(package: str) -> None:
    """Imports in functions and under TYPE_CHECKING count; unlike import-linter's contract, so do those of `__init__` files."""
    graph = grimp.build_graph(package, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 20
    assert import_cycle(imports) == []


def test_a_cycle_is_found() -> None:
    assert set(import_cycle({"a": ["b"], "b": ["c"], "c": ["b"], "d": ["a"]})) == {"b", "c"}
