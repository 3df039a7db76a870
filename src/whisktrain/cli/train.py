"""`whisktrain train`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import typer

from whisktrain.cli.desk import Desk, command
from whisktrain.cli.ending import show_result
from whisktrain.cli.screen import Screen
from whisktrain.errors import RequestError

__all__ = ["add_to"]

_DATA = "What to train on"
_MODEL = "The model"
_TRAIN = "How to train"


def _option(default: Any, name: str, text: str, *, shown: str | bool = False, metavar: str | None = None) -> Any:
    """An option that is None where it was not given; `shown` is what then holds."""
    said = f"{text} [default: {shown}]" if isinstance(shown, str) else text
    return typer.Option(default, name, help=said, show_default=shown is True, metavar=metavar)


@command
def train(
    desk: Desk,
    *,
    data: str = typer.Argument(
        ...,
        metavar="DATA",
        help="digits, iris, wine, breast_cancer, diabetes; a file or folder; an http(s) address; dataset:ID.",
    ),
    target: str | None = _option(
        None, "--target", "The column to predict; found by its name or place otherwise.", metavar="COLUMN"
    ),
    model: str = _option(
        "auto",
        "--model",
        "auto, linear, mlp, cnn, PATH.keras, PATH.json, package.module:function or model.py:function.",
        shown=True,
        metavar="MODEL",
    ),
    workers: str = _option(
        "auto", "--workers", "How many; auto: the smaller of cores and what the platform allows.", shown=True, metavar="N"
    ),
    epochs: int | None = _option(None, "--epochs", "Passes over the training rows.", shown="20"),
    rounds: int | None = _option(None, "--rounds", "Rounds in total, instead of epochs."),
    batch: str | None = _option(
        None, "--batch", "Rows of a batch, or full: every worker uses its whole shard every round.", shown="64", metavar="ROWS"
    ),
    sync: Literal["gradient", "local"] | None = _option(
        None, "--sync", "gradient: one step a round; local: several local steps a round.", shown="gradient"
    ),
    local_steps: int | None = _option(None, "--local-steps", "Steps of a local round.", shown="50"),
    optimizer: Literal["sgd", "adam", "adamw"] | None = _option(None, "--optimizer", "The optimizer.", shown="adam"),
    learning_rate: float | None = _option(None, "--learning-rate", "Its learning rate.", shown="0.001"),
    seed: int | None = _option(None, "--seed", "The root of every random draw.", shown="0"),
    validation: float | None = _option(None, "--validation", "Share of rows to validate on; 0 for none.", shown="0.2"),
    scale: Literal["standard", "minmax", "none"] | None = _option(
        None, "--scale", "How numeric features are scaled.", shown="standard"
    ),
    class_weight: Literal["none", "balanced"] | None = _option(
        None, "--class-weight", "balanced: rare classes weigh more.", shown="none"
    ),
    patience: int | None = _option(None, "--patience", "Stop after so many epochs without a better validation loss."),
    name: str | None = _option(None, "--name", "The model's name; made from the data's otherwise."),
    task: Literal["classification", "regression"] | None = _option(None, "--task", "Found from the target otherwise."),
    drop: list[str] | None = _option(None, "--drop", "Leave a column out; may be repeated.", metavar="COLUMN"),
    keep: list[str] | None = _option(
        None, "--keep", "Use a column though it looks like an id or free text; may be repeated.", metavar="COLUMN"
    ),
    column_type: list[str] | None = _option(
        None, "--type", "Force a column's type: numeric, categorical, boolean or date; may be repeated.", metavar="COLUMN=TYPE"
    ),
    shards: str | None = _option(
        None, "--shards", "How rows are spread: stratified, contiguous or by:COLUMN.", shown="stratified", metavar="HOW"
    ),
    init: str | None = _option(None, "--init", "Start from the weights of this model, NAME or NAME:VERSION.", metavar="NAME"),
    lease: float | None = _option(
        None, "--lease", "Seconds that an activation serves rounds; 0: one activation per worker and round.", metavar="SECONDS"
    ),
    key: str | None = _option(None, "--key", "The run's id; repeating a request with it finds the same run."),
    predict: Path | None = _option(None, "--predict", "A file with rows to decide on at the end.", metavar="FILE"),
    no_wait: bool = _option(False, "--no-wait", "Answer with the run's id as soon as it has begun; it goes on by itself."),
    progress: Literal["auto", "off"] = _option("auto", "--progress", "Whether to show progress on stderr.", shown=True),
) -> int:
    """Train a model: split the data over workers, train, publish the model, and decide on rows if some are given."""
    options: dict[str, Any] = {
        "target": target,
        "workers": _count(workers, "workers", "auto"),
        "epochs": epochs,
        "rounds": rounds,
        "batch": None if batch is None else _count(batch, "batch", "full"),
        "sync": sync,
        "local_steps": local_steps,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "seed": seed,
        "validation": validation,
        "scale": scale,
        "class_weight": class_weight,
        "patience": patience,
        "name": name,
        "task": task,
        "drop": drop or None,
        "keep": keep or None,
        "types": _types(column_type or []),
        "shards": {"by": shards.removeprefix("by:")} if shards and shards.startswith("by:") else shards,
        "lease": lease,
        "key": key,
    }
    with desk.connect() as connection, Screen(desk, progress == "auto") as screen:
        result = connection.train(
            data, model=model, init=init, predict=predict, progress=screen.show, wait=not no_wait, **options
        )
        screen.close()
        return show_result(desk, connection, result)


def _count(text: str, what: str, word: str) -> int | str | None:
    """A whole number, or the one word that may stand for it (None where that is the default)."""
    if text == word:
        return None if word == "auto" else word
    try:
        return int(text)
    except ValueError:
        raise RequestError(f"{what} was {text!r}; expected a whole number or {word!r}.", code="usage") from None


def _types(pairs: list[str]) -> dict[str, str] | None:
    found = {}
    for pair in pairs:
        column, equals, kind = pair.rpartition("=")
        if not equals:
            raise RequestError(f"--type was {pair!r}; expected COLUMN=TYPE.", code="usage")
        found[column] = kind
    return found or None


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)
