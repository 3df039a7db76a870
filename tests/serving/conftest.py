"""Models in a real store, published as the rounds publish them, without the time that training takes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from whisktrain import tensors
from whisktrain.errors import Conflict
from whisktrain.openwhisk.limits import Limits
from whisktrain.records import ids
from whisktrain.request import Request, parse
from whisktrain.store.opening import open_store
from whisktrain.store.protocol import Store

Publish = Callable[..., str]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = open_store(f"sqlite:{tmp_path / 'store'}")
    opened.ensure()
    yield opened
    opened.close()


@pytest.fixture
def publish(store: Store) -> Publish:
    """Publish a model with its first, seeded weights under a name, as the next version."""
    from whisktrain.learning import KerasLearner
    from whisktrain.stages.planning import resolve_spec
    from whisktrain.stages.preprocess import preprocess

    def make(
        name: str, data: Any, *, seed: int = 0, model: str = "linear", version: int = 1
    ) -> str:
        request = parse(
            Request,
            {"data": data, "model": model, "train": {"name": name, "seed": seed, "workers": 1}},
        )
        dataset = preprocess(request, store, workers=1)["dataset"]
        held = store.library.get(ids.dataset(dataset), attachment=True)
        assert held is not None
        spec = resolve_spec(request, dataset, held.body, Limits())
        built = KerasLearner().build(spec, {})
        files = {
            "file/config": built.blueprint.config,
            "file/preprocessing": held.attachment or b"",
        }
        attached = {**built.params, **{k: np.frombuffer(v, np.uint8) for k, v in files.items()}}
        body = {
            "schema": 1,
            "run": "r",
            "dataset": dataset,
            "task": spec.task,
            "classes": held.body["classes"],
            "target": held.body["target"],
            "features": held.body["features"],
            "x_shape": list(spec.x_shape),
            "layout": built.blueprint.layout,
            "metrics": {},
            "spec": spec.to_json(),
        }
        store.library.put(ids.model(name, version), body, attachment=tensors.encode(attached))
        alias = store.library.get(ids.alias(name))
        with contextlib.suppress(Conflict):
            store.library.put(
                ids.alias(name), {"schema": 1, "version": version}, rev=alias.rev if alias else None
            )
        return f"{name}:{version}"

    return make
