"""FINISH: from the last round to the summary and a clean database (F1 to F5). Whoever finds a run final goes on at F2."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import numpy as np

from whisktrain import tensors
from whisktrain.errors import Conflict, Damaged
from whisktrain.records import ids
from whisktrain.records.params import read_params, read_story
from whisktrain.records.run import Outcome, RunState, Status, read_state
from whisktrain.records.summary import summary_body
from whisktrain.rounds.blueprints import read_blueprint
from whisktrain.rounds.checkpoint import put_checkpoint
from whisktrain.rounds.failpoints import failpoint
from whisktrain.rounds.swap import swap
from whisktrain.rounds.sweep import leftovers
from whisktrain.store.protocol import Document, Store

__all__ = ["Final", "end", "finish"]


@dataclass(frozen=True, slots=True)
class Final:
    """A final state to be.

    Attributes:
        status: The state.
        reason: Why, for a person.
        outcome: What it adds.
    """

    status: Status
    reason: str
    outcome: Outcome


def end(store: Store, state: RunState, final: Final, nonce: str) -> bool:
    """F1: bring a run into its final state.

    Returns:
        Whether the run is final now, by this execution; otherwise it has moved on.
    """
    failpoint("F1")
    ended = replace(state, status=final.status, reason=final.reason, outcome=final.outcome, nonce=nonce)
    swapped = swap(store, ended)
    failpoint("F1.swapped")
    return swapped is not None


def finish(store: Store, run: str) -> None:
    """F2 to F5 for a run that is final; safe to repeat, and to do side by side."""
    state = read_state(store, run)
    if state is None or not state.final or state.outcome is None:
        return
    if store.library.get(ids.summary(run)) is None:
        dataset = store.library.get(ids.dataset(state.spec.dataset), attachment=True)
        failpoint("F2")
        try:
            published = _publish(store, state, dataset)
        except Damaged as error:
            # Nobody can have this model; the run is told as failed rather than tried to be published for ever.
            published, state = False, _without_model(state, error)
        if published is None:
            return  # the parameters are gone: another execution has put the summary and is cleaning up
        failpoint("F2.checkpoint")
        if not _kept(store, state):
            state = replace(state, point=None)

        failpoint("F3")
        body = summary_body(state, read_story(store, state.params), dataset.body if dataset else None, published)
        with contextlib.suppress(Conflict):  # another execution was faster
            store.library.put(ids.summary(run), body, durable=True)

    failpoint("F4")
    found = leftovers(store, run)
    store.rounds.delete_many(found, known=found)
    failpoint("F5")
    store.rounds.delete(ids.run(run), rev=state.rev)


def _kept(store: Store, state: RunState) -> bool:
    """F2: put the checkpoint; whether there is one."""
    try:
        return put_checkpoint(store, state)
    except Damaged:
        return False


def _without_model(state: RunState, error: Damaged) -> RunState:
    """A run whose parameters to publish are damaged."""
    reason = f"The trained parameters cannot be read any more: {error.message}"
    outcome = replace(state.outcome or Outcome(0.0), publish=None, error={**error.to_record(), "message": reason})
    return replace(state, status="failed", reason=reason, outcome=outcome)


def _publish(store: Store, state: RunState, dataset: Document | None) -> bool | None:
    """F2: put the model and move its name to it. Whether there is a model; None where its parameters are gone."""
    outcome = state.outcome
    if outcome is None or outcome.publish is None:
        return False
    params, blueprint = read_params(store, outcome.publish), read_blueprint(store, state.run)
    if params is None or blueprint is None:
        return None
    spec, held = state.spec, dataset.body if dataset else {}
    body = {
        "schema": ids.SCHEMA,
        "run": state.run,
        "dataset": spec.dataset,
        "task": spec.task,
        "classes": held.get("classes"),
        "target": held.get("target"),
        "features": held.get("features"),
        "x_shape": list(spec.x_shape),
        "layout": blueprint.layout,
        "metrics": outcome.metrics,
        "spec": spec.to_json(),
    }
    files = {"file/config": blueprint.config, "file/preprocessing": (dataset.attachment if dataset else None) or b""}
    attached = {**params.tensors, **{name: np.frombuffer(data, np.uint8) for name, data in files.items()}}
    with contextlib.suppress(Conflict):  # it is written once, and this run alone owns the version
        store.library.put(ids.model(spec.name, state.version), body, attachment=tensors.encode(attached), durable=True)
    failpoint("F2.alias")
    _raise_alias(store, spec.name, state.version, completed=state.status == "completed")
    return True


def _raise_alias(store: Store, name: str, version: int, *, completed: bool) -> None:
    """Move a model's name upward to a version, by compare-and-swap; what was stopped never replaces what was completed."""
    while True:
        found = store.library.get(ids.alias(name))
        if found is not None and (not completed or int(found.body["version"]) >= version):
            return
        try:
            store.library.put(
                ids.alias(name),
                {"schema": ids.SCHEMA, "version": version},
                rev=found.rev if found else None,
                durable=True,
            )
        except Conflict:
            continue
        return
