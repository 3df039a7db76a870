"""What a caller may ask for: the one schema, with defaults.

A request is one JSON object with four sections, `data`, `model`, `train` and `predict`. Every section has defaults, a string
is shorthand for its main field, and an unknown key is an error that names the nearest known one.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from whisktrain.errors import RequestError

__all__ = [
    "BUNDLED",
    "DataRequest",
    "ModelRequest",
    "OptimizerRequest",
    "PredictRequest",
    "Request",
    "ShardsRequest",
    "TrainRequest",
    "parse",
]

BUNDLED = ("digits", "iris", "wine", "breast_cancer", "diabetes")
"""The data sets that scikit-learn ships."""

Model = TypeVar("Model", bound=BaseModel)

MAX_WORKERS = 256
MAX_INLINE_RECORDS = 100_000


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=False)


def _shorthand(field: str) -> BeforeValidator:
    """A bare string (or list, for rows) stands for the section's main field."""

    def expand(value: Any) -> Any:
        return {field: value} if isinstance(value, (str, list)) else value

    return BeforeValidator(expand)


class ShardsRequest(_Section):
    """How training rows are spread over the workers."""

    how: Literal["stratified", "contiguous", "by"] = "stratified"
    column: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _by(cls, value: Any) -> Any:
        if isinstance(value, dict) and set(value) == {"by"}:
            return {"how": "by", "column": value["by"]}
        return value

    @model_validator(mode="after")
    def _column(self) -> ShardsRequest:
        if (self.how == "by") != (self.column is not None):
            raise ValueError('shards by a column are given as {"by": "COLUMN"}')
        return self


class DataRequest(_Section):
    """Where the data comes from and how it becomes numbers.

    Attributes:
        source: "digits", "iris", "wine", "breast_cancer", "diabetes", "upload:ID", "dataset:ID" or an http(s) address.
        records: The rows themselves, instead of a source: a list of objects.
        format: Of an upload or address; found from its name and content by default.
        target: The column to predict; found by name or position when None.
        task: "auto" finds it from the target.
        drop: Columns to leave out.
        keep: Columns to use though they look like ids or free text.
        types: Column types to force.
        validation: Share of rows to validate on, 0 for none.
        scale: How numeric features are scaled.
        shards: How rows are spread.
        delimiter: Of a CSV; found by default.
        encoding: Of a CSV or JSON; found by default.
        decimal: The decimal mark of a CSV; found by default.
        image_size: Height and width that images are brought to.
    """

    source: str | None = None
    records: list[dict[str, Any]] | None = Field(default=None, max_length=MAX_INLINE_RECORDS)
    format: Literal["auto", "csv", "tsv", "json", "jsonl", "parquet", "npz", "npy", "images"] = "auto"
    target: str | None = None
    task: Literal["auto", "classification", "regression"] = "auto"
    drop: list[str] = []
    keep: list[str] = []
    types: dict[str, Literal["numeric", "categorical", "boolean", "date"]] = {}
    validation: float = Field(default=0.2, ge=0.0, le=0.9)
    scale: Literal["standard", "minmax", "none"] = "standard"
    shards: Annotated[ShardsRequest, _shorthand("how")] = ShardsRequest()
    delimiter: str | None = Field(default=None, min_length=1, max_length=4)
    encoding: str | None = None
    decimal: Literal[".", ","] | None = None
    image_size: tuple[int, int] | None = None

    @model_validator(mode="after")
    def _one_source(self) -> DataRequest:
        if self.source is not None and self.records is not None:
            raise ValueError("give either source or records, not both")
        return self


class ModelRequest(_Section):
    """Which model.

    Attributes:
        preset: "auto" chooses from the data.
        config: A Keras model as its JSON configuration (`model.to_json()`).
        file: A .keras file, as "upload:ID".
        factory: "package.module:function" of the deployment's allow-list, or on the embedded host "model.py:build", with the
            model.py itself as `file`.
        init: Start from this model's weights, "NAME" or "NAME:VERSION".
        loss: A Keras loss by name or configuration; chosen from the task by default.
        metrics: Chosen from the task by default.
    """

    preset: Literal["auto", "linear", "mlp", "cnn"] | None = None
    config: dict[str, Any] | None = None
    file: str | None = None
    factory: str | None = None
    init: str | None = None
    loss: str | dict[str, Any] | None = None
    metrics: list[str] | None = None

    @model_validator(mode="after")
    def _one_model(self) -> ModelRequest:
        given = [k for k in ("preset", "config", "file", "factory", "init") if getattr(self, k) is not None]
        own_code = self.factory is not None and self.factory.startswith("model.py:")
        if len(given) > 1 and not (own_code and given == ["file", "factory"]):
            raise ValueError(f"give one of preset, config, file, factory and init; received {' and '.join(given)}")
        return self


class OptimizerRequest(_Section):
    """The optimizer, with Keras' names and defaults; None means: as the given model was compiled, else Keras' default."""

    name: Literal["sgd", "adam", "adamw"] | None = None
    learning_rate: float | None = Field(default=None, gt=0)
    momentum: float | None = Field(default=None, ge=0, le=1)
    nesterov: bool | None = None
    beta_1: float | None = Field(default=None, ge=0, lt=1)
    beta_2: float | None = Field(default=None, ge=0, lt=1)
    epsilon: float | None = Field(default=None, gt=0)
    amsgrad: bool | None = None
    weight_decay: float | None = Field(default=None, ge=0)
    clipnorm: float | None = Field(default=None, gt=0)
    clipvalue: float | None = Field(default=None, gt=0)
    global_clipnorm: float | None = Field(default=None, gt=0)
    schedule: dict[str, Any] | None = None


class OuterRequest(_Section):
    """Local mode's outer optimizer: plain averaging, or Nesterov momentum as in DiLoCo (arXiv:2311.08105)."""

    name: Literal["average", "nesterov"] = "average"
    learning_rate: float = Field(default=0.7, gt=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)


class TrainRequest(_Section):
    """How to train.

    Attributes:
        workers: Shards, and worker invocations a round; "auto" = the smaller of cores and what the platform allows.
        epochs: Passes over the training rows (20 where neither epochs nor rounds is given).
        rounds: Rounds in total, instead of epochs.
        batch: Rows of a batch (global in gradient mode, per worker in local mode), or "full".
        sync: One gradient step a round, or up to `local_steps` local ones.
        local_steps: Steps of a local round.
        optimizer: The optimizer (or only its name).
        outer: Local mode's outer optimizer.
        learning_rate: Short for the optimizer's.
        seed: The root of every random draw.
        class_weight: "balanced" weighs rows inversely to their class' frequency.
        patience: Stop after so many epochs without a better validation loss.
        name: The model's name; made from the data's by default.
        lease: Seconds that an activation may serve rounds; 0 = one activation per worker and round; None = planned.
        key: The run's id, chosen by the caller: repeating a request with it finds the same run.
        wait: Whether `train` waits until the model is trained.
    """

    workers: int | Literal["auto"] = "auto"
    epochs: int | None = Field(default=None, ge=1, le=100_000)
    rounds: int | None = Field(default=None, ge=1, le=10_000_000)
    batch: Annotated[int, Field(ge=1)] | Literal["full"] = 64
    sync: Literal["gradient", "local"] = "gradient"
    local_steps: int = Field(default=50, ge=1, le=100_000)
    optimizer: Annotated[OptimizerRequest, _shorthand("name")] = OptimizerRequest()
    outer: Annotated[OuterRequest, _shorthand("name")] = OuterRequest()
    learning_rate: float | None = Field(default=None, gt=0)
    seed: int = Field(default=0, ge=0, lt=2**31)
    class_weight: Literal["none", "balanced"] = "none"
    patience: int | None = Field(default=None, ge=1)
    name: str | None = Field(default=None, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    lease: float | None = Field(default=None, ge=0, le=3600)
    key: str | None = None
    wait: bool = True

    @model_validator(mode="after")
    def _limits(self) -> TrainRequest:
        if self.epochs is not None and self.rounds is not None:
            raise ValueError("give either epochs or rounds, not both")
        if isinstance(self.workers, int) and not 1 <= self.workers <= MAX_WORKERS:
            raise ValueError(f"workers was {self.workers}; expected 1 to {MAX_WORKERS}, or 'auto'")
        return self


class PredictRequest(_Section):
    """What to decide on.

    Attributes:
        model: "NAME" (the newest version) or "NAME:VERSION"; the model just trained, in the sequence.
        rows: Objects by column, or arrays of features in the data's order.
        source: "upload:ID" of a file with rows, instead.
        top_k: How many classes to name for each row.
        missing: What to do about absent columns: an error, or the training fill.
        output: "inline", or "upload": the decisions as a stored file (for more than an answer may hold).
    """

    model: str | None = None
    rows: list[Any] | None = None
    source: str | None = None
    top_k: int = Field(default=3, ge=1, le=1000)
    missing: Literal["error", "fill"] = "error"
    output: Literal["auto", "inline", "upload"] = "auto"

    @model_validator(mode="after")
    def _one_source(self) -> PredictRequest:
        if self.rows is not None and self.source is not None:
            raise ValueError("give either rows or source, not both")
        return self


class Request(_Section):
    """A whole request: what the sequence `pipeline` takes."""

    data: Annotated[DataRequest, _shorthand("source")] = DataRequest()
    model: Annotated[ModelRequest, _shorthand("preset")] = ModelRequest()
    train: TrainRequest = TrainRequest()
    predict: Annotated[PredictRequest, _shorthand("rows")] = PredictRequest()


def _known_keys(model: type[BaseModel], path: tuple[Any, ...]) -> list[str]:
    """The keys that the object at `path` may have."""
    current: Any = model
    for part in path:
        info = current.model_fields.get(part) if isinstance(current, type) and issubclass(current, BaseModel) else None
        if info is None:
            return []
        current = info.annotation
    return list(current.model_fields) if isinstance(current, type) and issubclass(current, BaseModel) else []


def _sentence(model: type[BaseModel], error: Any) -> str:
    where = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        known = _known_keys(model, error["loc"][:-1])
        near = difflib.get_close_matches(str(error["loc"][-1]), known, n=1, cutoff=0.5)
        rest = f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(known)}."
        return f"{where!r} is not known: {rest}"
    received = repr(error.get("input"))
    if len(received) > 80:
        received = received[:77] + "..."
    text = error["msg"].removeprefix("Value error, ")
    return f"{where or 'the request'}: {text[0].lower()}{text[1:]} (received {received})"


def parse(model: type[Model], value: Mapping[str, Any] | Any) -> Model:
    """Check what a caller sent.

    Args:
        model: The schema: `Request` or one of its sections.
        value: What was received.

    Returns:
        The checked request, with defaults filled in.

    Raises:
        RequestError: Something is unknown, missing or out of bounds; all of it is named.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = list(dict.fromkeys(_sentence(model, e) for e in error.errors()))
        raise RequestError(
            "; ".join(problems[:5]) + (f"; and {len(problems) - 5} more" if len(problems) > 5 else ""),
            hint="Correct the request and send it again.",
        ) from None
