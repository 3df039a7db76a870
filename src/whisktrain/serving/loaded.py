"""Load a model and its stored preprocessing, keep it in memory, and decide with it."""

from __future__ import annotations

import contextlib
import functools
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cachetools import LRUCache

from whisktrain.records.models import ModelBody, ModelRecords
from whisktrain.serving import catalogue, decisions
from whisktrain.serving.decisions import Decision
from whisktrain.spec import Label, Spec, Task
from whisktrain.store.protocol import Store
from whisktrain.tensors import Floats, Tensor

if TYPE_CHECKING:
    from whisktrain.data.preprocessing.preprocessor import Preprocessor

__all__ = ["LoadedModel", "open_model"]

BYTES_PER_TENSOR_BYTE = 2
"""A loaded model holds its weights once in the backend and once more while it is being loaded."""

_Key: TypeAlias = tuple[str, str, str]
"""A store's address, a model's name with its version, and the revision of its document."""

_LOADING = threading.RLock()
"""Held while a model is looked up or loaded: a second request for it waits, and Keras builds one model at a time."""


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory.

    Attributes:
        reference: "NAME:VERSION".
        body: The model document's body.
        size: Bytes that it takes in memory.
        fitted: The stored preprocessing.
        forward: Features (rows, *x_shape) to probabilities (rows, classes), or to standardised values (rows,); a row's answer
            is the same in any batch.
    """

    reference: str
    body: ModelBody
    size: int
    fitted: Preprocessor = field(repr=False)
    forward: Callable[[Tensor], Floats] = field(repr=False)

    @property
    def task(self) -> Task:
        """Either "classification" or "regression"."""
        return self.body["task"]

    @property
    def classes(self) -> list[Label] | None:
        """The original labels; None for regression."""
        return self.body.get("classes")

    def decide(
        self, rows: Any, *, top_k: int = 3, missing: Literal["error", "fill"] = "error"
    ) -> tuple[list[Decision], list[str]]:
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
            shares = decisions.shares(outputs, len(labels))
            return [*decisions.classify(shares, labels, top_k)], notices
        values = decisions.estimate(self.fitted.to_original(outputs))
        without = [row for row, decision in enumerate(values, start=1) if decision["value"] is None]
        if without:
            notices.append(
                f"The model has no finite value for {len(without)} rows, the first of them row {without[0]}."
            )
        return [*values], notices


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
    name, version = catalogue.resolve(store, text)
    stored = ModelRecords(store).find(name, version)
    if stored is None:
        raise catalogue.missing(store, catalogue.Reference(name, version))
    key = (store.url, stored.reference, stored.rev)
    return _cached(key, lambda: _load(store, name, version))


@functools.cache
def _models() -> LRUCache[_Key, LoadedModel]:
    """This process' loaded models, the least recently used out first.

    Its bound is a quarter of what the action may take, by `WHISKTRAIN_MODEL_CACHE_MB` where that is set.
    """
    megabytes = int(os.environ.get("WHISKTRAIN_MODEL_CACHE_MB", "128"))
    return LRUCache(maxsize=megabytes * 1024 * 1024, getsizeof=attrgetter("size"))


def _cached(key: _Key, load: Callable[[], LoadedModel]) -> LoadedModel:
    """The cached model, loaded where it is not held; one that is larger than the whole cache is not kept."""
    with _LOADING:
        models = _models()
        model = models.get(key)
        if model is None:
            model = load()
            with contextlib.suppress(ValueError):  # it is larger than the cache's bound
                models[key] = model
        return model


def _load(store: Store, name: str, version: int) -> LoadedModel:
    from whisktrain.data.preprocessing import preprocessor
    from whisktrain.learning import inference

    found = ModelRecords(store).read(name, version)
    if found is None:
        raise catalogue.missing(store, catalogue.Reference(name, version))
    stored, files = found
    body = stored.body
    return LoadedModel(
        reference=stored.reference,
        body=body,
        size=stored.nbytes * BYTES_PER_TENSOR_BYTE,
        fitted=preprocessor.load(files.preprocessing),
        forward=inference.predictor(
            Spec.from_json(body["spec"]), stored.blueprint(files), files.params
        ),
    )
