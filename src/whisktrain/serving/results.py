"""Results as JSON: what `train`, `predict` and the sequence answer, each key listed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Required, TypedDict, cast

from whisktrain.records.ids import key_of

if TYPE_CHECKING:
    from whisktrain.data.dataset import UsedData
    from whisktrain.errors import ErrorRecord
    from whisktrain.jsontypes import Json, JsonObject
    from whisktrain.records.cost import CostTotal
    from whisktrain.records.round_times import RoundMs
    from whisktrain.records.run import Status
    from whisktrain.records.summary import RunSummary
    from whisktrain.serving.decisions import Decision
    from whisktrain.spec import Figures, Label, Task

__all__ = [
    "RESULT_KEYS",
    "Decided",
    "DecisionAnswer",
    "RunFigures",
    "RunNames",
    "RunResult",
    "named",
    "result_of",
]


class Decided(TypedDict, total=False):
    """The part of an answer that rows were given for.

    Attributes:
        decisions: One for each row; None where they are stored, or could not be made.
        decisions_at: "upload:ID" of the stored decisions, a file of JSON lines.
        decisions_count: How many are stored.
        message: What the result means, in a sentence or two.
        notices: What was done to the rows.
    """

    decisions: list[Decision] | None
    decisions_at: str
    decisions_count: int
    message: str
    notices: list[str]


class DecisionAnswer(Decided, total=False):
    """The answer of `predict` to rows for a model.

    Attributes:
        model: "NAME:VERSION".
        task: "classification" or "regression".
        classes: The labels; None for regression.
    """

    model: Required[str]
    task: Required[Task]
    classes: Required[list[Label] | None]


class RunFigures(TypedDict, total=False):
    """How a run stands or ended: what every result of a training has.

    Attributes:
        status: "training" where the run goes on, else its final state.
        run: The run's key, or its id where it has none.
        run_id: The run's own id: no other run ever had it, nor will.
        model: "NAME:VERSION"; None where the run published none.
        task: "classification" or "regression".
        classes: The labels; None for regression.
        workers: Shards.
        rounds: Training rounds that were closed.
        seconds: Since the run's creation.
        round_ms: Lengths of rounds.
        metrics: The newest figures; of a run that ended, those of exactly the published parameters.
        cost: Activations and GB-seconds.
    """

    status: Required[Status | Literal["training"]]
    run: Required[str]
    run_id: str
    model: str | None
    task: Task
    classes: list[Json] | None
    workers: int
    rounds: int
    seconds: float
    round_ms: RoundMs
    metrics: Figures
    cost: CostTotal


class RunResult(RunFigures, Decided, total=False):
    """The result of a training.

    Attributes:
        reason: Why the run is in its final state; where it goes on, why the stage did not wait.
        error: Why it failed.
        data: Rows read, used and dropped, the validation split, and what the user should know of the data.
        predict: Of stage 2 only: the request's `predict` section, for stage 3.
        decisions_error: Why there are no decisions on the rows, though the model is trained.
    """

    reason: str
    error: ErrorRecord
    data: UsedData
    predict: JsonObject
    decisions_error: ErrorRecord


RESULT_KEYS: tuple[str, ...] = tuple(RunFigures.__annotations__)


class RunNames(TypedDict):
    """What a run is called: see `RunFigures`."""

    run: str
    run_id: str


def named(run: str) -> RunNames:
    """The names of a run, by its id."""
    return {"run": key_of(run), "run_id": run}


def result_of(summary: RunSummary) -> RunResult:
    """The result of a run that ended, from its summary."""
    known: dict[str, object] = {**summary, **named(summary["run"])}
    kept = (*RESULT_KEYS, "reason", *(["error"] if "error" in known else []))
    return cast(RunResult, {key: known.get(key) for key in kept})
