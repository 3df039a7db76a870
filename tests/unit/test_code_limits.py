"""Limits on the size of modules and folders and on the use of `Any`, which the linters do not check."""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from pathlib import Path

import pytest

import openwhisk_local
import whisktrain

MODULE_LINES = 400
FOLDER_MODULES = 16
ANY_PER_1000_CODE_LINES = 20

PACKAGES = {
    package.__name__: Path(package.__file__).parent for package in (whisktrain, openwhisk_local)
}
LAYOUT_TOKENS = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def modules_of(package: str) -> list[Path]:
    return sorted(p for p in PACKAGES[package].rglob("*.py") if "_system" not in p.parts)


def docstring_lines(source: str) -> set[int]:
    """Lines of strings that are statements: docstrings, and descriptions of constants."""
    return {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def count_code(source: str) -> Counter[str]:
    """The code lines, without blank ones, comments and docstrings, and the uses of `Any` in them."""
    described = docstring_lines(source)
    code_lines: set[int] = set()
    uses = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in LAYOUT_TOKENS or token.start[0] in described:
            continue
        code_lines.update(range(token.start[0], token.end[0] + 1))
        uses += token.type == tokenize.NAME and token.string == "Any"
    return Counter(lines=len(code_lines), any=uses)


@pytest.mark.parametrize("package", PACKAGES)
def test_types_are_named(package: str) -> None:
    counts = {path: count_code(path.read_text()) for path in modules_of(package)}
    total = sum(counts.values(), Counter[str]())
    per_1000 = 1000 * total["any"] / total["lines"]
    most = {
        str(p.relative_to(PACKAGES[package])): n for p, c in counts.items() if (n := c["any"]) > 4
    }
    assert per_1000 <= ANY_PER_1000_CODE_LINES, (
        f"{per_1000:.1f} uses of Any per 1000 code lines, most in {most}"
    )


def test_code_and_any_are_counted_without_comments_and_docstrings() -> None:
    source = '"""Any."""\n\nfrom typing import Any  # Any\n\nx: Any = "Any"\n"""Any\nAny."""\ny = [\n    1,\n]\n'
    assert count_code(source) == Counter(lines=5, any=2)


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_are_short(package: str) -> None:
    lengths = {
        str(p.relative_to(PACKAGES[package])): len(p.read_text().splitlines())
        for p in modules_of(package)
    }
    assert {name: n for name, n in lengths.items() if n > MODULE_LINES} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_folders_are_small(package: str) -> None:
    modules = [
        p.relative_to(PACKAGES[package]) for p in modules_of(package) if p.name != "__init__.py"
    ]
    counts = Counter(str(module.parent) for module in modules)
    assert {folder: n for folder, n in counts.items() if n > FOLDER_MODULES} == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_no_empty_file_travels_in_the_wheel(package: str) -> None:
    """Wskdeploy's zip writer skips files without bytes."""
    assert [p for p in modules_of(package) if not p.read_text().strip()] == []
