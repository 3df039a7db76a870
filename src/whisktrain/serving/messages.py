"""Results in a sentence or two for a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeGuard, cast

if TYPE_CHECKING:
    from whisktrain.serving.decisions import ClassDecision, Decision, ValueDecision
    from whisktrain.serving.results import RunResult

__all__ = ["of_decisions", "of_training"]

_NAMED_CLASSES = 5
_SURE = 0.8
"""From this confidence on, the second class of a decision is not named."""

_QUALITY = (
    ("val_accuracy", "accuracy"),
    ("accuracy", "training accuracy"),
    ("val_r2", "R²"),
    ("val_mae", "mean absolute error"),
    ("r2", "training R²"),
    ("mae", "training mean absolute error"),
)
"""The metrics that say how good a model is, the most telling first."""


def of_decisions(decisions: Sequence[Decision], target: str | None = None) -> str:
    """Describe what the model decided.

    Args:
        decisions: As `serving.decisions` makes them.
        target: The column that they predict, where it has a name.
    """
    if not decisions:
        return "There were no rows to decide on."
    if _are_classes(decisions):
        return _of_class(decisions[0]) if len(decisions) == 1 else _of_classes(decisions)
    return _of_values(
        cast("Sequence[ValueDecision]", decisions), f" for {target!r}" if target else ""
    )


def of_training(result: RunResult) -> str:
    """Describe how a training run stands or ended."""
    run, model = result.get("run"), result.get("model")
    match result.get("status"):
        case "training":
            name = str(model).partition(":")[0]
            why = f"{result['reason']} " if result.get("reason") else ""
            return (
                f"{why}Run {run} is still training; it goes on by itself. Follow it with `whisktrain runs watch {run}`; "
                f"when it is done, `whisktrain predict {name}` answers from its model."
            )
        case "stopped":
            so_far = f" Model {model} holds what it had learned." if model else ""
            return f"Run {run} was stopped.{so_far} Go on with `whisktrain runs resume {run}`."
        case "completed":
            quality = _quality(result.get("metrics") or {})
            return f"Model {model} is trained{quality}.{_of_dropped_rows(result)}"
        case status:
            return f"Run {run} ended as {status}."


def _of_dropped_rows(result: RunResult) -> str:
    """The rows that were left out, as a sentence after a blank; "" where there are none."""
    rows = result["data"]["rows"] if "data" in result else None
    if rows is None or not rows["dropped"]:
        return ""
    return f" {rows['dropped']} of {rows['read']} rows had no target and were left out."


def _are_classes(decisions: Sequence[Decision]) -> TypeGuard[Sequence[ClassDecision]]:
    return "class" in decisions[0]


def _of_values(decisions: Sequence[ValueDecision], what: str) -> str:
    values = [decision["value"] for decision in decisions if decision["value"] is not None]
    if len(values) < len(decisions):
        return f"The model has no finite value{what} for {len(decisions) - len(values)} of {len(decisions)} rows."
    if len(values) == 1:
        return f"The model expects {_value(values[0])}{what}."
    least, most, mean = _value(min(values)), _value(max(values)), _value(sum(values) / len(values))
    return f"The model expects values from {least} to {most}{what} over {len(values)} rows (mean {mean})."


def _of_class(decision: ClassDecision) -> str:
    text = f"The model expects class {decision['class']} ({_percent(decision['confidence'])} sure)"
    others = decision["top"][1:2]
    if others and decision["confidence"] < _SURE:
        text += f"; next comes class {others[0]['class']} ({_percent(others[0]['probability'])})"
    return text + "."


def _of_classes(decisions: Sequence[ClassDecision]) -> str:
    counts = Counter(str(decision["class"]) for decision in decisions)
    confidences = [decision["confidence"] for decision in decisions]
    least = confidences.index(min(confidences))
    mean = sum(confidences) / len(confidences)
    return (
        f"Of {len(decisions)} rows the model expects {_frequencies(counts)}; it is {_percent(mean)} sure on average, "
        f"least about row {least + 1} ({_percent(confidences[least])})."
    )


def _frequencies(counts: Counter[str]) -> str:
    named = []
    for label, count in counts.most_common(_NAMED_CLASSES):
        named.append(f"class {label} {count} times" if count > 1 else f"class {label} once")
    text = ", ".join(named)
    rest = len(counts) - _NAMED_CLASSES
    if rest > 0:
        return f"{text} and {rest} other {'class' if rest == 1 else 'classes'}"
    return text


def _quality(metrics: Mapping[str, object]) -> str:
    rows = metrics.get("val_rows")
    where = f" on {rows} validation rows" if rows else ""
    for key, word in _QUALITY:
        value = metrics.get(key)
        if isinstance(value, (int, float)):
            return f": {word} {value:.4g}{where if key.startswith('val_') else ''}"
    return ""


def _percent(share: float) -> str:
    """A share in per cent; never "100 %" for what is not certain."""
    if 0.995 <= share < 1:
        return "over 99 %"
    return f"{share:.0%}".replace("%", " %")


def _value(number: float) -> str:
    return f"{number:,.4g}" if abs(number) < 1e4 else f"{number:,.0f}"
