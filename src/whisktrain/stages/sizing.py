"""The size of a run's model as far as it is known before it is built, and the memory that follows from it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from whisktrain.learning.building import presets
from whisktrain.records import ids
from whisktrain.records.models import ModelRecords
from whisktrain.rounds.fitting import give_memory, slots_within
from whisktrain.rules.memory import ModelSize, need_of, size_of

if TYPE_CHECKING:
    from whisktrain.records.run import PlatformFacts
    from whisktrain.rounds.invoker import Invoker
    from whisktrain.rules.capacity import Limits
    from whisktrain.spec import Layout, Spec
    from whisktrain.store.protocol import Store

__all__ = ["fitted"]

_WITH_OPTIMIZER = 3
"""A .keras file may hold the state of an optimizer beside the weights: two tensors for each."""


def fitted(
    store: Store, invoker: Invoker, spec: Spec, limits: Limits, layout: Layout | None = None
) -> tuple[Spec, PlatformFacts]:
    """A plan for which the actions have the memory, and what is known of the platform.

    Args:
        store: The store.
        invoker: Raises the actions' memory, where the host allows that.
        spec: The plan.
        limits: The platform's limits.
        layout: The model's layout, where it is built already.

    Raises:
        ConfigurationError: The actions have too little memory, and only who deployed them can change that.
        PlatformError: The host refused to raise it.
    """
    facts = _facts(store, spec, limits)
    size = size_of(layout) if layout is not None else _known_size(store, spec, limits)
    if size is not None:
        facts = give_memory(invoker, need_of(spec, size, facts), size, facts)
    return replace(spec, slots=slots_within(spec.slots, facts)), facts


def _facts(store: Store, spec: Spec, limits: Limits) -> PlatformFacts:
    actions = limits.actions
    facts: PlatformFacts = {
        "invocations_per_minute": limits.invocations_per_minute,
        "worker_mb": actions.worker,
        "aggregate_mb": actions.aggregate,
        "predict_mb": actions.predict,
        "train_mb": actions.train,
        "largest_mb": limits.max_memory_mb,
        "elastic": limits.one_machine,
        "rows_bytes": _rows_bytes(store, spec),
    }
    if limits.memory_mb is not None:
        facts["container_mb"] = limits.memory_mb
    return facts


def _rows_bytes(store: Store, spec: Spec) -> int:
    """Bytes of the largest shard and its validation slice."""
    largest = int(np.argmax(spec.shard_rows))
    parts = ids.shard(spec.dataset, largest), ids.validation(spec.dataset, largest)
    found = (store.library.get(part) for part in parts)
    return sum(document.attachment_size or 0 for document in found if document is not None)


def _known_size(store: Store, spec: Spec, limits: Limits) -> ModelSize | None:
    """The model's size as its source tells it; None where only building it will."""
    source = spec.model
    if "preset" in source:
        return _of_bytes(4 * presets.parameters(source["preset"], spec.x_shape, spec.classes))
    if "file" in source and "factory" not in source:
        upload = store.library.get(source["file"])
        if upload is None:
            return None
        nbytes = int(upload.body["size"])
        # A platform's operator is asked for no more than is surely needed; once the model is built its size is known.
        return _of_bytes(nbytes if limits.one_machine else nbytes // _WITH_OPTIMIZER)
    if "init" in source:
        name, _, version = source["init"].rpartition(":")
        model = ModelRecords(store).find(name, int(version))
        return size_of(model.body["layout"]) if model is not None else None
    return None


def _of_bytes(nbytes: int) -> ModelSize:
    return ModelSize(nbytes, nbytes, nbytes // 4)
