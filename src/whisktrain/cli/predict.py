"""`whisktrain predict`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

import typer

from whisktrain.cli.context import CommandContext
from whisktrain.cli.output.ending import decision_lines
from whisktrain.cli.schema import SchemaCommand, Settings
from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json, parse_json

if TYPE_CHECKING:
    from whisktrain.sdk.options import PredictOptions

__all__ = ["add_to"]


def predict(
    context: CommandContext,
    *,
    model: str = typer.Argument(
        ..., metavar="MODEL", help="NAME (the newest version) or NAME:VERSION."
    ),
    rows_file: Path | None = typer.Option(
        None,
        "--input",
        metavar="FILE",
        help="Rows: CSV, TSV, JSON, JSON lines, Parquet, NPZ, NPY; - reads JSON from stdin.",
    ),
    rows: str | None = typer.Option(
        None, "--rows", metavar="JSON", help="Rows as JSON: objects by column, or arrays."
    ),
    settings: Settings,
    output: Path | None = typer.Option(
        None, "--output", metavar="FILE", help="Write the decisions as JSON lines to this file."
    ),
) -> None:
    """Decide on rows with a trained model."""
    if (rows_file is None) == (rows is None):
        raise RequestError(
            "Rows are given either with --input FILE or with --rows JSON.",
            code="usage",
            hint="Give one of the two.",
        )
    given: Json | Path = rows_file
    if rows is not None or str(rows_file) == "-":
        given = _json(rows if rows is not None else _stdin())
    with context.connect() as connection:
        answer = connection.predict(model, given, **cast("PredictOptions", settings))
    for notice in answer.get("notices", []):
        context.say(f"note: {notice}")
    if output is not None:
        lines = [
            json.dumps(decision, ensure_ascii=False) + "\n"
            for decision in answer.get("decisions") or ()
        ]
        output.write_text("".join(lines), encoding="utf-8")
        context.say(f"wrote {len(lines)} decisions to {output}")
    context.answer(
        answer,
        "\n".join(
            [*(decision_lines(answer) if output is None else []), "", answer["message"]]
        ).strip(),
    )


def _stdin() -> str:
    """The text on standard input, of which no more is read than data may have."""
    from whisktrain.data.limits import check_size, max_bytes

    text = typer.get_text_stream("stdin").read(max_bytes() + 1)
    check_size(len(text), "The text on standard input")
    return text


def _json(text: str) -> Json:
    try:
        return parse_json(text)
    except ValueError as error:
        raise RequestError(
            f"The rows are no JSON: {error}.",
            code="bad_rows",
            hint='Such as [{"age": 31}] or [[0.1, 2]].',
        ) from None


class _PredictCommand(SchemaCommand):
    function = staticmethod(predict)
    sections = ("predict",)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("predict", cls=_PredictCommand, help=predict.__doc__)(lambda: None)
