"""How a training ends on the screen: status, model, metrics, cost, decision, and the command to type next."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from whisktrain.cli.tables import value
from whisktrain.errors import Interrupted, RequestError, from_record

if TYPE_CHECKING:
    from whisktrain.cli.context import CommandContext
    from whisktrain.sdk import Connection

__all__ = ["decision_lines", "show_result"]

_SHOWN = 20
"""Decisions that are printed for a person; all of them are in `--json`."""


def show_result(context: CommandContext, connection: Connection, result: dict[str, Any]) -> int:
    """Answer with a run's result.

    Returns:
        The exit code: 0 for a model (or a run that goes on), 130 for a run that was stopped.
    """
    context.answer(result, "\n".join(_lines(result)))
    if context.as_json:
        return _exit_code(result)
    where = " ".join(_where(connection))
    model = str(result.get("model") or "").partition(":")[0]
    if result.get("status") == "completed":
        context.say(f"next: whisktrain predict {model} --input FILE{where}")
        context.say(f"      whisktrain models export {model} --to {model}.keras{where}")
    elif result.get("status") == "stopped":
        context.say(f"resume: whisktrain runs resume {result['run']}{where}")
    elif result.get("status") == "training":
        context.say(f"follow: whisktrain runs watch {result['run']}{where}")
    if result.get("decisions_error"):
        problem = from_record(result["decisions_error"])
        context.say(f"error: {problem.message}")
        if problem.hint:
            context.say(f"hint: {problem.hint}")
    return _exit_code(result)


def _exit_code(result: Mapping[str, Any]) -> int:
    if result.get("status") == "stopped":
        return Interrupted.exit_code
    if result.get("decisions_error"):
        return RequestError.exit_code
    return 0


def _where(connection: Connection) -> list[str]:
    """The options that lead to the same place again, after a space; none for the defaults."""
    from whisktrain.sdk.where import default_home

    where = connection.where
    if where.platform == "openwhisk":
        return [""] + ([f"--apihost {shlex.quote(where.apihost)}"] if where.apihost else [])
    return ["", f"--home {shlex.quote(str(where.home))}"] if where.home != default_home().absolute() else []


def _lines(result: Mapping[str, Any]) -> list[str]:
    lines = [f"status    {result.get('status')}", f"run       {result.get('run')}"]
    if result.get("model"):
        lines.append(
            f"model     {result['model']} ({result.get('task')})" if result.get("task") else f"model     {result['model']}"
        )
    metrics = {k: v for k, v in (result.get("metrics") or {}).items() if not isinstance(v, Mapping)}
    if metrics:
        lines.append("metrics   " + "  ".join(f"{k} {_figure(k, v)}" for k, v in metrics.items()))
    if result.get("rounds"):
        times = result.get("round_ms") or {}
        lines.append(
            f"training  {result['rounds']} rounds, {result.get('workers')} workers, {value(result.get('seconds'))} s, "
            f"{value(times.get('p50'))} ms/round (p95 {value(times.get('p95'))})"
        )
    cost = result.get("cost") or {}
    if cost:
        lines.append(f"cost      {cost.get('invocations')} invocations, {value(cost.get('gb_seconds'))} GB-seconds")
    if result.get("reason"):
        lines.append(f"reason    {result['reason']}")
    lines += decision_lines(result)
    if result.get("message"):
        lines.append(f"\n{result['message']}")
    return lines


def _figure(name: str, thing: Any) -> str:
    return f"{thing:.4f}" if name.endswith("accuracy") and isinstance(thing, (int, float)) else value(thing)


def decision_lines(result: Mapping[str, Any]) -> list[str]:
    """One line for each decision, as far as there is room."""
    decisions = result.get("decisions") or []
    lines = []
    for number, decision in enumerate(decisions[:_SHOWN], 1):
        if "class" in decision:
            others = ", ".join(f"{t['class']} {t['probability']:.1%}" for t in decision["top"][1:])
            text = f"{decision['class']}  {decision['confidence']:.1%}" + (f"  ({others})" if others else "")
        else:
            text = value(decision["value"])
        lines.append(f"row {number}".ljust(10) + text)
    if len(decisions) > _SHOWN:
        lines.append(f"… and {len(decisions) - _SHOWN} more rows (all of them with --json or --output FILE)")
    return lines
