"""The handle on trained models."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whisktrain.errors import ConfigurationError, RequestError
from whisktrain.records.models import ModelRecords, StoredModel
from whisktrain.serving import catalogue

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["Models"]


class Models:
    """Trained models, by "NAME" (the newest version) or "NAME:VERSION".

    Args:
        store: Where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    @property
    def _records(self) -> ModelRecords:
        """The models' documents; the store is opened at the first use."""
        return ModelRecords(self._store)

    def list(self) -> list[dict[str, Any]]:
        """All versions of all models: `{"model", "task", "metrics", "run", "bytes"}` each, by name and version."""
        return [_brief(model) for model in self._records.list()]

    def show(self, name: str) -> dict[str, Any]:
        """What is known of one model.

        Raises:
            NotFound: There is no such model.
        """
        model = self._find(name)
        body = model.body
        known = {key: body.get(key) for key in ("classes", "target", "features", "x_shape", "dataset")}
        spec = body.get("spec", {})
        settings = {k: spec.get(k) for k in ("model", "loss", "optimizer", "sync", "batch", "rounds", "seed", "class_weights")}
        return {**_brief(model), **known, "training": settings}

    def export(self, name: str, to: str | Path) -> Path:
        """Write a model as a `.keras` file that Keras opens.

        Args:
            name: The model.
            to: The file; its name must end in `.keras`.

        Raises:
            NotFound: There is no such model.
            RequestError: The file's name ends otherwise, or its folder does not exist.
        """
        from whisktrain.learning import inference
        from whisktrain.spec import Spec

        path = Path(to).expanduser()
        if path.suffix != ".keras":
            raise RequestError(f"The file to export to was {path.name!r}; expected a name that ends in .keras.")
        if not path.parent.is_dir():
            raise ConfigurationError(f"The folder {path.parent} does not exist.", hint="Make it first, or export elsewhere.")
        stored, version = catalogue.resolve(self._store, name)
        found = self._records.read(stored, version)
        if found is None:
            raise catalogue.missing(self._store, catalogue.Reference(stored, version))
        model, files = found
        inference.export(Spec.from_json(model.body["spec"]), model.blueprint(files), files.params, path)
        return path

    def delete(self, name: str) -> builtins.list[str]:
        """Delete one version, or all versions of a name. A version's number is never given again.

        Returns:
            What was deleted, as "NAME:VERSION".

        Raises:
            NotFound: There is nothing of that name.
        """
        reference = catalogue.parse_reference(name)
        found = self._records.versions(reference.name)
        going = [v for v in found if reference.version in (None, v)]
        if not going:
            raise catalogue.missing(self._store, reference)
        self._records.delete(reference.name, going)
        return [f"{reference.name}:{v}" for v in going]

    def _find(self, name: str) -> StoredModel:
        wanted, version = catalogue.resolve(self._store, name)
        model = self._records.find(wanted, version)
        if model is None:
            raise catalogue.missing(self._store, catalogue.Reference(wanted, version))
        return model


def _brief(model: StoredModel) -> dict[str, Any]:
    body = model.body
    return {
        "model": model.reference,
        "task": body.get("task"),
        "metrics": body.get("metrics") or {},
        "run": body.get("run"),
        "bytes": model.nbytes,
    }
