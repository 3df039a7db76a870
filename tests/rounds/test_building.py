"""Round 0: the model from the plan's files, or from the checkpoint of a stopped run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy_learner import NumpyLearner
from plans import plan_of
from single import Invocations, change, create_run, serve_worker, state_of

from whisktrain import tensors
from whisktrain.data.sources.uploads import put_upload
from whisktrain.records.archive import RunArchive
from whisktrain.records.checkpoint import Checkpoint
from whisktrain.records.history import TrainingHistory
from whisktrain.records.models import ModelFiles, ModelRecords
from whisktrain.records.run import Best
from whisktrain.records.run_records import RunRecords
from whisktrain.rounds.opening import create
from whisktrain.spec import Blueprint, Built, Spec
from whisktrain.store.protocol import Store

WEIGHTS = {"w": np.arange(3, dtype=np.float32)}


class Files(NumpyLearner):
    """Keeps the files that it was given to build from."""

    def build(self, spec: Spec, files: Mapping[str, bytes]) -> Built:
        self.files = dict(files)
        return super().build(spec, files)


def built_from(store: Store, model: dict[str, Any]) -> dict[str, bytes]:
    learner = Files()
    create_run(store, model=model)
    assert serve_worker(store, learner=learner)["left"] == "the model is built"
    return learner.files


def test_a_preset_needs_no_files(store: Store) -> None:
    assert built_from(store, {"preset": "linear"}) == {}


def test_an_uploaded_model_is_read(store: Store) -> None:
    upload = put_upload(store, b"keras archive", "model.keras")
    assert built_from(store, {"file": upload}) == {"file": b"keras archive"}


def test_an_uploaded_factory_is_read(store: Store) -> None:
    upload = put_upload(store, b"def model(): ...", "model.py")
    assert built_from(store, {"factory": "model.py:model", "file": upload}) == {
        "factory": b"def model(): ..."
    }


def test_an_earlier_model_is_read(store: Store) -> None:
    files = ModelFiles(WEIGHTS, b"{}", b"fitted")
    ModelRecords(store).publish("m", 3, {"layout": {"tensors": []}}, files)
    found = built_from(store, {"init": "m:3"})
    assert found["config"] == b"{}" and tensors.decode(found["init"])["w"].tolist() == [0, 1, 2]


def test_an_earlier_model_that_was_deleted_is_a_failure(store: Store) -> None:
    records = create_run(store, model={"init": "m:3"})
    assert serve_worker(store)["left"].startswith(
        "shard 0 failed: The model 'm:3' to start from does not exist any more."
    )
    (failure,) = records.failures(0)
    assert failure.error["hint"] == "Name another with --init."


def checkpoint(round_: int, best_at: Best | None) -> Checkpoint:
    return Checkpoint(
        spec=plan_of(),
        round=round_,
        blueprint=Blueprint({"tensors": []}, b"stopped"),
        params=WEIGHTS,
        optimizer_state={"momentum/w": np.ones(3, np.float32)} if round_ > 1 else None,
        best={"w": np.full(3, 7, np.float32)} if best_at is not None else None,
        best_at=best_at,
        history=TrainingHistory([{"epoch": 1}], 1, None),
    )


def resumed(store: Store, round_: int, best: Best | None) -> RunRecords:
    RunArchive(store, "stopped").put_checkpoint(checkpoint(round_, best))
    plan = plan_of(lease=0.0, resumed="stopped", first_round=round_)
    create(
        store,
        Invocations(),
        "r",
        plan,
        best=replace(best, params=f"params:r:{best.round}") if best is not None else None,
    )
    assert serve_worker(store)["left"] == "the model is built"
    return RunRecords(store, "r")


def test_a_resumed_run_starts_from_the_checkpoint(store: Store) -> None:
    records = resumed(store, 5, Best(3, "params:stopped:3", 0.5, 0))
    assert records.read_blueprint() == Blueprint({"tensors": []}, b"stopped")
    params, best = records.read_params("params:r:5"), records.read_params("params:r:3")
    assert params is not None and params.tensors["w"].tolist() == [0, 1, 2]
    assert params.history.entries == [{"epoch": 1}]
    assert best is not None and best.tensors["w"].tolist() == [7, 7, 7]
    state = records.read_optimizer_state(5)
    assert state is not None and state["momentum/w"].tolist() == [1, 1, 1]


def test_best_parameters_that_are_the_first_ones_are_not_stored_twice(store: Store) -> None:
    records = resumed(store, 5, Best(5, "params:stopped:5", 0.5, 0))
    params = records.read_params("params:r:5")
    assert params is not None and params.tensors["w"].tolist() == [0, 1, 2]


def test_a_run_resumed_before_its_first_round_has_no_optimizer_state(store: Store) -> None:
    records = resumed(store, 1, None)
    assert records.optimizer_state_rounds() == []
    assert records.read_params("params:r:1") is not None


def test_a_second_builder_changes_nothing(store: Store) -> None:
    records = create_run(store)
    serve_worker(store, execution="a")
    first = records.read_params("params:r:1")
    serve_worker(store, execution="b")
    again = records.read_params("params:r:1")
    assert first is not None and again is not None and again.rev == first.rev
    builder = records.builder()
    assert builder is not None and builder["execution"] == "a"


def test_a_run_that_was_opened_before_is_continued(store: Store) -> None:
    records = create_run(store)
    serve_worker(store)
    invoker = Invocations()
    opened = create(store, invoker, "r", plan_of(name="other"))
    assert opened.state == state_of(records) and opened.state.spec.name == "m"
    assert invoker.made == [("worker", {"run": "r", "slot": 0})]
    change(records, round=1, phase="train", params="params:r:1")
    assert create(store, invoker, "r", plan_of()).state == state_of(records)
    assert len(invoker.made) == 1, "its model is built: its workers come by themselves"
