"""What follows a closed round: the figures of its epoch, the best parameters so far, and the next phase. Pure.

Everything here follows from the round's updates and the history that the round's parameters carry, so every execution that
closes the round comes to the same result.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from whisktrain.records.history import TrainingHistory
from whisktrain.records.run import Best, Ending, RunState
from whisktrain.rules import batches
from whisktrain.rules.scores import add_sums, combine
from whisktrain.spec import ContributionNumbers, Figures, MetricSums, Phase, Spec

__all__ = ["NextRound", "after_build", "after_round", "number_after"]


@dataclass(frozen=True, slots=True)
class NextRound:
    """What follows a closed round.

    Attributes:
        kind: "open" the next round, or "finish".
        tensors: Where the next parameters come from: "merged", "same" as this round's, or the "best".
        phase: The next round's phase.
        history: The history that the next parameters carry.
        best: The best parameters so far.
        ending: How the run is about to end, where the next round only evaluates.
        resumable: Whether the next parameters are where a resumed run continues.
        metrics: The final figures, of a run that finishes.
        latest: The newest figures, for progress displays.
    """

    kind: Literal["open", "finish"]
    tensors: Literal["merged", "same", "best"]
    phase: Phase
    history: TrainingHistory
    best: Best | None = None
    ending: Ending | None = None
    resumable: bool = False
    metrics: Figures = field(default_factory=dict)
    latest: Figures = field(default_factory=dict)


def number_after(state: RunState) -> int:
    """The number of the round that follows the open one."""
    return state.round + 1 if state.round else state.spec.first_round


def after_build(state: RunState, stop: bool) -> NextRound:
    """What follows round 0: the first training round."""
    if stop:
        ending = Ending("stopped", "Stopped on request before the first round.")
        return NextRound(
            "open", "same", "evaluate", TrainingHistory(), state.best, ending, resumable=True
        )
    return NextRound("open", "same", "train", TrainingHistory(), state.best)


def after_round(
    state: RunState, history: TrainingHistory, numbers: Sequence[ContributionNumbers], stop: bool
) -> NextRound:
    """What follows a closed round >= 1.

    Args:
        state: The run with the round open.
        history: The history that the round's parameters carry.
        numbers: The numbers of the merged contributions, in ascending shard order.
        stop: Whether a stop was requested.
    """
    if state.phase == "evaluate":
        return _after_evaluation(state, history, numbers)
    spec, best, epoch = state.spec, state.best, batches.epoch_of(state.spec, state.round)
    if batches.opens_epoch(spec, state.round) and history.sums is not None:
        history, best = _close_epoch(state, history, numbers)
    sums = add_sums([history.sums, *(n.get("train") for n in numbers)])
    history = replace(history, epoch=epoch, sums=sums)
    latest: Figures = {
        "epoch": epoch + 1,
        **_figures(spec, sums, None),
        **_validation_figures(history),
    }
    if best is not None and _is_out_of_patience(state, best, epoch):
        reason = f"Stopped early after epoch {epoch}: no better since epoch {best.epoch + 1}, whose weights were restored."
        ending = Ending("completed", reason, restored=True)
        return NextRound(
            "open", "best", "evaluate", replace(history, sums=None), best, ending, latest=latest
        )
    if state.round >= spec.rounds:
        ending = Ending("completed", f"All {spec.rounds} rounds are done.")
        return NextRound("open", "merged", "evaluate", history, best, ending, latest=latest)
    if stop:
        ending = Ending(
            "stopped", f"Stopped on request after round {state.round} of {spec.rounds}."
        )
        return NextRound(
            "open", "merged", "evaluate", history, best, ending, resumable=True, latest=latest
        )
    return NextRound("open", "merged", "train", history, best, latest=latest)


def _is_out_of_patience(state: RunState, best: Best, epoch: int) -> bool:
    patience = state.spec.patience
    return (
        patience is not None and best.round != state.round and (epoch - 1) - best.epoch >= patience
    )


def _after_evaluation(
    state: RunState, history: TrainingHistory, numbers: Sequence[ContributionNumbers]
) -> NextRound:
    best, ending = state.best, state.ending or Ending("completed", "")
    if not ending.restored and history.sums is not None:
        history, best = _close_epoch(state, history, numbers)
    training, validation = (
        add_sums([n.get("training") for n in numbers]),
        add_sums([n.get("validation") for n in numbers]),
    )
    metrics = _figures(state.spec, training, validation)
    latest = {**state.latest, **_validation_figures(history)}
    if not ending.restored and best is not None and best.round != state.round:
        reason = f"{ending.reason} The weights of epoch {best.epoch + 1}, the best, were restored."
        restored = replace(ending, reason=reason, restored=True)
        return NextRound("open", "best", "evaluate", history, best, restored, latest=latest)
    return NextRound(
        "finish", "same", "evaluate", history, best, ending, metrics=metrics, latest=latest
    )


def _close_epoch(
    state: RunState, history: TrainingHistory, numbers: Sequence[ContributionNumbers]
) -> tuple[TrainingHistory, Best | None]:
    """The history with its epoch's entry, measured on the parameters at its end; and the best parameters so far."""
    spec = state.spec
    figures = _figures(spec, history.sums, add_sums([n.get("validation") for n in numbers]))
    entry: Figures = {"epoch": history.epoch + 1, "round": state.round - 1, **figures}
    longer = replace(history, entries=[*history.entries, entry], sums=None)
    return longer, _best_after(state, history.epoch, figures)


def _best_after(state: RunState, epoch: int, figures: Figures) -> Best | None:
    """The better of the best parameters so far and the present ones, where early stopping watches."""
    value = figures.get("val_loss" if state.spec.has_validation else "loss")
    if (
        state.spec.patience is None
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
    ):
        return state.best
    if state.best is not None and value >= state.best.value:
        return state.best
    return Best(state.round, state.params, value, epoch)


def _figures(spec: Spec, training: MetricSums | None, validation: MetricSums | None) -> Figures:
    """The figures of an epoch; those of the validation rows with the prefix "val_"."""
    figures = combine(spec, [training])
    undefined = _undefined(figures)
    if spec.has_validation and validation is not None:
        measured = combine(spec, [validation])
        undefined |= {f"val_{name}": why for name, why in _undefined(measured).items()}
        figures |= {f"val_{name}": value for name, value in measured.items()}
    return {**figures, "undefined": undefined} if undefined else figures


def _undefined(figures: Figures) -> dict[str, str]:
    """Take the reasons for undefined values out of figures."""
    reasons = figures.pop("undefined", None)
    return dict(reasons) if isinstance(reasons, Mapping) else {}


def _validation_figures(history: TrainingHistory) -> Figures:
    return (
        {k: v for k, v in history.entries[-1].items() if k.startswith("val_")}
        if history.entries
        else {}
    )
