"""The end of a training on the screen: status, model, metrics, cost, decisions, and the command to type next."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, cast

from whisktrain.cli.output.tables import value
from whisktrain.errors import Interrupted, RequestError

if TYPE_CHECKING:
    from whisktrain.cli.context import CommandContext
    from whisktrain.sdk import Connection
    from whisktrain.serving.decisions import ClassDecision, Decision
    from whisktrain.serving.results import Decided, RunResult

__all__ = ["decision_lines", "show_result"]

_SHOWN = 20
"""Decisions that are printed for a person; all of them are in `--json`."""


def show_result(context: CommandContext, connection: Connection, result: RunResult) -> int:
    """Answer with a run's result.

    Returns:
        The exit code: 0 for a model (or a run that goes on), 130 for a run that was stopped.
    """
    context.answer(result, "\n".join(_lines(result)))
    if not context.as_json:
        for line in _next_steps(result, _same_place(connection)):
            context.say(line)
    if result["status"] == "stopped":
        return Interrupted.exit_code
    return RequestError.exit_code if result.get("decisions_error") else 0


def _next_steps(result: RunResult, where: str) -> list[str]:
    """What to type next, and why there are no decisions."""
    model = (result.get("model") or "").partition(":")[0]
    lines = []
    match result["status"]:
        case "completed":
            lines += [
                f"next: whisktrain predict {model} --input FILE{where}",
                f"      whisktrain models export {model} --to {model}.keras{where}",
            ]
        case "stopped":
            lines.append(f"resume: whisktrain runs resume {result['run']}{where}")
        case "training":
            lines.append(f"follow: whisktrain runs watch {result['run']}{where}")
    if failed := result.get("decisions_error"):
        lines.append(f"error: {failed['message']}")
        if failed["hint"]:
            lines.append(f"hint: {failed['hint']}")
    return lines


def _same_place(connection: Connection) -> str:
    """The options that lead to the same platform and home again, after a space; "" for the defaults."""
    from whisktrain.sdk.where import default_home

    where = connection.where
    if where.platform == "openwhisk":
        return f" --apihost {shlex.quote(where.apihost)}" if where.apihost else ""
    return (
        f" --home {shlex.quote(str(where.home))}" if where.home != default_home().absolute() else ""
    )


def _lines(result: RunResult) -> list[str]:
    lines = [f"status    {result['status']}", f"run       {result['run']}"]
    if model := result.get("model"):
        task = result.get("task")
        lines.append(f"model     {model} ({task})" if task else f"model     {model}")
    if data := result.get("data"):
        rows = data["rows"]
        left_out = f", {rows['dropped']} without a target" if rows["dropped"] else ""
        lines.append(f"data      {rows['read']} rows read, {rows['used']} used{left_out}")
    lines += _figure_lines(result)
    if reason := result.get("reason"):
        lines.append(f"reason    {reason}")
    lines += decision_lines(result)
    if message := result.get("message"):
        lines.append(f"\n{message}")
    return lines


def _figure_lines(result: RunResult) -> list[str]:
    """Metrics, times and cost, as far as they are known."""
    lines = []
    metrics = {
        name: figure
        for name, figure in (result.get("metrics") or {}).items()
        if not isinstance(figure, dict)
    }
    if metrics:
        lines.append(
            "metrics   "
            + "  ".join(f"{name} {_figure(name, figure)}" for name, figure in metrics.items())
        )
    if rounds := result.get("rounds"):
        times = result["round_ms"]
        lines.append(
            f"training  {rounds} rounds, {result.get('workers')} workers, {value(result.get('seconds'))} s, "
            f"{value(times['p50'])} ms/round (p95 {value(times['p95'])})"
        )
    if cost := result.get("cost"):
        lines.append(
            f"cost      {cost['invocations']} invocations, {value(cost['gb_seconds'])} GB-seconds"
        )
    return lines


def _figure(name: str, figure: float | None) -> str:
    return f"{figure:.4f}" if name.endswith("accuracy") and figure is not None else value(figure)


def decision_lines(answer: Decided) -> list[str]:
    """One line for each decision, as far as there is room."""
    decisions = answer.get("decisions") or []
    lines = [
        f"row {number}".ljust(10) + _decision(decision)
        for number, decision in enumerate(decisions[:_SHOWN], 1)
    ]
    if len(decisions) > _SHOWN:
        lines.append(
            f"… and {len(decisions) - _SHOWN} more rows (all of them with --json or --output FILE)"
        )
    return lines


def _decision(decision: Decision) -> str:
    if "class" not in decision:
        return value(decision["value"])
    found = cast("ClassDecision", decision)
    others = ", ".join(f"{other['class']} {other['probability']:.1%}" for other in found["top"][1:])
    return f"{found['class']}  {found['confidence']:.1%}" + (f"  ({others})" if others else "")
