"""The options of `whisktrain train` and `predict` that follow from the request's schema.

The schema needs pydantic (0.2 s to load), so that they are made when the command is parsed or documented, not at import.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import typer
from typer.core import TyperCommand

from whisktrain.cli.context import command
from whisktrain.errors import RequestError

if TYPE_CHECKING:
    from whisktrain.request.options import Setting

__all__ = ["SchemaCommand", "Settings"]


class Settings(dict[str, object]):
    """The settings of a request that were given as options, by their keys: the place of these options in a signature."""


class SchemaCommand(TyperCommand):
    """A command whose function takes `Settings`, in place of which it has one option for each setting.

    Attributes:
        function: The function.
        sections: The sections of the request whose settings are its options.
    """

    function: Callable[..., int | None]
    sections: tuple[str, ...] = ("data", "model", "train", "predict")

    @cached_property
    def _whole(self) -> TyperCommand:
        """The command with all options, as typer makes it of a function that lists them."""
        scratch = typer.Typer(add_completion=False, rich_markup_mode=None)
        scratch.command(self.name, help=self.help)(
            command(_with_options(self.function, self.sections))
        )
        made = typer.main.get_command(scratch)
        assert isinstance(made, TyperCommand)
        return made

    @property
    def params(self) -> list[Any]:
        """Arguments and options."""
        return self._whole.params

    @params.setter
    def params(self, _: list[Any]) -> None:
        """Leave out what typer read from the registered function."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command with what was parsed."""
        return self._whole.invoke(ctx)


def _with_options(
    function: Callable[..., int | None], sections: tuple[str, ...]
) -> Callable[..., int | None]:
    """The function with an option for each setting, instead of its parameter of type `Settings`."""
    from whisktrain.request.options import options

    known = {name: setting for name, setting in options().items() if setting.section in sections}
    signature = inspect.signature(function, eval_str=True)
    [place] = [p.name for p in signature.parameters.values() if p.annotation is Settings]

    def wrapper(context: object, **given: object) -> int | None:
        values = {name: given.pop(name) for name in known}
        settings = Settings(
            {n: _request_value(known[n], v) for n, v in values.items() if v is not None}
        )
        return function(context, **given, **{place: settings})

    parameters: list[inspect.Parameter] = []
    for parameter in signature.parameters.values():
        parameters += (
            [_parameter(s) for s in known.values()] if parameter.name == place else [parameter]
        )
    wrapper.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapper.__doc__, wrapper.__name__ = function.__doc__, function.__name__
    return wrapper


def _parameter(setting: Setting) -> inspect.Parameter:
    """A setting as a parameter that typer makes an option of; None where it was not given."""
    kind, parser = _command_line_type(setting)
    repeated = get_origin(kind) is list
    text = setting.description.removesuffix(".") + ("; may be repeated." if repeated else ".")
    if setting.default is not None:
        text += f" [default: {setting.default}]"
    option = typer.Option(
        None,
        setting.flag,
        help=text,
        show_default=False,
        metavar=setting.option.metavar,
        parser=parser,
    )
    return inspect.Parameter(
        setting.name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind | None
    )


def _command_line_type(setting: Setting) -> tuple[Any, Callable[[str], int | str] | None]:
    """The type by which typer reads an option, and a function that does so where no type says it."""
    from whisktrain.request.options import is_union

    kind = setting.type
    if setting.option.free_text:
        return str, None
    if get_origin(kind) is dict:
        return list[str], None
    if is_union(kind):
        words = [
            word
            for part in get_args(kind)
            if get_origin(part) is Literal
            for word in get_args(part)
        ]
        return str, _number_or(words[0]) if words else None
    return kind, None


def _number_or(word: str) -> Callable[[str], int | str]:
    """Reads a whole number, or the one word that may stand for it."""

    def read(text: str) -> int | str:
        if text == word:
            return word
        try:
            return int(text)
        except ValueError:
            raise typer.BadParameter(
                f"{text!r} was given; expected a whole number or {word!r}."
            ) from None

    return read


def _request_value(setting: Setting, value: object) -> object:
    """What the request gets for what was given: an object for a list of KEY=VALUE."""
    if get_origin(setting.type) is dict and isinstance(value, list):
        return _pairs(setting, value)
    return list(value) if isinstance(value, tuple) else value


def _pairs(setting: Setting, texts: list[str]) -> Mapping[str, str]:
    from whisktrain.request.values import listed_pairs

    found = {}
    for text in (pair for given in texts for pair in listed_pairs(given)):
        key, equals, value = text.rpartition("=")
        if not equals:
            raise RequestError(
                f"{setting.flag} was {text!r}; expected {setting.option.metavar}.", code="usage"
            )
        found[key.strip()] = value.strip()
    return found
