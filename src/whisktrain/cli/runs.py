"""`whisktrain runs …`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import typer

from whisktrain.cli.context import CommandContext, command
from whisktrain.cli.output.ending import show_result
from whisktrain.cli.output.screen import Screen
from whisktrain.cli.output.tables import columns, facts, value

if TYPE_CHECKING:
    from whisktrain.spec import Figures

__all__ = ["add_to"]

_RUN = typer.Argument(..., metavar="RUN", help="The run's key, or its id.")
_REASON = 100
"""Characters of a reason in the list."""
_PROGRESS = typer.Option("auto", "--progress", help="Whether to show progress on stderr.")


@command
def list_runs(context: CommandContext) -> None:
    """List all runs, the newest first."""
    with context.connect() as connection:
        found = connection.runs.list()
    rows = [
        (
            r["run"],
            r["status"],
            r["model"],
            f"{r['round']}/{r['rounds']}",
            main_figure(r["metrics"]),
            r["when"],
            _brief(r["reason"]) if r["status"] not in ("running", "completed") else None,
        )
        for r in found
    ]
    head = ("run", "status", "model", "round", "result", "when", "reason")
    text = columns(head, rows) if rows else None
    if not rows:
        context.say("There are no runs yet; `whisktrain train digits` makes one.")
    context.answer({"runs": found}, text)


def _brief(reason: str) -> str:
    """A reason in one line of a table; `runs show` has all of it."""
    return reason if len(reason) <= _REASON else reason[: _REASON - 1] + "…"


def main_figure(metrics: Figures) -> str:
    """The one figure of a run or model that says most."""
    for key in ("val_accuracy", "accuracy", "val_r2", "r2", "val_mae", "mae", "val_loss", "loss"):
        figure = metrics.get(key)
        if isinstance(figure, (int, float)):
            return f"{key} {value(float(figure))}"
    return "-"


@command
def show_run(context: CommandContext, run: str = _RUN) -> None:
    """Show everything that is known of a run."""
    with context.connect() as connection:
        record = connection.runs.show(run)
    brief = {
        k: v for k, v in record.items() if k not in ("history", "failures", "workers_log", "error")
    }
    text = facts(brief)
    for entry in record.get("history") or []:
        text += "\n" + "  ".join(
            f"{k} {value(v)}" for k, v in entry.items() if not isinstance(v, dict)
        )
    for failure in record.get("failures") or []:
        text += (
            f"\nworker {failure['shard']} failed in round {failure['round']}: {failure['message']}"
        )
    if record.get("error"):
        text += f"\nerror: {record['error']['message']}"
    context.answer(record, text)


@command
def watch_run(
    context: CommandContext, run: str = _RUN, progress: Literal["auto", "off"] = _PROGRESS
) -> int:
    """Follow a run until it has ended."""
    with context.connect() as connection, Screen(context, progress == "auto") as screen:
        summary = connection.runs.watch(run, screen.show)
        screen.close()
        return show_result(context, connection, summary)


@command
def stop_run(
    context: CommandContext,
    run: str = _RUN,
    no_wait: bool = typer.Option(
        False, "--no-wait", help="Only request the stop, do not wait for it."
    ),
) -> None:
    """Stop a run after its present round."""
    with context.connect() as connection:
        record = connection.runs.stop(run, wait=not no_wait)
    text = (
        f"run {run} is {record['status']}"
        if record["status"] != "running"
        else f"run {run} stops after its present round"
    )
    context.answer(record, text)
    if record["status"] == "stopped":
        context.say(f"resume: whisktrain runs resume {run}")


@command
def resume_run(
    context: CommandContext,
    run: str = _RUN,
    *,
    key: str | None = typer.Option(
        None, "--key", metavar="KEY", help="The new run's key; made of the old one's otherwise."
    ),
    no_wait: bool = typer.Option(
        False, "--no-wait", help="Answer as soon as it has begun; it goes on by itself."
    ),
    learning_rate: float | None = typer.Option(
        None, help="The learning rate from here on, instead of the run's own."
    ),
    progress: Literal["auto", "off"] = _PROGRESS,
) -> int:
    """Go on with a run that was stopped, failed or diverged, as a new run that starts from its checkpoint."""
    with context.connect() as connection, Screen(context, progress == "auto") as screen:
        result = connection.runs.resume(
            run, screen.show, key=key, wait=not no_wait, learning_rate=learning_rate
        )
        screen.close()
        return show_result(context, connection, result)


@command
def delete_run(
    context: CommandContext,
    run: str = _RUN,
    force: bool = typer.Option(False, "--force", help="Also a run that has not ended."),
) -> None:
    """Delete everything of a run that ended; its model stays. Its key may be used again then."""
    with context.connect() as connection:
        connection.runs.delete(run, force=force)
    context.answer({"deleted": [run]}, f"deleted run {run}")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Runs: list, show, watch, stop, resume, delete.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for name, function in (
        ("list", list_runs),
        ("show", show_run),
        ("watch", watch_run),
        ("stop", stop_run),
        ("resume", resume_run),
        ("delete", delete_run),
    ):
        group.command(name)(function)
    app.add_typer(group, name="runs")
