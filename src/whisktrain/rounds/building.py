"""Round 0: slot 0 makes the model, or takes it over from a checkpoint, and puts the first parameters, last of all."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from whisktrain import tensors
from whisktrain.errors import NotFound
from whisktrain.records import ids
from whisktrain.records.history import TrainingHistory
from whisktrain.records.params import create, put_params
from whisktrain.records.run import RunState
from whisktrain.rounds.checkpoint import read_checkpoint
from whisktrain.rounds.failpoints import failpoint
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.rounds.optimizer_state import put_moments
from whisktrain.spec import Blueprint, Learner
from whisktrain.store.protocol import Store
from whisktrain.tensors import Tensors

__all__ = ["build"]


def build(store: Store, state: RunState, learner: Learner, shift: LeaseClock) -> None:
    """Put the blueprint and the parameters of the first round; a document that exists already counts as done.

    Two builders put the same bytes, because every draw comes from the plan's seed.
    """
    run, spec = state.run, state.spec
    if spec.resumed is None:
        built = learner.build(spec, _files(store, state))
        _put_blueprint(store, run, built.blueprint, shift)
        _put_first(store, state, built.params, TrainingHistory())
        return
    checkpoint = read_checkpoint(store, spec.resumed)
    _put_blueprint(store, run, checkpoint.blueprint, shift)
    failpoint("W3.moments")
    if checkpoint.moments is not None:
        put_moments(store, ids.moments(run, spec.first_round), checkpoint.moments)
    if checkpoint.best is not None and state.best is not None and state.best.round != spec.first_round:
        put_params(store, state.best.params, checkpoint.best, TrainingHistory(), parent="", merged=())
    _put_first(store, state, checkpoint.params, checkpoint.story)


def _put_blueprint(store: Store, run: str, blueprint: Blueprint, shift: LeaseClock) -> None:
    """The builder's lease goes with it: it stays for the rounds, and need not be invoked again."""
    failpoint("W3.blueprint")
    builder = {"execution": shift.execution, "start": round(shift.start, 3), "lease_end": round(shift.lease_end, 3)}
    create(store, ids.blueprint(run), {"layout": blueprint.layout, "builder": builder}, blueprint.config)


def _put_first(store: Store, state: RunState, values: Tensors, story: TrainingHistory) -> None:
    failpoint("W3.params")
    put_params(store, ids.params(state.run, state.spec.first_round), values, story, parent="", merged=())


def _files(store: Store, state: RunState) -> Mapping[str, bytes]:
    """What the plan's model refers to."""
    model = state.spec.model
    if "file" in model:
        from whisktrain.data.sources.uploads import get_upload

        return {"factory" if "factory" in model else "file": get_upload(store, model["file"]).bytes}
    if "init" in model:
        name, _, version = str(model["init"]).rpartition(":")
        found = store.library.get(ids.model(name, int(version)), attachment=True)
        if found is None or found.attachment is None:
            raise NotFound(
                f"The model {model['init']!r} to start from does not exist any more.", hint="Name another with --init."
            )
        held = tensors.decode(found.attachment)
        config = np.asarray(held["file/config"]).tobytes()
        return {"init": tensors.encode({k: v for k, v in held.items() if not k.startswith("file/")}), "config": config}
    return {}
