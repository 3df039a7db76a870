"""The data set's document `dataset:<id>`: what was read, how each column is preprocessed, and the rows of each shard."""

from __future__ import annotations

from typing import Literal, NotRequired, TypeAlias, TypedDict

from whisktrain.spec import Label, Task

__all__ = [
    "AskedData",
    "ClassTargets",
    "ColumnReport",
    "DataReport",
    "DatasetBody",
    "RowCounts",
    "SplitReport",
    "TargetStatistics",
    "UsedData",
    "ValueTargets",
]


class ColumnReport(TypedDict):
    """What happened to one column of the source.

    Attributes:
        name: The column's name.
        type: Its kind, as inferred or demanded.
        role: What it is for.
        done: How it was preprocessed, or why it was left out.
        missing: Number of cells without a value.
        keepable: Of a column that was left out: whether data.keep uses it.
    """

    name: str
    type: str
    role: Literal["feature", "target", "dropped"]
    done: str
    missing: int
    keepable: NotRequired[bool]


class SplitReport(TypedDict):
    """How validation rows were chosen.

    Attributes:
        how: By time (the latest rows), at random, or none.
        column: The column of times.
        reason: Which rows, and why.
    """

    how: Literal["time", "random", "none"]
    column: str | None
    reason: str


class RowCounts(TypedDict):
    """Rows of the source: all, those in the data set, and those left out for want of a target."""

    read: int
    used: int
    dropped: int


class AskedData(TypedDict):
    """Options of the request that made the data set; a later request for it may not contradict them."""

    target: str | None
    task: Literal["auto", "classification", "regression"]
    validation: float
    split: str
    scale: Literal["standard", "minmax", "none"]


class ClassTargets(TypedDict):
    """Training targets of a classification: rows of each class."""

    kind: Literal["class"]
    counts: list[int]


class ValueTargets(TypedDict):
    """Training targets of a regression: mean and standard deviation, by which targets are standardised."""

    kind: Literal["value"]
    mean: float
    scale: float


TargetStatistics: TypeAlias = ClassTargets | ValueTargets


class _Described(TypedDict):
    """What a data set's document and its report say alike.

    Attributes:
        source: The source, as the user knows it.
        name: A short name that a model may have after it.
        task: "classification" or "regression".
        reason: Why that task.
        target: The target's name.
        classes: The labels, in order; None for regression.
        features: Names of the features.
        x_shape: Shape of one row's features.
        image: Whether the rows are images.
        columns: The report of each column.
        warnings: What the user should know, in sentences.
        rows: Rows read, used and dropped.
        split: How validation rows were chosen.
        y: The training targets.
        shards: Training rows of each shard.
        validation: Validation rows of each shard's slice.
    """

    source: str
    name: str
    task: Task
    reason: str
    target: str | None
    classes: list[Label] | None
    features: list[str]
    x_shape: list[int]
    image: bool
    columns: list[ColumnReport]
    warnings: list[str]
    rows: RowCounts
    split: SplitReport
    y: TargetStatistics
    shards: list[int]
    validation: list[int]


class DatasetBody(_Described):
    """The document's body; its attachment is the fitted preprocessing.

    Attributes:
        schema: The document's schema number.
        asked: Options of the request that made it.
    """

    schema: int
    asked: AskedData


class DataReport(_Described):
    """The short form of `DatasetBody` that travels in results: long lists and texts are cut.

    Attributes:
        feature_count: Number of all features.
        class_count: Number of all classes, 0 for regression.
        column_count: Number of all columns.
    """

    feature_count: int
    class_count: int
    column_count: int


class UsedData(TypedDict):
    """What a run's result says of its data.

    Attributes:
        dataset: "dataset:ID".
        rows: Rows read, used and dropped.
        split: How validation rows were chosen.
        warnings: What the user should know, in sentences.
    """

    dataset: str
    rows: RowCounts
    split: SplitReport
    warnings: list[str]
