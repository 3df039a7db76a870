"""What a result means, in a sentence or two for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["of_decisions", "of_training"]

_NAMED = 5


def of_decisions(decisions: Sequence[Mapping[str, Any]], target: str | None = None) -> str:
    """What the model decided.

    Args:
        decisions: As `serving.decisions` makes them.
        target: The column that they predict, where it has a name.
    """
    if not decisions:
        return "There were no rows to decide on."
    if "class" in decisions[0]:
        return _of_class(decisions[0]) if len(decisions) == 1 else _of_classes(decisions)
    what = f" for {target!r}" if target else ""
    values = [d["value"] for d in decisions if d["value"] is not None]
    if len(values) < len(decisions):
        return f"The model has no finite value{what} for {len(decisions) - len(values)} of {len(decisions)} rows."
    if len(values) == 1:
        return f"The model expects {_value(values[0])}{what}."
    mean = sum(values) / len(values)
    return (
        f"The model expects values from {_value(min(values))} to {_value(max(values))}{what} over {len(values)} rows "
        f"(mean {_value(mean)})."
    )


def _of_class(decision: Mapping[str, Any]) -> str:
    text = f"The model expects class {decision['class']} ({_percent(decision['confidence'])} sure)"
    others = decision["top"][1:2]
    if others and decision["confidence"] < 0.8:
        text += f"; next comes class {others[0]['class']} ({_percent(others[0]['probability'])})"
    return text + "."


def _of_classes(decisions: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(str(d["class"]) for d in decisions)
    named = ", ".join(
        f"class {label} {count} times" if count > 1 else f"class {label} once" for label, count in counts.most_common(_NAMED)
    )
    rest = len(counts) - _NAMED
    if rest > 0:
        named += f" and {rest} other classes"
    mean = sum(d["confidence"] for d in decisions) / len(decisions)
    least = min(range(len(decisions)), key=lambda i: decisions[i]["confidence"])
    return (
        f"Of {len(decisions)} rows the model expects {named}; it is {_percent(mean)} sure on average, "
        f"least about row {least + 1} ({_percent(decisions[least]['confidence'])})."
    )


def of_training(result: Mapping[str, Any]) -> str:
    """How a training run ended, from stage 2's result."""
    run, model = result.get("run"), result.get("model")
    match result.get("status"):
        case "training":
            return (
                f"Run {run} is still training; it goes on by itself. Follow it with `whisktrain runs watch {run}`; "
                f"when it is done, `whisktrain predict {str(model).partition(':')[0]}` answers from its model."
            )
        case "stopped":
            so_far = f" Model {model} holds what it had learned." if model else ""
            return f"Run {run} was stopped.{so_far} Go on with `whisktrain runs resume {run}`."
        case "completed":
            return f"Model {model} is trained{_quality(result.get('metrics') or {})}."
        case status:
            return f"Run {run} ended as {status}."


def _quality(metrics: Mapping[str, Any]) -> str:
    rows = metrics.get("val_rows")
    where = f" on {rows} validation rows" if rows else ""
    for key, word in (
        ("val_accuracy", "accuracy"),
        ("accuracy", "training accuracy"),
        ("val_r2", "R²"),
        ("val_mae", "mean absolute error"),
        ("r2", "training R²"),
        ("mae", "training mean absolute error"),
    ):
        value = metrics.get(key)
        if value is not None:
            return f": {word} {value:.4g}{where if key.startswith('val_') else ''}"
    return ""


def _percent(share: float) -> str:
    """Never "100 %" for what is not certain."""
    if 0.995 <= share < 1:
        return "over 99 %"
    return f"{share:.0%}".replace("%", " %")


def _value(number: float) -> str:
    return f"{number:,.4g}" if abs(number) < 1e4 else f"{number:,.0f}"
