"""`whisktrain train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import typer

from whisktrain.cli.context import CommandContext
from whisktrain.cli.output.ending import show_result
from whisktrain.cli.output.screen import Screen
from whisktrain.cli.schema import SchemaCommand, Settings

if TYPE_CHECKING:
    from whisktrain.sdk.options import TrainOptions

__all__ = ["add_to"]


def train(
    context: CommandContext,
    *,
    data: str = typer.Argument(
        ...,
        metavar="DATA",
        help="digits, iris, wine, breast_cancer, diabetes; a file or folder; an http(s) address; dataset:ID.",
    ),
    model: str = typer.Option(
        "auto",
        "--model",
        help="auto, linear, mlp, cnn, PATH.keras, PATH.json, package.module:function or model.py:function.",
        metavar="MODEL",
    ),
    init: str | None = typer.Option(
        None,
        "--init",
        help="Start from the weights of this model, NAME or NAME:VERSION.",
        metavar="NAME",
    ),
    settings: Settings,
    predict: Path | None = typer.Option(
        None, "--predict", help="A file with rows to decide on at the end.", metavar="FILE"
    ),
    no_wait: bool = typer.Option(
        False,
        "--no-wait",
        help="Answer with the run's id as soon as it has begun; it goes on by itself.",
    ),
    progress: Literal["auto", "off"] = typer.Option(
        "auto", "--progress", help="Whether to show progress on stderr."
    ),
) -> int:
    """Train a model: split the data over workers, train, publish the model, and decide on rows if some are given."""
    with context.connect() as connection, Screen(context, progress == "auto") as screen:
        result = connection.train(
            data,
            model=model,
            init=init,
            predict=predict,
            progress=screen.show,
            wait=not no_wait,
            **cast("TrainOptions", settings),
        )
        screen.close()
        return show_result(context, connection, result)


class _TrainCommand(SchemaCommand):
    function = staticmethod(train)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train", cls=_TrainCommand, help=train.__doc__)(lambda: None)
