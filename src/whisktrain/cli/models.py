"""`whisktrain models …`."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import typer

from whisktrain.cli.context import CommandContext, command
from whisktrain.cli.output.tables import columns, facts
from whisktrain.cli.runs import main_figure

__all__ = ["add_to"]

_MODEL = typer.Argument(..., metavar="NAME", help="NAME (the newest version) or NAME:VERSION.")


@command
def list_models(context: CommandContext) -> None:
    """List all trained models."""
    with context.connect() as connection:
        found = connection.models.list()
    rows = [(m["model"], m["task"], main_figure(m["metrics"]), m["bytes"], m["run"]) for m in found]
    if not rows:
        context.say("There are no models yet; `whisktrain train digits` makes one.")
    context.answer(
        {"models": found},
        columns(("model", "task", "result", "bytes", "run"), rows) if rows else None,
    )


@command
def show_model(context: CommandContext, name: str = _MODEL) -> None:
    """Show what is known of a model."""
    with context.connect() as connection:
        record = connection.models.show(name)
    context.answer(record, facts(record))


@command
def export_model(
    context: CommandContext,
    name: str = _MODEL,
    to: Path = typer.Option(..., "--to", metavar="FILE.keras", help="The file to write."),
) -> None:
    """Write a model as a .keras file that answers as predict does, and FILE.keras.json that describes it."""
    with context.connect() as connection, _without_library_chatter():
        path = connection.models.export(name, to)
    beside = f"{path}.json"
    context.answer({"model": name, "file": str(path), "description": beside}, f"{path}\n{beside}")


@contextlib.contextmanager
def _without_library_chatter() -> Iterator[None]:
    """Keep what TensorFlow's C++ writes to descriptor 2 when it is loaded off the screen."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@command
def delete_model(
    context: CommandContext,
    name: str = typer.Argument(..., metavar="NAME", help="NAME (all versions) or NAME:VERSION."),
) -> None:
    """Delete a version of a model, or all of them."""
    with context.connect() as connection:
        gone = connection.models.delete(name)
    context.answer({"deleted": gone}, "deleted " + ", ".join(gone))


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Trained models: list, show, export, delete.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for name, function in (
        ("list", list_models),
        ("show", show_model),
        ("export", export_model),
        ("delete", delete_model),
    ):
        group.command(name)(function)
    app.add_typer(group, name="models")
