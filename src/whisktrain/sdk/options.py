"""The options of a connection's `train`, `fit` and `predict`; rendered by `make reference`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict

from whisktrain.jsontypes import Json

__all__ = ["PredictOptions", "TrainOptions"]


class TrainOptions(TypedDict, total=False):
    """Settings of a training by their keys in the request, whatever section they belong to; None: not given.

    Attributes:
        target: The column to predict; found by its name or place otherwise.
        task: What to learn; auto: found from a given model, else from the target.
        format: The file's format; auto: found from its name and content.
        drop: Columns to leave out.
        keep: Columns to use though they look like ids or free text.
        types: Column types to force: numeric, categorical, boolean or date.
        missing_words: Words that mean a missing value, or none: only empty cells do; otherwise NA, NaN, null and the like, but
            in CSV and TSV only, which have no null.
        validation: Share of rows to validate on; 0 for none.
        split: Which rows validate: random, time (the latest) or time:COLUMN; auto: the latest where rows are in order of time.
        scale: How numbers and values to predict are scaled; pixels are divided by their largest value. Or none.
        shards: How rows are spread: stratified, contiguous or by:COLUMN.
        delimiter: What separates a CSV's cells; found otherwise.
        encoding: The encoding of a CSV or JSON file; found otherwise.
        decimal: The decimal mark of a CSV; found otherwise.
        image_size: Height and width that images are brought to; found otherwise.
        loss: A Keras loss by name or configuration; chosen from the task otherwise.
        metrics: Metrics to report; chosen from the task otherwise.
        workers: How many workers, each with a shard; auto: the smaller of cores and what the platform allows.
        epochs: Passes over the training rows.
        rounds: Rounds in total, instead of epochs.
        batch: Rows of a batch, global in gradient mode, per worker in local mode; full: every worker uses its whole shard every
            round.
        sync: gradient: one step a round; local: several local steps a round.
        local_steps: Steps of a local round.
        optimizer: The optimizer; in a request also with Keras' arguments.
        outer: Local mode's outer optimizer; in a request also with its arguments.
        learning_rate: The optimizer's learning rate.
        seed: The root of every random draw.
        class_weight: balanced: rows weigh inversely to their class' frequency.
        patience: Stop after so many epochs without a better validation loss.
        name: The model's name; made from the data's otherwise.
        lease: Seconds that an activation serves rounds; 0: one activation per worker and round; planned otherwise.
        key: Names the run: the same request with it finds the same run.
        top_k: How many classes to name for each row.
        missing: What to do about absent columns: an error, or the training fill.
    """

    target: str | None
    task: Literal["auto", "classification", "regression"] | None
    format: Literal["auto", "csv", "tsv", "json", "jsonl", "parquet", "npz", "npy", "images"] | None
    drop: list[str] | None
    keep: list[str] | None
    types: Mapping[str, Literal["numeric", "categorical", "boolean", "date"]] | None
    missing_words: list[str] | None
    validation: float | None
    split: str | None
    scale: Literal["standard", "minmax", "none"] | None
    shards: str | Mapping[str, Json] | None
    delimiter: str | None
    encoding: str | None
    decimal: Literal[".", ","] | None
    image_size: tuple[int, int] | None
    loss: str | Mapping[str, Json] | None
    metrics: list[str] | None
    workers: int | Literal["auto"] | None
    epochs: int | None
    rounds: int | None
    batch: int | Literal["full"] | None
    sync: Literal["gradient", "local"] | None
    local_steps: int | None
    optimizer: Literal["sgd", "adam", "adamw"] | Mapping[str, Json] | None
    outer: Literal["average", "nesterov"] | Mapping[str, Json] | None
    learning_rate: float | None
    seed: int | None
    class_weight: Literal["none", "balanced"] | None
    patience: int | None
    name: str | None
    lease: float | None
    key: str | None
    top_k: int | None
    missing: Literal["error", "fill"] | None


class PredictOptions(TypedDict, total=False):
    """Settings of a decision by their keys in the request's section `predict`; None: not given.

    Attributes:
        top_k: How many classes to name for each row.
        missing: What to do about absent columns: an error, or the training fill.
    """

    top_k: int | None
    missing: Literal["error", "fill"] | None
