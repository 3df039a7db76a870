"""The model documents: which run owns a version, the published model, and the name that points to the newest version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict, cast

import numpy as np

from whisktrain import tensors
from whisktrain.errors import Conflict
from whisktrain.jsontypes import Json, JsonObject
from whisktrain.records import ids
from whisktrain.spec import Figures, Layout, Task
from whisktrain.store.protocol import Document, Store
from whisktrain.tensors import Tensors

__all__ = ["ModelBody", "ModelFiles", "publish", "raise_alias", "read_model", "reserve_version"]

_CONFIG, _PREPROCESSING = "file/config", "file/preprocessing"


class ModelBody(TypedDict):
    """The body of a model document.

    Attributes:
        schema: The schema number.
        run: The run that published it.
        dataset: The id of its data set.
        task: "classification" or "regression".
        classes: The labels; None for regression.
        target: The name of the target column.
        features: The names of the features.
        x_shape: The shape of one row of features.
        layout: The model's tensors.
        metrics: The final figures.
        spec: The plan of the run.
    """

    schema: int
    run: str
    dataset: str
    task: Task
    classes: list[Json] | None
    target: str | None
    features: Json
    x_shape: list[int]
    layout: Layout
    metrics: Figures
    spec: JsonObject


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """The attachment of a model document.

    Attributes:
        params: The tensors.
        config: The model's configuration.
        preprocessing: The fitted preprocessing.
    """

    params: Tensors
    config: bytes
    preprocessing: bytes

    def to_bytes(self) -> bytes:
        """The attachment."""
        files = {_CONFIG: self.config, _PREPROCESSING: self.preprocessing}
        return tensors.encode({**self.params, **{name: np.frombuffer(data, np.uint8) for name, data in files.items()}})

    @classmethod
    def from_bytes(cls, data: bytes) -> ModelFiles:
        """The files that `to_bytes` wrote.

        Raises:
            Damaged: The bytes are not whole.
        """
        held = tensors.decode(data)
        config, preprocessing = (held.pop(name, np.empty(0, np.uint8)).tobytes() for name in (_CONFIG, _PREPROCESSING))
        return cls(held, config, preprocessing)


def reserve_version(store: Store, name: str, run: str) -> int:
    """The version of a model that a run owns: the one it took before, else the next free one.

    Args:
        store: The store.
        name: The model's name.
        run: The run's id.
    """
    prefix = f"version:{name}:"
    taken = {int(d.id.removeprefix(prefix)): d.body["run"] for d in store.library.list(prefix)}
    owned = [version for version, owner in taken.items() if owner == run]
    if owned:
        return min(owned)
    version = max(taken, default=0) + 1
    while True:
        try:
            store.library.put(ids.version(name, version), {"schema": ids.SCHEMA, "run": run}, durable=True)
        except Conflict:
            found = store.library.get(ids.version(name, version))
            if found is not None and found.body["run"] == run:
                return version
            version += 1
        else:
            return version


def publish(store: Store, name: str, version: int, body: ModelBody, files: ModelFiles) -> None:
    """Create a model document; the first one stays, since one run alone owns the version."""
    content = cast(dict[str, Json], body)
    try:
        store.library.put(ids.model(name, version), content, attachment=files.to_bytes(), durable=True)
    except Conflict:
        return


def read_model(store: Store, name: str, version: int) -> Document | None:
    """A model's document with its attachment; None where it is absent."""
    found = store.library.get(ids.model(name, version), attachment=True)
    return found if found is not None and found.attachment is not None else None


def raise_alias(store: Store, name: str, version: int, *, completed: bool) -> None:
    """Move a model's name upward to a version, by compare-and-swap.

    Args:
        store: The store.
        name: The model's name.
        version: The version.
        completed: Whether the run completed: a stopped one never replaces another version.
    """
    while True:
        found = store.library.get(ids.alias(name))
        if found is not None and (not completed or int(found.body["version"]) >= version):
            return
        body: JsonObject = {"schema": ids.SCHEMA, "version": version}
        try:
            store.library.put(ids.alias(name), body, rev=found.rev if found else None, durable=True)
        except Conflict:
            continue
        return
