"""The memory that a run's actions need, from the size of its model, its optimizer, its shards and its rows. Pure.

The constants were measured on the embedded host and in the Python 3.11 action image, with models of 0.1 to 25 million
parameters: private memory, as a container's limit counts it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np

from whisktrain.errors import ConfigurationError
from whisktrain.records.run import PlatformFacts
from whisktrain.rules.assignment import owned
from whisktrain.spec import Layout, Spec, state_tensors

__all__ = [
    "ModelSize",
    "Need",
    "doubled",
    "fits",
    "given_memory",
    "memory_of",
    "need_of",
    "size_of",
]

MB = 2**20
_TENSORFLOW_MB = 250
"""A worker or predict with a small model."""
_LIGHT_MB = 50
"""An aggregate with a small model."""
_WORKER_COPIES = 9
"""Copies of the parameters in a worker: it reads, builds, feeds and differentiates them, and writes gradients."""
_PREDICT_COPIES = 5
_CACHED_ROWS = 128 * MB
"""Bytes of rows that a worker keeps beside the shard that it works on."""
_HEADROOM = 1.5
"""What is asked for, over the least that a run needs."""
_STEP_MB = 64


class ModelSize(NamedTuple):
    """The size of a model.

    Attributes:
        nbytes: Bytes of all its tensors.
        trainable: Bytes of the trainable ones.
        parameters: Number of parameters.
        activations: Bytes of what its layers answer for one row; 0 where it is not known.
    """

    nbytes: int
    trainable: int
    parameters: int
    activations: int = 0


class Need(NamedTuple):
    """The least memory that each action needs, in MB."""

    worker: int
    aggregate: int
    predict: int


def size_of(layout: Layout) -> ModelSize:
    """The size of a model that is built."""
    counts = {entry["name"]: int(np.prod(entry.get("shape", [0]))) for entry in layout["tensors"]}
    nbytes = {e["name"]: counts[e["name"]] * _item(e.get("dtype")) for e in layout["tensors"]}
    trainable = sum(nbytes[e["name"]] for e in layout["tensors"] if e["role"] == "trainable")
    return ModelSize(
        sum(nbytes.values()), trainable, sum(counts.values()), layout.get("activations", 0)
    )


def _item(dtype: str | None) -> int:
    """Bytes of one number; as of float32 for what NumPy itself does not know, such as bfloat16."""
    try:
        found = np.dtype(dtype or "float32")
    except TypeError:
        return 4
    # Keras registers further types with NumPy, as kind "V": plans must not depend on whether it was imported.
    return found.itemsize if found.kind in "biuf" else 4


def need_of(spec: Spec, size: ModelSize, facts: PlatformFacts) -> Need:
    """The least memory that the actions of a run need.

    Args:
        spec: The plan.
        size: The model's size.
        facts: What is known of the platform: the bytes of rows; where documents are sent over HTTP, that takes a copy.
    """
    return Need(
        worker=_worker(spec, size, facts.get("rows_bytes", 0)),
        aggregate=_aggregate(spec, size, 1 if facts.get("elastic") else 2),
        predict=_TENSORFLOW_MB + _megabytes(_PREDICT_COPIES * size.nbytes),
    )


def _worker(spec: Spec, size: ModelSize, rows_bytes: int) -> int:
    copies = _WORKER_COPIES * size.nbytes
    if spec.sync == "local":
        copies += len(state_tensors(spec.optimizer)) * size.trainable
    others = (len(owned(0, spec.slots, spec.shards)) - 1) * rows_bytes
    rows = 2 * rows_bytes + min(others, _CACHED_ROWS)
    at_once = spec.batch or max(spec.shard_rows)
    if spec.sync == "gradient" and spec.batch:
        at_once = -(-spec.batch // spec.shards)
    return _TENSORFLOW_MB + _megabytes(copies + rows + 2 * size.activations * at_once)


def _aggregate(spec: Spec, size: ModelSize, sent: int) -> int:
    """Parameters and optimizer state, and the larger of: what a round is merged or replayed from; what is stored."""
    updated = spec.optimizer if spec.sync == "gradient" else None
    kept = len(state_tensors(updated)) if updated else int(spec.outer["name"] != "average")
    state = kept * size.trainable
    updates = size.nbytes + (spec.shards + 2) * size.trainable
    best = size.nbytes if spec.patience is not None else 0
    stored = max(sent * max(state, size.nbytes), best + sent * (size.nbytes + state + best))
    return _LIGHT_MB + _megabytes(size.nbytes + state + max(updates, stored))


def _megabytes(nbytes: int) -> int:
    return -(-nbytes // MB)


def fits(spec: Spec, layout: Layout, facts: PlatformFacts) -> bool:
    """Whether a worker of a model that is built has the memory that it needs, as far as is known."""
    return "worker" not in _short(need_of(spec, size_of(layout), facts), facts)


def _short(need: Need, facts: PlatformFacts) -> dict[str, int]:
    """The actions that have less memory than they need, each with the memory to ask for: with some headroom."""
    has = memory_of(facts)
    return {
        action: -(-int(least * _HEADROOM) // _STEP_MB) * _STEP_MB
        for action, least in need._asdict().items()
        if has.get(action, least) < least
    }


def given_memory(need: Need, size: ModelSize, facts: PlatformFacts) -> PlatformFacts:
    """What a run's actions shall have: more than they have, where they need it and the host lets a run raise it.

    Args:
        need: What they need.
        size: The model's size.
        facts: What is known of the platform.

    Returns:
        The same facts where the memory suffices; else with the memory to give the actions.

    Raises:
        ConfigurationError: An action needs more than it has, and only who deployed it can change that.
    """
    wanted, has = _short(need, facts), memory_of(facts)
    if not wanted:
        return facts
    most, in_all = facts.get("largest_mb"), facts.get("container_mb")
    least = need._asdict()
    if facts.get("elastic") and all(most is None or least[action] <= most for action in wanted):
        given = {action: min(mb, most or mb) for action, mb in wanted.items()}
        after = {**has, **given}
        if in_all is None or sum(after[a] for a in ("worker", "aggregate", "train")) <= in_all:
            return {
                **facts,
                "worker_mb": after["worker"],
                "aggregate_mb": after["aggregate"],
                "predict_mb": after["predict"],
            }
    raise _too_little(wanted, facts, size)


def doubled(facts: PlatformFacts, action: Literal["worker", "aggregate"]) -> PlatformFacts:
    """An action with twice the memory, after one was killed for it; within what the host allows a run."""
    has = memory_of(facts)
    most = facts.get("largest_mb", 0)
    if not facts.get("elastic") or action not in has:
        return facts
    others = sum(has.get(a, 0) for a in ("worker", "aggregate", "train") if a != action)
    given = max(has[action], min(2 * has[action], most, facts.get("container_mb", most) - others))
    if action == "worker":
        return {**facts, "worker_mb": given}
    return {**facts, "aggregate_mb": given}


def memory_of(facts: PlatformFacts) -> dict[str, int]:
    """The memory of each action, where it is known."""
    known = {
        "worker": facts.get("worker_mb"),
        "aggregate": facts.get("aggregate_mb"),
        "train": facts.get("train_mb"),
        "predict": facts.get("predict_mb"),
    }
    return {action: mb for action, mb in known.items() if mb is not None}


def _too_little(
    wanted: Mapping[str, int], facts: PlatformFacts, size: ModelSize
) -> ConfigurationError:
    """The refusal of a run whose model does not fit into the actions."""
    has, most, in_all = memory_of(facts), facts.get("largest_mb"), facts.get("container_mb")
    parts = [f"{action} has {has[action]} MB and needs {mb} MB" for action, mb in wanted.items()]
    what = f"The model has {size.parameters:,} parameters ({_megabytes(size.nbytes)} MB): {', '.join(parts)}"
    if facts.get("elastic"):
        what += f"; an action may have {most} MB here, and all together {in_all} MB"
        hint = "Use a smaller model, or a machine with more memory."
    else:
        names = " ".join(f"WHISKTRAIN_{a.upper()}_MEMORY={mb}" for a, mb in wanted.items())
        hint = f"Set {names} and deploy again: whisktrain deploy."
        largest = max(wanted.values())
        if most is not None and largest > most:
            hint += f" An action may have {most} MB here: first have that raised, -Dwhisk.memory.max={largest}m."
    return ConfigurationError(f"{what}.", code="too_little_memory", hint=hint)
