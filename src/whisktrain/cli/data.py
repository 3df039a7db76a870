"""`whisktrain data …`."""

from __future__ import annotations

from pathlib import Path

import typer

from whisktrain.cli.context import CommandContext, command
from whisktrain.cli.output.tables import columns

__all__ = ["add_to"]


@command
def put_data(
    context: CommandContext,
    file: Path = typer.Argument(
        ...,
        metavar="FILE",
        help="A table (CSV, TSV, JSON, JSON lines, Parquet, NPZ, NPY) or a folder of images.",
    ),
) -> None:
    """Upload a file; the same content is stored once."""
    with context.connect() as connection:
        reference = connection.data.put(file)
    context.answer({"data": reference, "name": file.name}, reference)
    if not context.as_json:
        context.say(f"next: whisktrain train {reference} --target COLUMN")


@command
def list_data(context: CommandContext) -> None:
    """List uploads and the data sets made of them."""
    with context.connect() as connection:
        found = connection.data.list()
    rows = [(d["data"], d.get("name"), d.get("bytes"), d.get("rows"), d.get("task")) for d in found]
    if not rows:
        context.say("There is no data yet; `whisktrain data put FILE` uploads some.")
    context.answer(
        {"data": found}, columns(("data", "name", "bytes", "rows", "task"), rows) if rows else None
    )


@command
def delete_data(
    context: CommandContext,
    reference: str = typer.Argument(..., metavar="DATA", help="upload:ID or dataset:ID."),
) -> None:
    """Delete an upload, or a data set with its shards; models trained on it still answer."""
    with context.connect() as connection:
        connection.data.delete(reference)
    context.answer({"deleted": [reference]}, f"deleted {reference}")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Data: put, list, delete.", no_args_is_help=True, rich_markup_mode=None
    )
    for name, function in (("put", put_data), ("list", list_data), ("delete", delete_data)):
        group.command(name)(function)
    app.add_typer(group, name="data")
