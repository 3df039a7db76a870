"""All commands under one name, and what happens when one fails before it has begun."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import typer

from whisktrain.cli import data, models, platform, predict, runs, train
from whisktrain.cli.failures import report
from whisktrain.errors import Interrupted, RequestError
from whisktrain.version import __version__

__all__ = ["app", "run"]

USAGE_ERROR: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
"""Typer carries its own Click: the class of all usage errors is reached through the one that it exports."""

app = typer.Typer(
    name="whisktrain",
    help="Train deep-learning models as serverless functions on Apache OpenWhisk, or on this machine alone.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


def _version(value: bool) -> None:
    if value:
        print(__version__)  # noqa: T201
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and leave."
    ),
) -> None:
    pass


train.add_to(app)
predict.add_to(app)
runs.add_to(app)
models.add_to(app)
data.add_to(app)
platform.add_to(app)


def _as_interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. SIGTERM and SIGHUP end it in order, like Ctrl-C."""
    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGHUP"):
            signal.signal(getattr(signal, name), _as_interrupt)
    try:
        code = app(args=arguments, prog_name="whisktrain", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except USAGE_ERROR as error:
        command = getattr(getattr(error, "ctx", None), "command_path", "whisktrain")
        message = error.format_message().replace(
            ": Value error, ", ": "
        )  # the words of the validator below
        if type(error).__name__ == "NoArgsIsHelpError":
            print(message)  # noqa: T201
            return 2
        problem = RequestError(
            message, code="usage", hint=f"`{command} --help` lists what there is."
        )
        return report(problem, as_json="--json" in arguments)
    except (KeyboardInterrupt, typer.Abort):
        return report(Interrupted("Interrupted."), as_json="--json" in arguments)
