"""Round 0: slot 0 builds the model, or takes it over from a checkpoint, and puts the first parameters last of all."""

from __future__ import annotations

from collections.abc import Mapping

from whisktrain import tensors
from whisktrain.errors import NotFound
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.history import TrainingHistory
from whisktrain.records.models import ModelRecords
from whisktrain.records.run import RunState
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.failpoints import Step, failpoint
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rules.memory import fits
from whisktrain.spec import Blueprint, Learner, ModelSource
from whisktrain.store.protocol import Store
from whisktrain.tensors import Tensors

__all__ = ["build"]


def build(records: RunRecords, state: RunState, learner: Learner, clock: LeaseClock) -> bool:
    """Put the blueprint and the parameters of the first round; a document that exists already counts as done.

    Two builders put the same bytes, because every draw comes from the plan's seed.

    Args:
        records: The run's documents.
        state: The run, at round 0.
        learner: Builds the model.
        clock: The builder's time; its lease is recorded, since it stays for the rounds.

    Returns:
        Whether it stays: whether this container has the memory that the rounds need.
    """
    spec = state.spec
    if spec.resumed is None:
        built = learner.build(spec, _files(records.store, spec.model))
        stays = _put_blueprint(records, state, built.blueprint, clock)
        _put_first_params(records, state, built.params, TrainingHistory())
        return stays
    checkpoint = RunArchive(records.store, spec.resumed).read_checkpoint()
    stays = _put_blueprint(records, state, checkpoint.blueprint, clock)
    failpoint(Step.PUT_RESUMED_STATE)
    if checkpoint.optimizer_state is not None:
        records.put_optimizer_state(spec.first_round, checkpoint.optimizer_state)
    if (
        checkpoint.best is not None
        and state.best is not None
        and state.best.round != spec.first_round
    ):
        records.put_params(state.best.params, checkpoint.best, TrainingHistory())
    _put_first_params(records, state, checkpoint.params, checkpoint.history)
    return stays


def _put_blueprint(
    records: RunRecords, state: RunState, blueprint: Blueprint, clock: LeaseClock
) -> bool:
    """Put the model; whether its builder stays for the rounds."""
    stays = fits(state.spec, blueprint.layout, state.platform)
    clock.begin_serving()
    failpoint(Step.PUT_BLUEPRINT)
    start, lease_end = round(clock.start, 3), round(clock.lease_end if stays else 0.0, 3)
    records.put_blueprint(
        blueprint, {"execution": clock.execution, "start": start, "lease_end": lease_end}
    )
    return stays


def _put_first_params(
    records: RunRecords, state: RunState, values: Tensors, history: TrainingHistory
) -> None:
    failpoint(Step.PUT_FIRST_PARAMS)
    records.put_params(ids.params(state.run, state.spec.first_round), values, history)


def _files(store: Store, model: ModelSource) -> Mapping[str, bytes]:
    """The files that the plan's model refers to."""
    if "file" in model:
        from whisktrain.data.sources.uploads import get_upload

        return {"factory" if "factory" in model else "file": get_upload(store, model["file"]).bytes}
    if "init" in model:
        name, _, version = str(model["init"]).rpartition(":")
        found = ModelRecords(store).read(name, int(version))
        if found is None:
            raise NotFound(
                f"The model {model['init']!r} to start from does not exist any more.",
                hint="Name another with --init.",
            )
        _, files = found
        return {"init": tensors.encode(files.params), "config": files.config}
    return {}
