"""Stage 1, `preprocess`: load the data, infer its types, transform it, split it, and write N shards."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TypedDict

import numpy as np

from whisktrain import tensors
from whisktrain.data.columns.target import ModelTarget
from whisktrain.data.dataset import DataReport, DatasetBody
from whisktrain.data.preprocessing.prepare import prepare
from whisktrain.data.preprocessing.preprocessor import load
from whisktrain.data.report import dataset_body, resharded_body, shorten
from whisktrain.data.shards.rows import SplitRows
from whisktrain.data.shards.sharding import ShardingPlan, shard_rows
from whisktrain.data.shards.storage import (
    NumberedRows,
    find_dataset,
    read_numbered_rows,
    write_dataset,
)
from whisktrain.data.sources.source import open_source
from whisktrain.errors import DataError, NotFound
from whisktrain.jsontypes import JsonObject
from whisktrain.request import DataRequest, Request
from whisktrain.spec import Task
from whisktrain.stages.given_model import given_target
from whisktrain.store.protocol import Store
from whisktrain.version import __version__

__all__ = ["Preprocessed", "preprocess"]

PREFIX = "dataset:"


class Preprocessed(TypedDict):
    """What `train` gets.

    Attributes:
        request: The request, small enough for an activation's arguments.
        dataset: The data set's id.
        data: The data set's report.
    """

    request: JsonObject
    dataset: str
    data: DataReport


def preprocess(request: Request, store: Store, *, workers: int) -> Preprocessed:
    """Make the data set that a request asks for, or find the one made before.

    Args:
        request: The whole request; its sections `data` and `train.seed` determine what is written.
        store: Where uploads and earlier data sets are, and the shards go.
        workers: N, the number of shards. Where the request leaves it to "auto", there may be fewer.

    Returns:
        The payload for `train`, small and JSON.

    Raises:
        DataError: The data cannot be used as asked.
        NotFound: There is no such upload or data set.
    """
    if (request.data.source or "").startswith(PREFIX):
        return _reuse(request, store, workers)
    model = given_target(request, store)
    source = open_source(request.data, store)
    dataset = _dataset_id(source.digest, request, workers, model)
    known = find_dataset(store, dataset)
    if known is not None:
        return _payload(request, dataset, known.body)
    prepared = prepare(source.read(request.data), request.data, request.train.seed, model)
    sharded = shard_rows(prepared.rows, _plan(request, prepared.target.task, workers))
    body = dataset_body(prepared, sharded, request.data, source)
    write_dataset(store, dataset, body, prepared.preprocessor.to_bytes(), sharded)
    return _payload(request, dataset, body)


def _plan(request: Request, task: Task, workers: int) -> ShardingPlan:
    return ShardingPlan(
        task=task,
        how=request.data.shards,
        workers=workers,
        may_reduce=request.train.workers == "auto",
        seed=request.train.seed,
    )


def _dataset_id(
    digest: str, request: Request, workers: int, model: ModelTarget | None = None
) -> str:
    """A name for everything that determines the bytes that are written."""
    import pandas
    import sklearn
    import skops

    versions = [
        __version__,
        np.__version__,
        pandas.__version__,
        sklearn.__version__,
        skops.__version__,
    ]
    section = request.data.model_dump(mode="json", exclude={"records"})
    made_of = [
        digest,
        section,
        workers,
        request.train.workers == "auto",
        request.train.seed,
        versions,
        *([] if model is None else [asdict(model)]),
    ]
    return tensors.digest(json.dumps(made_of, sort_keys=True).encode())


def _payload(request: Request, dataset: str, body: DatasetBody) -> Preprocessed:
    """What `train` gets. Records would be too large, and addresses may hold secrets: the data set stands for them."""
    dumped: JsonObject = request.model_dump(mode="json", exclude_unset=True)
    if request.data.records is not None or "://" in (request.data.source or ""):
        options = request.data.model_dump(mode="json", exclude_unset=True, exclude={"records"})
        dumped["data"] = {**options, "source": f"{PREFIX}{dataset}"}
    return {"request": dumped, "dataset": dataset, "data": shorten(body)}


def _reuse(request: Request, store: Store, workers: int) -> Preprocessed:
    """An earlier data set, as it is or with other shards; its preprocessing and its validation rows stay."""
    earlier = (request.data.source or "").removeprefix(PREFIX)
    known = find_dataset(store, earlier, attachment=True) if earlier else None
    if known is None:
        raise NotFound(
            f"There is no data set {request.data.source!r} in the store.",
            hint="`whisktrain data list` shows what there is; give the original data to have it made again.",
        )
    _check_unchanged(request.data, known.body)
    same_shards = (
        len(known.body["shards"]) == workers and "shards" not in request.data.model_fields_set
    )
    if same_shards:
        return _payload(request, earlier, known.body)
    dataset = _dataset_id(f"{PREFIX}{earlier}", request, workers)
    resharded = find_dataset(store, dataset)
    if resharded is not None:
        return _payload(request, dataset, resharded.body)
    rows = _read_all_rows(store, earlier, shards=len(known.body["shards"]))
    sharded = shard_rows(rows, _plan(request, known.body["task"], workers))
    body = resharded_body(known.body, sharded, load(known.preprocessing))
    write_dataset(store, dataset, body, known.preprocessing, sharded)
    return _payload(request, dataset, body)


def _read_all_rows(store: Store, dataset: str, *, shards: int) -> SplitRows:
    """All rows of a data set, in the source's order."""
    parts: list[tuple[NumberedRows, bool]] = []
    for k in range(shards):
        training, validation = read_numbered_rows(store, dataset, k)
        parts += [(training, False), (validation, True)]
    numbers = np.concatenate([part.numbers for part, _ in parts])
    order = np.argsort(numbers, kind="stable")
    x = np.concatenate([part.rows.x for part, _ in parts])
    y = np.concatenate([part.rows.y for part, _ in parts])
    held_out = np.concatenate(
        [np.full(len(part.rows), is_validation) for part, is_validation in parts]
    )
    return SplitRows(x[order], y[order], numbers[order], held_out[order])


def _check_unchanged(data: DataRequest, body: DatasetBody) -> None:
    """Refuse options that an existing data set can no longer follow."""
    if data.shards.how == "by":
        raise DataError(
            "The columns of an earlier data set are gone; expected shards 'stratified' or 'contiguous'.",
            code="bad_source",
            hint="Name the original source to have shards by a column.",
        )
    asked = body["asked"]
    defaults = DataRequest()
    for option in sorted(data.model_fields_set - {"source", "shards"}):
        value = getattr(data, option)
        if value not in (getattr(defaults, option), asked.get(option)):
            raise DataError(
                f"data.{option} was {value!r}, but {data.source} is made already.",
                code="bad_source",
                hint="Name the original source to have it made otherwise.",
            )
