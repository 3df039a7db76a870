"""Stage 1: load the data, decide what it holds, transform it, split it, and write N shards."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from whisktrain import tensors
from whisktrain.data.preprocessing.prepare import prepare
from whisktrain.data.preprocessing.preprocessor import load
from whisktrain.data.report import dealt_fields, describe, shorten
from whisktrain.data.shards.sharding import deal
from whisktrain.data.shards.storage import find_dataset, read_with_numbers, write_dataset
from whisktrain.data.sources.source import open_source
from whisktrain.errors import DataError, NotFound
from whisktrain.request import DataRequest, Request
from whisktrain.store.protocol import Document, Store
from whisktrain.version import __version__

__all__ = ["preprocess"]


def preprocess(request: Request, store: Store, *, workers: int) -> dict[str, Any]:
    """Make the data set that a request asks for, or find the one made before.

    Args:
        request: The whole request; its sections `data` and `train.seed` decide what is written.
        store: Where uploads and earlier data sets are, and the shards go.
        workers: N, the number of shards. Where the request leaves it to "auto", there may be fewer.

    Returns:
        The payload for `train`: `{"request", "dataset": ID, "data": report}`, small and JSON.

    Raises:
        DataError: The data cannot be used as asked.
        NotFound: There is no such upload or data set.
    """
    if (request.data.source or "").startswith("dataset:"):
        return _again(request, store, workers)
    source = open_source(request.data, store)
    dataset = _identity(source.digest, request, workers)
    known = find_dataset(store, dataset)
    if known is not None:
        return _payload(request, dataset, known.body)
    data = request.data
    prepared = prepare(source.read(data), data, request.train.seed)
    rows, shards, warnings = deal(
        prepared.x,
        prepared.y,
        prepared.numbers,
        prepared.held_out,
        task=prepared.target.task,
        how=data.shards,
        groups=prepared.groups,
        workers=workers,
        may_reduce=request.train.workers == "auto",
        seed=request.train.seed,
    )
    body = describe(prepared, data, source.title, source.name)
    body |= dealt_fields(body, rows, shards, prepared.fitted.mean, prepared.fitted.scale)
    body["warnings"] += warnings
    write_dataset(store, dataset, body, prepared.fitted.to_bytes(), rows)
    return _payload(request, dataset, body)


def _identity(digest: str, request: Request, workers: int) -> str:
    """A name for everything that determines the bytes that are written."""
    import pandas
    import sklearn
    import skops

    versions = [__version__, np.__version__, pandas.__version__, sklearn.__version__, skops.__version__]
    section = request.data.model_dump(mode="json", exclude={"records"})
    made_of = [digest, section, workers, request.train.workers == "auto", request.train.seed, versions]
    return tensors.digest(json.dumps(made_of, sort_keys=True).encode())


def _payload(request: Request, dataset: str, body: dict[str, Any]) -> dict[str, Any]:
    """What `train` gets. Records would be too large, and addresses may hold secrets: the data set stands for them."""
    dumped = request.model_dump(mode="json", exclude_unset=True)
    if request.data.records is not None or "://" in (request.data.source or ""):
        dumped["data"] = {"source": f"dataset:{dataset}"}
    return {"request": dumped, "dataset": dataset, "data": shorten(body)}


def _again(request: Request, store: Store, workers: int) -> dict[str, Any]:
    """An earlier data set, as it is or dealt out anew; its preprocessing and its validation rows stay."""
    made = (request.data.source or "").removeprefix("dataset:")
    known = find_dataset(store, made, attachment=True) if made else None
    if known is None:
        raise NotFound(f"There is no data set {request.data.source!r} in the store.")
    _check_unchanged(request.data, known)
    body = known.body
    if len(body["shards"]) == workers and "shards" not in request.data.model_fields_set:
        return _payload(request, made, body)
    dataset = _identity(f"dataset:{made}", request, workers)
    again = find_dataset(store, dataset)
    if again is not None:
        return _payload(request, dataset, again.body)
    parts = [read_with_numbers(store, made, k) for k in range(len(body["shards"]))]
    pieces = [(piece, numbers, at == 1) for part in parts for at, (piece, numbers) in enumerate(part)]
    numbers = np.concatenate([n for _, n, _ in pieces])
    order = np.argsort(numbers, kind="stable")
    rows, shards, warnings = deal(
        np.concatenate([piece.x for piece, _, _ in pieces])[order],
        np.concatenate([piece.y for piece, _, _ in pieces])[order],
        numbers[order],
        np.concatenate([np.full(len(piece), held_out) for piece, _, held_out in pieces])[order],
        task=body["task"],
        how=request.data.shards,
        groups=None,
        workers=workers,
        may_reduce=request.train.workers == "auto",
        seed=request.train.seed,
    )
    preprocessing = known.attachment or b""
    fitted = load(preprocessing)
    new = {**body, **dealt_fields(body, rows, shards, fitted.mean, fitted.scale), "warnings": [*body["warnings"], *warnings]}
    write_dataset(store, dataset, new, preprocessing, rows)
    return _payload(request, dataset, new)


def _check_unchanged(data: DataRequest, known: Document) -> None:
    """Refuse what an existing data set cannot be any more."""
    if data.shards.how == "by":
        raise DataError(
            "The columns of an earlier data set are gone; expected shards 'stratified' or 'contiguous'.",
            code="bad_source",
            hint="Name the original source to have shards by a column.",
        )
    asked = known.body["asked"]
    defaults = DataRequest()
    for key in sorted(data.model_fields_set - {"source", "shards"}):
        value = getattr(data, key)
        if value not in (getattr(defaults, key), asked.get(key)):
            raise DataError(
                f"data.{key} was {value!r}, but {data.source} is made already.",
                code="bad_source",
                hint="Name the original source to have it made otherwise.",
            )
