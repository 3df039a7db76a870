"""A model ready to answer: its predictor, its stored preprocessing, and what its outputs mean."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from whisktrain import tensors
from whisktrain.records import ids
from whisktrain.serving import catalogue, decisions
from whisktrain.serving.cache import ByteCache
from whisktrain.spec import Spec
from whisktrain.store.protocol import Document, Store

__all__ = ["LoadedModel", "open_model"]

BYTES_PER_TENSOR_BYTE = 2
"""A loaded model holds its weights once in the backend and once more while it is being loaded."""

_CONFIG, _PREPROCESSING = "file/config", "file/preprocessing"


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory.

    Attributes:
        reference: "NAME:VERSION".
        body: The model document's body.
        fitted: The stored preprocessing.
        forward: Features (rows, *x_shape) to probabilities (rows, classes), or to standardised values (rows,); a row's answer
            is the same whatever rows come with it.
    """

    reference: str
    body: dict[str, Any]
    fitted: Any = field(repr=False)
    forward: Callable[[NDArray[Any]], NDArray[Any]] = field(repr=False)

    @property
    def task(self) -> str:
        """Either "classification" or "regression"."""
        return str(self.body["task"])

    @property
    def classes(self) -> list[Any] | None:
        """The original labels; None for regression."""
        return self.body.get("classes")

    def decide(self, rows: Any, *, top_k: int = 3, missing: str = "error") -> tuple[list[dict[str, Any]], list[str]]:
        """Decide on rows.

        Args:
            rows: A table, or a list of objects by column or of arrays of features.
            top_k: How many classes to name for each row.
            missing: "error", or "fill": what to do about absent columns.

        Returns:
            One decision for each row, and notices about what was ignored or filled.
        """
        transformed = self.fitted.transform(rows, missing=missing)
        notices = list(transformed.notices)
        if not len(transformed.x):
            return [], notices
        outputs = self.forward(transformed.x)
        if self.task == "classification":
            labels = self.classes or []
            return decisions.classify(decisions.shares(outputs, len(labels)), labels, top_k), notices
        found = decisions.estimate(self.fitted.to_original(outputs))
        bad = [i for i, decision in enumerate(found) if decision["value"] is None]
        if bad:
            notices.append(f"The model has no finite value for {len(bad)} rows, the first of them row {bad[0] + 1}.")
        return found, notices


def _load(store: Store, name: str, version: int) -> tuple[LoadedModel, int]:
    from whisktrain.data.preprocessing import preprocessor
    from whisktrain.learning import inference

    document = store.library.get(ids.model(name, version), attachment=True)
    if document is None or document.attachment is None:
        raise catalogue.missing(store, catalogue.Reference(name, version))
    files, params = split(document)
    loaded = LoadedModel(
        reference=f"{name}:{version}",
        body=document.body,
        fitted=preprocessor.load(files[_PREPROCESSING]),
        forward=inference.predictor(Spec.from_json(document.body["spec"]), document.body["layout"], files[_CONFIG], params),
    )
    return loaded, len(document.attachment) * BYTES_PER_TENSOR_BYTE


def split(document: Document) -> tuple[dict[str, bytes], tensors.Tensors]:
    """A model document's attachment as its files and its tensors."""
    everything = tensors.decode(document.attachment or b"")
    files = {name: everything.pop(name).tobytes() for name in (_CONFIG, _PREPROCESSING) if name in everything}
    return files, everything


def _bound() -> int:
    """A quarter of what the action may take, by `WHISKTRAIN_MODEL_CACHE_MB` where that is set."""
    return int(os.environ.get("WHISKTRAIN_MODEL_CACHE_MB", "128")) * 1024 * 1024


_CACHE: ByteCache[tuple[str, str, str], LoadedModel] | None = None


def open_model(store: Store, text: str) -> LoadedModel:
    """The model that a reference means now, from this process' cache or from the store.

    The name and the document's revision are looked up each time (two small reads), so that the next answer after a retraining
    comes wholly from the new version, and a deleted model answers no more.

    Args:
        store: The store.
        text: "NAME" (the newest version) or "NAME:VERSION".

    Raises:
        NotFound: There is no such model.
    """
    global _CACHE
    if _CACHE is None:
        _CACHE = ByteCache(_bound())
    name, version = catalogue.resolve(store, text)
    there = store.library.get(ids.model(name, version))
    if there is None:
        raise catalogue.missing(store, catalogue.Reference(name, version))
    return _CACHE.get((store.url, there.id, there.rev), lambda: _load(store, name, version))[0]
