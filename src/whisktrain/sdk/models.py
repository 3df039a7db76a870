"""The handle on trained models."""

from __future__ import annotations

import builtins
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whisktrain.errors import ConfigurationError, Conflict, RequestError
from whisktrain.records import ids
from whisktrain.serving import catalogue

if TYPE_CHECKING:
    from whisktrain.store.protocol import Document, Store

__all__ = ["Models"]


class Models:
    """Trained models, by "NAME" (the newest version) or "NAME:VERSION".

    Args:
        store: Where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def list(self) -> list[dict[str, Any]]:
        """All versions of all models: `{"model", "task", "metrics", "run", "bytes"}` each, by name and version."""
        return [_brief(document) for document in catalogue.models(self._store)]

    def show(self, name: str) -> dict[str, Any]:
        """What is known of one model.

        Raises:
            NotFound: There is no such model.
        """
        document = self._document(name)
        body = document.body
        known = {key: body.get(key) for key in ("classes", "target", "features", "x_shape", "dataset")}
        spec = body.get("spec", {})
        settings = {k: spec.get(k) for k in ("model", "loss", "optimizer", "sync", "batch", "rounds", "seed", "class_weights")}
        return {**_brief(document), **known, "training": settings}

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
        from whisktrain.serving.loaded import split
        from whisktrain.spec import Spec

        path = Path(to).expanduser()
        if path.suffix != ".keras":
            raise RequestError(f"The file to export to was {path.name!r}; expected a name that ends in .keras.")
        if not path.parent.is_dir():
            raise ConfigurationError(f"The folder {path.parent} does not exist.", hint="Make it first, or export elsewhere.")
        document = self._document(name, attachment=True)
        files, params = split(document)
        inference.export(Spec.from_json(document.body["spec"]), document.body["layout"], files["file/config"], params, path)
        return path

    def delete(self, name: str) -> builtins.list[str]:
        """Delete one version, or all versions of a name. A version's number is never given again.

        Returns:
            What was deleted, as "NAME:VERSION".

        Raises:
            NotFound: There is nothing of that name.
        """
        reference = catalogue.parse_reference(name)
        library = self._store.library
        found = catalogue.versions(self._store, reference.name)
        going = [v for v in found if reference.version in (None, v)]
        if not going:
            raise catalogue.missing(self._store, reference)
        self._move_alias(reference.name, max((v for v in found if v not in going), default=None))
        library.delete_many([ids.model(reference.name, v) for v in going])
        return [f"{reference.name}:{v}" for v in going]

    def _move_alias(self, name: str, version: int | None) -> None:
        """Point the name at what will be its newest version, before the present one goes."""
        library = self._store.library
        for _ in range(20):
            alias = library.get(ids.alias(name))
            if alias is None or alias.body["version"] == version:
                return
            try:
                if version is None:
                    library.delete(alias.id, rev=alias.rev)
                else:
                    library.put(alias.id, {**alias.body, "version": version}, rev=alias.rev, durable=True)
                return
            except Conflict:
                continue

    def _document(self, name: str, *, attachment: bool = False) -> Document:
        wanted, version = catalogue.resolve(self._store, name)
        document = self._store.library.get(ids.model(wanted, version), attachment=attachment)
        if document is None:
            raise catalogue.missing(self._store, catalogue.Reference(wanted, version))
        return document


def _brief(document: Document) -> dict[str, Any]:
    body = document.body
    return {
        "model": document.id.removeprefix("model:"),
        "task": body.get("task"),
        "metrics": body.get("metrics") or {},
        "run": body.get("run"),
        "bytes": document.attachment_size,
    }
