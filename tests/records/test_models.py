"""Models, their versions and their aliases, also while two runs publish at once."""

from __future__ import annotations

import numpy as np
import pytest
from interrupted import InterruptedStore, after, answer_lost
from plans import plan_of

from whisktrain.errors import Conflict, Damaged
from whisktrain.records import ids
from whisktrain.records.models import ModelBody, ModelFiles, ModelRecords
from whisktrain.spec import Blueprint
from whisktrain.store.protocol import Store

FILES = ModelFiles({"w": np.arange(3, dtype=np.float32)}, b"{}", b"fitted")
BODY: ModelBody = {
    "schema": 1,
    "run": "r",
    "dataset": "d",
    "task": "classification",
    "classes": ["a", "b"],
    "target": "t",
    "features": ["x"],
    "x_shape": [1],
    "layout": {"tensors": []},
    "metrics": {"loss": 0.5},
    "spec": plan_of().to_json(),
}


@pytest.fixture
def models(store: Store) -> ModelRecords:
    return ModelRecords(store)


def publish(models: ModelRecords, name: str, version: int, *, completed: bool = True) -> None:
    models.publish(name, version, BODY, FILES)
    models.raise_alias(name, version, completed=completed)


def test_a_model_is_published_once_and_read_back(models: ModelRecords) -> None:
    assert (
        models.find("m", 1) is None and models.read("m", 1) is None and models.newest("m") is None
    )
    publish(models, "m", 1)
    models.publish("m", 1, BODY | {"run": "late"}, FILES)
    found = models.find("m", 1)
    assert found is not None
    assert (found.reference, found.body["run"], found.files) == (
        "m:1",
        "r",
        None,
    ) and found.nbytes > 0
    read = models.read("m", 1)
    assert read is not None
    model, files = read
    assert files.params["w"].tolist() == [0, 1, 2]
    assert (files.config, files.preprocessing) == (b"{}", b"fitted")
    assert model.blueprint(files) == Blueprint({"tensors": []}, b"{}")


def test_a_model_whose_files_are_damaged_is_refused(store: Store, models: ModelRecords) -> None:
    store.library.put(ids.model("m", 1), dict(BODY), attachment=b"not tensors")
    with pytest.raises(Damaged):
        models.read("m", 1)
    store.library.put(ids.model("m", 2), dict(BODY))
    assert models.read("m", 2) is None


def test_models_are_listed_by_name_and_then_by_number(models: ModelRecords) -> None:
    for name, version in (("m", 10), ("m", 2), ("a", 1)):
        publish(models, name, version)
    assert [model.reference for model in models.list()] == ["a:1", "m:2", "m:10"]
    assert models.names() == ["a", "m"] and models.versions("m") == [2, 10]


def test_a_run_owns_one_version(models: ModelRecords) -> None:
    assert models.reserve_version("m", "r") == 1
    assert models.reserve_version("m", "r") == 1
    assert models.reserve_version("m", "q") == 2
    assert models.reserve_version("other", "q") == 1


def test_of_two_runs_that_reserve_at_once_the_later_gets_the_next_version(
    store: Store, models: ModelRecords
) -> None:
    interrupted = InterruptedStore(store)
    interrupted.library.interrupt["put"] = [after(lambda: models.reserve_version("m", "q"))]
    assert ModelRecords(interrupted).reserve_version("m", "r") == 2


def test_a_reservation_whose_answer_was_lost_is_recognised(store: Store) -> None:
    interrupted = InterruptedStore(store)
    interrupted.library.interrupt["put"] = [
        answer_lost(Conflict("a repeated request found what the first had written"))
    ]
    assert ModelRecords(interrupted).reserve_version("m", "r") == 1


def test_the_name_points_to_the_newest_completed_version(models: ModelRecords) -> None:
    publish(models, "m", 2)
    publish(models, "m", 1)
    assert models.newest("m") == 2, "never downward"
    publish(models, "m", 3, completed=False)
    assert models.newest("m") == 2, "a stopped run replaces no other version"
    publish(models, "n", 1, completed=False)
    assert models.newest("n") == 1, "but the first one"


def test_an_alias_that_moved_meanwhile_is_read_again(store: Store, models: ModelRecords) -> None:
    publish(models, "m", 1)
    interrupted = InterruptedStore(store)
    interrupted.library.interrupt["put"] = [
        after(lambda: models.raise_alias("m", 2, completed=True))
    ]
    ModelRecords(interrupted).raise_alias("m", 3, completed=True)
    assert models.newest("m") == 3


def test_deleted_versions_leave_the_name_on_the_newest_that_is_left(models: ModelRecords) -> None:
    for version in (1, 2, 3):
        publish(models, "m", version)
    models.delete("m", [1])
    assert models.newest("m") == 3 and models.versions("m") == [2, 3]
    models.delete("m", [3])
    assert models.newest("m") == 2
    models.delete("m", [2])
    assert models.newest("m") is None and models.versions("m") == []
    models.delete("m", [2])
    assert models.names() == []
