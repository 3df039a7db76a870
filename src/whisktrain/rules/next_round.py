"""What a closed round means: the figures of its epoch, the best parameters so far, and what comes next. Pure.

Everything here follows from the round's updates and the story that the round's parameters carry, so whoever closes a round
comes to the same end.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from whisktrain.records.history import TrainingHistory
from whisktrain.records.run import Best, Ending, RunState
from whisktrain.rules import batches
from whisktrain.rules.scores import combine
from whisktrain.spec import Spec

__all__ = ["Next", "after_build", "after_round", "summed"]

MOST_ENTRIES = 1000


@dataclass(frozen=True, slots=True)
class Next:
    """What follows a closed round.

    Attributes:
        kind: "open" the next round, or "finish".
        tensors: Where the next parameters come from: "merged", "same" as this round's, or the "best".
        phase: The next round's phase.
        story: What the next parameters carry.
        best: The best parameters so far.
        ending: How the run is about to end, where the next round only evaluates.
        resumable: Whether the next parameters are where a resumed run goes on.
        metrics: The final figures, of a run that finishes.
        latest: The newest figures, for whoever watches.
    """

    kind: Literal["open", "finish"]
    tensors: Literal["merged", "same", "best"]
    phase: Literal["train", "evaluate"]
    story: TrainingHistory
    best: Best | None = None
    ending: Ending | None = None
    resumable: bool = False
    metrics: dict[str, Any] = field(default_factory=dict)
    latest: dict[str, Any] = field(default_factory=dict)


def summed(parts: Sequence[Mapping[str, Any] | None]) -> dict[str, Any] | None:
    """Add sums of loss and metric state up, number by number, in the order given; None where there is nothing."""
    total: Any = None
    for part in parts:
        if part is not None and part["rows"] > 0:
            total = dict(part) if total is None else _plus(total, part)
    return total  # type: ignore[no-any-return]


def _plus(a: Any, b: Any) -> Any:
    if isinstance(a, Mapping):
        return {key: _plus(a[key], b[key]) if key in a and key in b else (a[key] if key in a else b[key]) for key in {**a, **b}}
    if isinstance(a, (list, tuple)):
        return [_plus(x, y) for x, y in zip(a, b, strict=True)]
    if isinstance(a, (int, float)) and not isinstance(a, bool):
        return a + b
    return a


def after_build(state: RunState, stop: bool) -> Next:
    """What follows round 0: the first training round."""
    if stop:
        ending = Ending("stopped", "Stopped on request before the first round.")
        return Next("open", "same", "evaluate", TrainingHistory(), state.best, ending, resumable=True)
    return Next("open", "same", "train", TrainingHistory(), state.best)


def after_round(state: RunState, story: TrainingHistory, numbers: Sequence[Mapping[str, Any]], stop: bool) -> Next:
    """What follows a closed round >= 1.

    Args:
        state: The run with the round open.
        story: What the round's parameters carry.
        numbers: The numbers of the merged contributions, in ascending shard order.
        stop: Whether somebody asked the run to stop.
    """
    spec = state.spec
    if state.phase == "evaluate":
        return _after_evaluation(state, story, numbers)
    best, epoch = state.best, batches.epoch_of(spec, state.round)
    if batches.opens_epoch(spec, state.round) and story.sums is not None:
        story, best = _closed(state, story, numbers)
    sums = summed([story.sums, *(n.get("train") for n in numbers)])
    story = replace(story, epoch=epoch, sums=sums)
    latest = {"epoch": epoch + 1, **_figures(spec, sums, None), **_validation_of(story.history)}
    out_of_patience = spec.patience is not None and best is not None and (epoch - 1) - best.epoch >= spec.patience
    if out_of_patience and best is not None and best.round != state.round:
        reason = f"Stopped early after epoch {epoch}: no better since epoch {best.epoch + 1}, whose weights were restored."
        ending = Ending("completed", reason, restored=True)
        return Next("open", "best", "evaluate", replace(story, sums=None), best, ending, latest=latest)
    if state.round >= spec.rounds:
        ending = Ending("completed", f"All {spec.rounds} rounds are done.")
        return Next("open", "merged", "evaluate", story, best, ending, latest=latest)
    if stop:
        ending = Ending("stopped", f"Stopped on request after round {state.round} of {spec.rounds}.")
        return Next("open", "merged", "evaluate", story, best, ending, resumable=True, latest=latest)
    return Next("open", "merged", "train", story, best, latest=latest)


def _after_evaluation(state: RunState, story: TrainingHistory, numbers: Sequence[Mapping[str, Any]]) -> Next:
    best, ending = state.best, state.ending or Ending("completed", "")
    if not ending.restored and story.sums is not None:
        story, best = _closed(state, story, numbers)
    metrics = _figures(state.spec, summed([n.get("training") for n in numbers]), summed([n.get("validation") for n in numbers]))
    latest = {**state.latest, **_validation_of(story.history)}
    if not ending.restored and best is not None and best.round != state.round:
        reason = f"{ending.reason} The weights of epoch {best.epoch + 1}, the best, were restored."
        return Next("open", "best", "evaluate", story, best, replace(ending, reason=reason, restored=True), latest=latest)
    return Next("finish", "same", "evaluate", story, best, ending, metrics=metrics, latest=latest)


def _closed(
    state: RunState, story: TrainingHistory, numbers: Sequence[Mapping[str, Any]]
) -> tuple[TrainingHistory, Best | None]:
    """The story with its epoch's entry, measured on the parameters at its end; and the best so far."""
    spec = state.spec
    figures = _figures(spec, story.sums, summed([n.get("validation") for n in numbers]))
    entry = {"epoch": story.epoch + 1, "round": state.round - 1, **figures}
    history = [*story.history, entry]
    if len(history) > MOST_ENTRIES:
        history = [*history[:-2:2], *history[-2:]]
    best = state.best
    value = figures.get("val_loss" if spec.has_validation else "loss")
    if spec.patience is not None and value is not None and math.isfinite(value) and (best is None or value < best.value):
        best = Best(state.round, state.params, value, story.epoch)
    return TrainingHistory(history, story.epoch, None), best


def _figures(spec: Spec, training: Mapping[str, Any] | None, validation: Mapping[str, Any] | None) -> dict[str, Any]:
    figures = combine(spec, [training])
    undefined = dict(figures.pop("undefined", {}))
    if spec.has_validation and validation is not None:
        measured = combine(spec, [validation])
        undefined |= {f"val_{name}": why for name, why in measured.pop("undefined", {}).items()}
        figures |= {f"val_{name}": value for name, value in measured.items()}
    return {**figures, "undefined": undefined} if undefined else figures


def _validation_of(history: list[dict[str, Any]]) -> dict[str, Any]:
    return {k: v for k, v in history[-1].items() if k.startswith("val_")} if history else {}
