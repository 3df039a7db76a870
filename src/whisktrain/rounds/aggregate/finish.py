"""FINISH: from the last round to the summary and a clean database (F1 to F5).

Every execution that finds a run final continues at F2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from whisktrain.data.shards.storage import StoredDataset, find_dataset
from whisktrain.errors import Damaged, StoreError, StoreRefused
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.checkpoint import Checkpoint
from whisktrain.records.models import ModelFiles, ModelRecords
from whisktrain.records.run import Outcome, RunState, Status
from whisktrain.records.run_records import RunRecords
from whisktrain.records.summary import summarize
from whisktrain.rounds.aggregate.optimizer_state import restore
from whisktrain.rounds.aggregate.sweep import forget_deleted
from whisktrain.rounds.caches import blueprint_of
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.tensors import Tensors

__all__ = ["FinalState", "end", "finish", "make_checkpoint"]


@dataclass(frozen=True, slots=True)
class FinalState:
    """The final state that a run is to have.

    Attributes:
        status: The status.
        reason: Why, for a person.
        outcome: What it adds.
    """

    status: Status
    reason: str
    outcome: Outcome


def end(records: RunRecords, state: RunState, final: FinalState, nonce: str) -> bool:
    """Bring a run into its final state (F1).

    Returns:
        Whether the run is final now, by this execution; otherwise another execution has advanced it.
    """
    failpoint(Step.SWAP_FINAL)
    ended = replace(
        state, status=final.status, reason=final.reason, outcome=final.outcome, nonce=nonce
    )
    swapped = records.swap(ended)
    failpoint(Step.FINAL)
    return swapped is not None


def finish(records: RunRecords) -> None:
    """Publish, summarize and clean up a run that is final (F2 to F5); safe to repeat, and to do side by side."""
    state = records.read()
    if state is None or not state.final or state.outcome is None:
        return
    archive = RunArchive(records.store, records.run)
    if archive.summary() is None and not _archive(records, archive, state):
        return  # the parameters are gone: another execution has put the summary and is cleaning up
    forget_deleted(records)

    failpoint(Step.DELETE_DOCUMENTS)
    found = records.leftovers()
    records.delete_documents(found, found)
    failpoint(Step.DELETE_RUN)
    records.delete(state.rev)


def _archive(records: RunRecords, archive: RunArchive, state: RunState) -> bool:
    """Put model, checkpoint and summary (F2 and F3); False where the parameters to publish are gone."""
    dataset = find_dataset(records.store, state.spec.dataset, attachment=True)
    failpoint(Step.PUBLISH)
    try:
        published = _publish(records, state, dataset)
    except (Damaged, StoreRefused) as error:
        if not _is_lasting(error):
            raise
        # The model is lost: the run ends as failed instead of trying to publish it for ever.
        published, state = False, _without_model(state, error)
    if published is None:
        return False
    failpoint(Step.PUT_CHECKPOINT)
    if not _put_checkpoint(records, archive, state):
        state = replace(state, point=None)

    failpoint(Step.PUT_SUMMARY)
    classes = dataset.body.get("classes") if dataset is not None else None
    outcome = state.outcome
    history = outcome.history if outcome is not None and outcome.history is not None else None
    history = history or records.read_history(state.params)
    # Where a block is gone, another execution is cleaning up, and its summary stays.
    entries = records.history.entries(history) or history.entries
    archive.put_summary(summarize(state, entries, classes, published=published))
    return True


def _publish(records: RunRecords, state: RunState, dataset: StoredDataset | None) -> bool | None:
    """Put the model and point its name to it (F2). Whether there is a model; None where its parameters are gone."""
    outcome = state.outcome
    if outcome is None or outcome.publish is None:
        return False
    params, blueprint = records.read_params(outcome.publish), blueprint_of(records)
    if params is None or blueprint is None:
        return None
    spec = state.spec
    described = dataset.body if dataset is not None else None
    files = ModelFiles(
        params.tensors, blueprint.config, dataset.preprocessing if dataset is not None else b""
    )
    models = ModelRecords(records.store)
    models.publish(
        spec.name,
        state.version,
        {
            "schema": ids.SCHEMA,
            "run": state.run,
            "dataset": spec.dataset,
            "task": spec.task,
            "classes": described.get("classes") if described is not None else None,
            "target": described.get("target") if described is not None else None,
            "features": described.get("features") if described is not None else None,
            "x_shape": list(spec.x_shape),
            "layout": blueprint.layout,
            "metrics": outcome.metrics,
            "spec": spec.to_json(),
        },
        files,
    )
    failpoint(Step.RAISE_ALIAS)
    models.raise_alias(spec.name, state.version, completed=state.status == "completed")
    return True


def _is_lasting(error: StoreError) -> bool:
    """Whether trying again later is of no use: a full disk is freed, a larger document never taken."""
    return isinstance(error, Damaged) or error.code == "store_too_large"


def _without_model(state: RunState, error: StoreError) -> RunState:
    """The run as failed because its parameters to publish are damaged, or larger than what the store takes."""
    what = "read any more" if isinstance(error, Damaged) else "published"
    reason = f"The trained parameters cannot be {what}: {error.message}"
    outcome = replace(
        state.outcome or Outcome(0.0), publish=None, error={**error.to_record(), "message": reason}
    )
    return replace(state, status="failed", reason=reason, outcome=outcome)


def _put_checkpoint(records: RunRecords, archive: RunArchive, state: RunState) -> bool:
    """Put the checkpoint of a run that can be resumed; whether there is one."""
    try:
        checkpoint = make_checkpoint(records, state)
        if checkpoint is not None:
            archive.put_checkpoint(checkpoint)
    except (Damaged, StoreRefused) as error:
        if not _is_lasting(error):
            raise
        return False
    return checkpoint is not None


def make_checkpoint(records: RunRecords, state: RunState) -> Checkpoint | None:
    """Read a run's checkpoint from the documents that its state pins.

    Args:
        records: The run's documents.
        state: The run.

    Returns:
        The checkpoint; None where the run has no resume point, or where a document is gone.

    Raises:
        Damaged: A document is not whole.
    """
    point = state.point
    params = records.read_params(point.params) if point is not None else None
    blueprint = blueprint_of(records)
    if point is None or params is None or blueprint is None:
        return None
    optimizer_state: Tensors | None = None
    if point.round > 1:
        optimizer_state = restore(records, state, point.round, params.digest)
        if optimizer_state is None:
            return None
    best = None
    if point.best is not None and point.best.params != point.params:
        best = records.read_params(point.best.params)
        if best is None:
            return None
    entries = records.history.entries(params.history)
    if entries is None:
        return None
    return Checkpoint(
        spec=state.spec,
        round=point.round,
        blueprint=blueprint,
        params=params.tensors,
        optimizer_state=optimizer_state,
        best=best.tensors if best is not None else None,
        best_at=point.best,
        history=replace(params.history, entries=entries, blocks=0),
    )
