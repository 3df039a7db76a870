"""The context of a command: where it works (platform and store), how it answers, and how it fails."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, Literal, ParamSpec

import typer

from whisktrain.cli.failures import report
from whisktrain.errors import ConfigurationError, Interrupted

if TYPE_CHECKING:
    from whisktrain.sdk import Connection

__all__ = ["SHARED", "CommandContext", "command"]

P = ParamSpec("P")


@dataclass(frozen=True)
class CommandContext:
    """The options that every command has.

    Attributes:
        apihost: `--apihost`.
        auth: `--auth`; never shown.
        platform: `--platform`.
        store: `--store`.
        home: `--home`.
        insecure: `--insecure`.
        as_json: `--json`: exactly one JSON object on stdout.
    """

    apihost: str | None = None
    auth: str | None = None
    platform: str | None = None
    store: str | None = None
    home: Path | None = None
    insecure: bool = False
    as_json: bool = False

    def __repr__(self) -> str:
        return f"CommandContext(platform={self.platform!r}, apihost={self.apihost!r}, home={self.home!r})"

    def connect(self, *, share: bool = True) -> Connection:
        """Connect to where the options say; the embedded host starts when something is invoked.

        Args:
            share: Whether that is the host that commands share, instead of one that ends with this one.
        """
        from whisktrain.sdk import connect
        from whisktrain.sdk.sharing import stays_for

        return connect(
            apihost=self.apihost,
            auth=self.auth,
            platform=self.platform,
            store=self.store,
            home=self.home,
            insecure=self.insecure,
            narrate=self.say,
            share=share and stays_for() > 0,
        )

    def say(self, text: str) -> None:
        """Narrate, on stderr."""
        print(text, file=sys.stderr, flush=True)  # noqa: T201

    def answer(self, record: Mapping[str, object], text: str | None = None) -> None:
        """Answer, on stdout: the record where `--json` was given, else the text for a person (where there is one)."""
        if self.as_json:
            print(json.dumps(record, ensure_ascii=False, allow_nan=False), flush=True)  # noqa: T201
        elif text:
            print(text, flush=True)  # noqa: T201


def _home(text: str) -> Path:
    """Read a home; an empty text, as of a variable that is not set, would be the current directory."""
    if not text.strip():
        raise typer.BadParameter(
            "expected a directory, received an empty text; leave it out for the default."
        )
    return Path(text)


def _shared(
    *,
    apihost: str | None = typer.Option(
        None,
        "--apihost",
        metavar="URL",
        help="An OpenWhisk's address, instead of this machine's own host.",
    ),
    auth: str | None = typer.Option(
        None,
        "--auth",
        metavar="KEY",
        envvar="WHISK_AUTH",
        show_envvar=True,
        help="The key for --apihost.",
    ),
    platform: Literal["embedded", "openwhisk"] | None = typer.Option(
        None,
        "--platform",
        help="embedded: this machine's own host; openwhisk: the one that .wskprops names.",
    ),
    store: str | None = typer.Option(
        None,
        "--store",
        metavar="URL",
        envvar="WHISKTRAIN_STORE",
        help="sqlite:PATH, or http(s)://… of a CouchDB.",
    ),
    home: Path | None = typer.Option(
        None,
        "--home",
        metavar="DIR",
        envvar="WHISKTRAIN_HOME",
        parser=_home,
        help="Where the embedded host and store keep their state; the user's data directory by default.",
    ),
    insecure: bool = typer.Option(False, "--insecure", help="Accept a self-signed certificate."),
    as_json: bool = typer.Option(False, "--json", help="Print exactly one JSON object on stdout."),
) -> CommandContext:
    """The options of every command, as the context that they make."""
    return CommandContext(apihost, auth, platform, store, home, insecure, as_json)


_SHARED = inspect.signature(_shared, eval_str=True).parameters

SHARED = tuple(_SHARED)
"""The names of the parameters that every command has."""


def command(function: Callable[Concatenate[CommandContext, P], int | None]) -> Callable[..., int]:
    """Make a command of a function whose first parameter is its context.

    The options that say where to work and how to answer are added to the function's own, and whatever it raises is shown as a
    failure, with the exit code that belongs to it. An int that it returns is the exit code.
    """

    def wrapper(*_: P.args, **given: P.kwargs) -> int:
        context = _shared(**{name: given.pop(name) for name in SHARED})  # type: ignore[arg-type]
        try:
            return function(context, *_, **given) or 0
        except (typer.Exit, typer.Abort):
            raise
        except BrokenPipeError:
            sys.stdout = None  # the reader of stdout has gone: nothing is left to be said
            return 0
        except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - the outermost frame of every command
            return report(_described(error), as_json=context.as_json)

    own = list(inspect.signature(function, eval_str=True).parameters.values())[1:]
    parameters = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in [*own, *_SHARED.values()]]
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {p.name: p.annotation for p in parameters}
    wrapper.__name__, wrapper.__doc__ = function.__name__, function.__doc__
    return wrapper


def _described(error: BaseException) -> Exception:
    """An interrupt and a failing file as errors with a hint; anything else as it is."""
    if isinstance(error, OSError) and error.filename is not None:
        message = f"{error.filename}: {error.strerror}."
        return ConfigurationError(
            message, code="file_error", hint="Check the path and its permissions."
        )
    return error if isinstance(error, Exception) else Interrupted("Interrupted.")
