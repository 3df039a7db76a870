"""The decorator of every action: decode, one call of the library, encode.

    from whisktrain.openwhisk.action import action

    @action
    def main(arguments, context):
        return some_stage(arguments, store=context.store)

The decorator handles web calls and plain ones, keys of the platform and the deployment, versions of caller and
image, failures as data, numbers that JSON can hold, the size of the answer. Arguments are never logged.
"""

from __future__ import annotations

import functools
import os
import re
import traceback
from collections.abc import Callable
from typing import NotRequired, TypedDict

from whisktrain.openwhisk.action import environment

environment.prepare()  # before the stages import anything heavy

from whisktrain.errors import ConfigurationError, WhisktrainError  # noqa: E402
from whisktrain.jsontypes import Json, JsonObject  # noqa: E402
from whisktrain.openwhisk import settings  # noqa: E402
from whisktrain.openwhisk.action import answers, arguments, context  # noqa: E402
from whisktrain.openwhisk.action.context import Context  # noqa: E402
from whisktrain.version import __version__  # noqa: E402

__all__ = ["Context", "action"]

_CREDENTIALS = re.compile(r"//[^/@\s]+@")


class InternalError(WhisktrainError):
    """An unexpected failure; the log has the traceback."""

    code = "internal"


class StoreReport(TypedDict):
    """Whether an action can write to its store; `hint` where it cannot."""

    url: str
    ok: bool
    detail: str
    hint: NotRequired[str]


class ProbeAnswer(TypedDict):
    """An action's answer to a probe."""

    lib_version: str
    python: str
    action: str
    store: StoreReport


def action(stage: Callable[[JsonObject, Context], object]) -> Callable[[Json], Json]:
    """Make a launcher's `main(args)` of a function that takes (arguments, context).

    Args:
        stage: Takes the caller's arguments and the context, returns the result.

    Returns:
        A function that answers with JSON in any case and never raises.
    """

    def answer(args: Json) -> JsonObject | list[Json]:
        received = arguments.decode(args)
        _apply(received.deployment)
        where = context.current(str(received.deployment.get("store") or ""))
        if received.probe:
            return answers.encode(_describe(where))
        _compare(received.lib_version)
        return answers.encode(stage(received.given, where))

    @functools.wraps(stage)
    def main(args: Json) -> Json:
        web = arguments.is_web(args)
        try:
            found = answer(args)
        except WhisktrainError as error:
            failed = error
        except Exception:  # noqa: BLE001 - the launcher would answer with the exception's text
            failed = _unexpected()
        else:
            return answers.web_answer(found) if web else found
        return answers.web_failure(failed) if web else answers.failure(failed)

    return main


def _unexpected() -> InternalError:
    """The error for an exception that nothing expected; its traceback goes to the log."""
    print(_CREDENTIALS.sub("//***@", traceback.format_exc()), flush=True)  # noqa: T201 - the activation's log
    activation = os.environ.get("__OW_ACTIVATION_ID", "")
    return InternalError(
        "The action failed in an unexpected way.",
        hint=f"Its log says more: wsk activation logs {activation}".strip(),
    )


def _apply(deployment: JsonObject) -> None:
    """Set the deployment's parameters as the variables that the library reads, all but the store's address.

    wskdeploy binds an empty text where a variable was not set: it means the default.
    """
    for name, value in deployment.items():
        if name != "store":
            variable = f"WHISKTRAIN_{name.upper()}"
            os.environ[variable] = str(value or "") or settings.default(variable)


def _compare(lib_version: str | None) -> None:
    """Refuse a caller of another version.

    Raises:
        ConfigurationError: The versions differ.
    """
    if lib_version is not None and lib_version != __version__:
        raise ConfigurationError(
            f"The caller has whisktrain {lib_version}, the actions' image has {__version__}.",
            code="version_mismatch",
            hint=f"Install whisktrain {__version__}, or deploy an image with {lib_version}: whisktrain deploy.",
        )


def _describe(where: Context) -> ProbeAnswer:
    """Answer a probe: versions, and whether the action may write to its store."""
    import platform

    from whisktrain.store.trial import try_to_write

    store: StoreReport
    try:
        try_to_write(where.store)
        store = {"url": where.store.url, "ok": True, "detail": "reachable and can be written"}
    except WhisktrainError as error:
        store = {"url": "", "ok": False, "detail": error.message, "hint": error.hint}
    return {
        "lib_version": __version__,
        "python": platform.python_version(),
        "action": where.action,
        "store": store,
    }
