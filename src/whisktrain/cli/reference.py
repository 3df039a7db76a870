"""Renders what follows from the commands and the request's schema: `python -m whisktrain.cli.reference [ROOT]`.

These are two pages of `docs/reference` and the module with the SDK's options; ROOT is the project's directory.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from whisktrain.cli.app import app
from whisktrain.cli.context import SHARED

__all__ = ["commands", "files"]

_HEAD = """# Command line

<!-- Rendered from the commands by `make reference`; a test compares the two. -->

Data goes to stdout, narration to stderr. With `--json` a command prints exactly one JSON object on stdout and nothing else
there; of a failure it is `{"status": "failed", "error": {"code", "message", "hint", "retryable"}}`. What the exit codes mean is
in [exit-codes.md](exit-codes.md).

Without `--apihost`, `--platform` or `WSK_CONFIG_FILE` everything happens on this machine, and the first line on stderr says so;
a `~/.wskprops` alone changes nothing. `NO_COLOR` is honoured; nothing but a terminal ever gets escape codes.
`WHISKTRAIN_DEBUG=1` adds a traceback to a failure.

Ctrl-C once stops a training after the present round and prints how to resume it; twice stops at once. Either way no process
stays.
"""


def commands(group: Any, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], Any]]:
    """All commands below a group, with the words that lead to each."""
    found: list[tuple[tuple[str, ...], Any]] = []
    for name, command in group.commands.items():
        here = (*path, name)
        found += commands(command, here) if hasattr(command, "commands") else [(here, command)]
    return found


def _cell(text: str) -> str:
    return text.replace("|", "\\|").strip()


def _row(parameter: Any) -> str:
    text = parameter.help or ""
    if parameter.param_type_name == "argument":
        name = parameter.metavar or parameter.name.upper()
    else:
        name = parameter.opts[0] if parameter.is_flag else f"{parameter.opts[0]} {_kind(parameter)}"
        if (
            parameter.show_default is True
            and parameter.default is not None
            and not parameter.is_flag
        ):
            text += f" [default: {parameter.default}]"
        if isinstance(parameter.envvar, str):
            text += f" [variable: {parameter.envvar}]"
    return f"| `{_cell(name)}` | {_cell(text)} |"


def _kind(parameter: Any) -> str:
    if parameter.metavar:
        return str(parameter.metavar)
    annotation = parameter.type_descriptor.annotation
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    return "NUMBER" if annotation in (int, float) else "TEXT"


def _table(parameters: list[Any]) -> str:
    rows = [_row(p) for p in parameters if not getattr(p, "hidden", False) and p.name != "help"]
    return "\n".join(["| | |", "|---|---|", *rows]) + "\n" if rows else ""


def _commands_page() -> str:
    """The page `docs/reference/cli.md`."""
    everything = commands(typer.main.get_command(app))
    shared = [p for p in everything[0][1].params if p.name in SHARED]
    parts = [_HEAD, f"## Options of every command\n\n{_table(shared)}"]
    for path, command in everything:
        text = " ".join((command.help or "").split())
        own = [p for p in command.params if p.name not in SHARED]
        parts.append(f"## whisktrain {' '.join(path)}\n\n{text}\n\n{_table(own)}".rstrip() + "\n")
    return "\n".join(parts)


def files() -> dict[str, str]:
    """The rendered files: their texts by their paths in the project."""
    from whisktrain.request import reference

    return {
        "docs/reference/cli.md": _commands_page(),
        "docs/reference/request.md": reference.request_page(),
        "src/whisktrain/sdk/options.py": reference.options_module(),
    }


if __name__ == "__main__":
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    for path, text in files().items():
        (root / path).write_text(text, encoding="utf-8")
