"""The handle on trained models."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from whisktrain.errors import ConfigurationError, RequestError
from whisktrain.jsontypes import JsonObject
from whisktrain.records import ids
from whisktrain.records.models import ModelFiles, ModelRecords, StoredModel
from whisktrain.serving import catalogue

if TYPE_CHECKING:
    from whisktrain.sdk.session import Session
    from whisktrain.spec import Figures, Label

__all__ = ["ModelEntry", "ModelReport", "Models"]

_SETTINGS = ("model", "loss", "optimizer", "sync", "batch", "rounds", "seed", "class_weights")
"""The part of a run's plan that says how a model was trained."""


class ModelEntry(TypedDict):
    """One model of a list: its name and version, what it was trained for and by, its figures and its size in bytes."""

    model: str
    task: str
    metrics: Figures
    run: str
    run_id: str
    bytes: int


class ModelReport(ModelEntry):
    """What is known of one model: also its labels, its columns, its data set and its settings."""

    classes: list[Label] | None
    target: str | None
    features: list[str] | None
    x_shape: list[int]
    dataset: str
    training: JsonObject


class Models:
    """Trained models, by "NAME" (the newest version) or "NAME:VERSION".

    Args:
        session: The platform and store.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def _records(self) -> ModelRecords:
        return ModelRecords(self._session.store)

    def list(self) -> list[ModelEntry]:
        """All versions of all models, by name and version."""
        return [_entry(model) for model in self._records.list()]

    def show(self, name: str) -> ModelReport:
        """What is known of one model.

        Raises:
            NotFound: There is no such model.
        """
        found, version = catalogue.resolve(self._session.store, name)
        model = self._records.find(found, version)
        if model is None:
            raise catalogue.missing(self._session.store, catalogue.Reference(found, version))
        body = model.body
        return {
            **_entry(model),
            "classes": body["classes"],
            "target": body["target"],
            "features": body["features"],
            "x_shape": body["x_shape"],
            "dataset": body["dataset"],
            "training": {key: body["spec"].get(key) for key in _SETTINGS},
        }

    def export(self, name: str, to: str | Path) -> Path:
        """Write a model as a `.keras` file that answers as `predict` does, wherever Keras runs.

        The file scales, fills and encodes its inputs itself, and answers with probabilities or in the target's own units.
        `FILE.keras.json` beside it says what its inputs and outputs are, and which number stands for which category.

        Args:
            name: The model.
            to: The file; its name must end in `.keras`.

        Raises:
            NotFound: There is no such model.
            RequestError: The file's name ends otherwise, or its folder does not exist.
        """
        from whisktrain.serving import exporting

        path = Path(to).expanduser()
        if path.suffix != ".keras":
            raise RequestError(
                f"The file to export to was {path.name!r}; expected a name that ends in .keras."
            )
        if not path.parent.is_dir():
            raise ConfigurationError(
                f"The folder {path.parent} does not exist.",
                hint="Make it first, or export elsewhere.",
            )
        model, files = self.read(name)
        exporting.export(model, files, path)
        return path

    def read(self, name: str) -> tuple[StoredModel, ModelFiles]:
        """Read a model with its tensors, its configuration and its preprocessing.

        Raises:
            NotFound: There is no such model.
        """
        found, version = catalogue.resolve(self._session.store, name)
        stored = self._records.read(found, version)
        if stored is None:
            raise catalogue.missing(self._session.store, catalogue.Reference(found, version))
        return stored

    def delete(self, name: str) -> builtins.list[str]:
        """Delete one version, or all versions of a name. A version's number is never given again.

        Returns:
            What was deleted, as "NAME:VERSION".

        Raises:
            NotFound: There is nothing of that name.
        """
        reference = catalogue.parse_reference(name)
        going = [
            v for v in self._records.versions(reference.name) if reference.version in (None, v)
        ]
        if not going:
            raise catalogue.missing(self._session.store, reference)
        self._records.delete(reference.name, going)
        return [f"{reference.name}:{version}" for version in going]


def _entry(model: StoredModel) -> ModelEntry:
    body = model.body
    return {
        "model": model.reference,
        "task": body["task"],
        "metrics": body["metrics"] or {},
        "run": ids.key_of(body["run"]),
        "run_id": body["run"],
        "bytes": model.nbytes,
    }
