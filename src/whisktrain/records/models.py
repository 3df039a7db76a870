"""The model documents: which run owns a version, the published model, and the alias that names the newest version."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict, cast

import numpy as np

from whisktrain import tensors
from whisktrain.errors import Conflict
from whisktrain.jsontypes import JsonObject
from whisktrain.records import ids
from whisktrain.spec import Blueprint, Figures, Label, Layout, Task
from whisktrain.store.protocol import Document, Store
from whisktrain.tensors import Tensors

__all__ = ["ModelBody", "ModelFiles", "ModelRecords", "StoredModel"]

_CONFIG, _PREPROCESSING = "file/config", "file/preprocessing"
_PREFIX = "model:"


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
    classes: list[Label] | None
    target: str | None
    features: list[str] | None
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
        return tensors.encode(
            {**self.params, **{name: np.frombuffer(data, np.uint8) for name, data in files.items()}}
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> ModelFiles:
        """The files that `to_bytes` wrote.

        Raises:
            Damaged: The bytes are not whole.
        """
        held = tensors.decode(data)
        config, preprocessing = (
            held.pop(name, np.empty(0, np.uint8)).tobytes() for name in (_CONFIG, _PREPROCESSING)
        )
        return cls(held, config, preprocessing)


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A published model.

    Attributes:
        name: Its name.
        version: Its version.
        rev: The revision of its document.
        nbytes: The bytes of its attachment.
        body: The body of its document.
        files: Its attachment, where it was read.
    """

    name: str
    version: int
    rev: str
    nbytes: int
    body: ModelBody
    files: ModelFiles | None = None

    @property
    def reference(self) -> str:
        """The model as "NAME:VERSION"."""
        return f"{self.name}:{self.version}"

    def blueprint(self, files: ModelFiles) -> Blueprint:
        """The model as a learner opens it."""
        return Blueprint(self.body["layout"], files.config)

    @classmethod
    def of(cls, document: Document) -> StoredModel:
        """The model that a document holds; with its files where its attachment was read.

        Raises:
            Damaged: The attachment is not whole.
        """
        name, _, version = document.id.removeprefix(_PREFIX).rpartition(":")
        files = (
            ModelFiles.from_bytes(document.attachment) if document.attachment is not None else None
        )
        body = cast(ModelBody, document.body)
        return cls(name, int(version), document.rev, document.attachment_size or 0, body, files)


class ModelRecords:
    """Every read and write of published models, of their versions and of their aliases.

    Args:
        store: The store.
    """

    def __init__(self, store: Store) -> None:
        self._library = store.library

    def list(self) -> list[StoredModel]:
        """All models, by name and then by version, without their files."""
        found = (StoredModel.of(document) for document in self._library.list(_PREFIX))
        return sorted(found, key=lambda model: (model.name, model.version))

    def names(self) -> builtins.list[str]:
        """The names of all models, ascending."""
        prefix = ids.alias("")
        return [
            document.id.removeprefix(prefix)
            for document in self._library.list(prefix, bodies=False)
        ]

    def versions(self, name: str) -> builtins.list[int]:
        """The versions of a model, ascending."""
        prefix = f"{_PREFIX}{name}:"
        return sorted(
            int(document.id.removeprefix(prefix))
            for document in self._library.list(prefix, bodies=False)
        )

    def newest(self, name: str) -> int | None:
        """The version that a model's name points to, in one small read; None where there is no such model."""
        alias = self._library.get(ids.alias(name))
        return int(alias.body["version"]) if alias is not None else None

    def find(self, name: str, version: int) -> StoredModel | None:
        """A model without its files; None where it is absent."""
        found = self._library.get(ids.model(name, version))
        return StoredModel.of(found) if found is not None else None

    def read(self, name: str, version: int) -> tuple[StoredModel, ModelFiles] | None:
        """A model with its files; None where it is absent.

        Raises:
            Damaged: The files are not whole.
        """
        found = self._library.get(ids.model(name, version), attachment=True)
        model = StoredModel.of(found) if found is not None else None
        return (model, model.files) if model is not None and model.files is not None else None

    def reserve_version(self, name: str, run: str) -> int:
        """The version of a model that a run owns: the one it took before, else the next free one.

        Args:
            name: The model's name.
            run: The run's id.
        """
        prefix = ids.version_prefix(name)
        taken = {int(d.id.removeprefix(prefix)): d.body["run"] for d in self._library.list(prefix)}
        owned = [version for version, owner in taken.items() if owner == run]
        if owned:
            return min(owned)
        version = max(taken, default=0) + 1
        while True:
            try:
                self._library.put(
                    ids.version(name, version), {"schema": ids.SCHEMA, "run": run}, durable=True
                )
            except Conflict:
                found = self._library.get(ids.version(name, version))
                if found is not None and found.body["run"] == run:
                    return version
                version += 1
            else:
                return version

    def publish(self, name: str, version: int, body: ModelBody, files: ModelFiles) -> None:
        """Create a model; the first one stays, since one run alone owns the version."""
        try:
            self._library.put(
                ids.model(name, version), body, attachment=files.to_bytes(), durable=True
            )
        except Conflict:
            return

    def raise_alias(self, name: str, version: int, *, completed: bool) -> None:
        """Move a model's name upward to a version, by compare-and-swap.

        Args:
            name: The model's name.
            version: The version.
            completed: Whether the run completed: a stopped one never replaces another version.
        """
        while True:
            found = self._library.get(ids.alias(name))
            if found is not None and (not completed or int(found.body["version"]) >= version):
                return
            if self._swap_alias(name, version, found):
                return

    def delete(self, name: str, versions: Sequence[int]) -> None:
        """Delete versions of a model; its name first points to the newest one that is left, or goes too."""
        left = [version for version in self.versions(name) if version not in versions]
        newest = max(left, default=None)
        while True:
            found = self._library.get(ids.alias(name))
            if (
                found is None
                or found.body["version"] == newest
                or self._swap_alias(name, newest, found)
            ):
                break
        self._library.delete_many([ids.model(name, version) for version in versions])

    def delete_name(self, name: str) -> None:
        """Delete a name with all its models and the claims on its versions."""
        claims = [
            document.id for document in self._library.list(ids.version_prefix(name), bodies=False)
        ]
        self.delete(name, self.versions(name))
        self._library.delete_many(claims)

    def _swap_alias(self, name: str, version: int | None, before: Document | None) -> bool:
        """Replace the alias that was read (None: delete it); whether it was unchanged since."""
        rev = before.rev if before is not None else None
        try:
            if version is None:
                self._library.delete(ids.alias(name), rev=rev)
            else:
                self._library.put(
                    ids.alias(name),
                    {"schema": ids.SCHEMA, "version": version},
                    rev=rev,
                    durable=True,
                )
        except Conflict:
            return False
        return True
