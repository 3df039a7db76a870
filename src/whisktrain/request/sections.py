"""The schema of a request: four sections, `data`, `model`, `train` and `predict`, each with defaults.

A string stands for a section's main field, and an unknown key is an error. A field says everything about a setting: type,
bounds, default, description, and with `Option` how it looks on the command line where its name and type do not say it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias, get_args

from pydantic import BeforeValidator, Field, model_validator

from whisktrain.request.data_section import BUNDLED, DataRequest, Section, ShardsRequest
from whisktrain.request.marks import NotAnOption, Option, Shorthand
from whisktrain.request.values import as_list, as_name

__all__ = [
    "BUNDLED",
    "DEFAULT_EPOCHS",
    "DEFAULT_LEARNING_RATE",
    "PRESETS",
    "DataRequest",
    "ModelRequest",
    "OptimizerRequest",
    "OuterRequest",
    "PredictRequest",
    "Request",
    "ShardsRequest",
    "TrainRequest",
]

Preset: TypeAlias = Literal["auto", "linear", "mlp", "cnn"]
PRESETS: tuple[str, ...] = get_args(Preset)

DEFAULT_EPOCHS = 20
DEFAULT_LEARNING_RATE = 0.001
MAX_WORKERS = 256

_GIVEN_AS_MODEL = NotAnOption("given as --model")
_GIVEN_AS_PREDICT = NotAnOption("given as --predict")


class ModelRequest(Section):
    """Which model: at most one of `preset`, `config`, `file`, `factory` and `init` (`model.py:build` needs its `file` too)."""

    preset: Annotated[
        Preset | None,
        _GIVEN_AS_MODEL,
        Field(description="A model made for the data; auto: chosen from it."),
    ] = None
    config: Annotated[
        dict[str, Any] | None,
        _GIVEN_AS_MODEL,
        Field(description="A Keras model's JSON configuration (`model.to_json()`)."),
    ] = None
    file: Annotated[
        str | None, _GIVEN_AS_MODEL, Field(description="A .keras file, or model.py, as upload:ID.")
    ] = None
    factory: Annotated[
        str | None,
        _GIVEN_AS_MODEL,
        Field(
            description="package.module:function of the deployment's allow-list; on the embedded host also model.py:function."
        ),
    ] = None
    init: Annotated[
        str | None,
        BeforeValidator(as_name),
        NotAnOption("given as --init"),
        Field(description="Start from the weights of this model, NAME or NAME:VERSION."),
    ] = None
    loss: Annotated[
        str | dict[str, Any] | None,
        Option(metavar="NAME"),
        Field(description="A Keras loss by name or configuration; chosen from the task otherwise."),
    ] = None
    metrics: Annotated[
        list[str] | None,
        BeforeValidator(as_list),
        Option(flag="--metric", metavar="NAME"),
        Field(description="Metrics to report; chosen from the task otherwise."),
    ] = None

    @model_validator(mode="after")
    def _one_model(self) -> ModelRequest:
        given = [
            k
            for k in ("preset", "config", "file", "factory", "init")
            if getattr(self, k) is not None
        ]
        own_code = self.factory is not None and self.factory.startswith("model.py:")
        if len(given) > 1 and not (own_code and given == ["file", "factory"]):
            raise ValueError(
                f"give one of preset, config, file, factory and init; received {' and '.join(given)}"
            )
        return self


class OptimizerRequest(Section):
    """The optimizer, with Keras' names and defaults; what is not given is as the given model was compiled."""

    name: Annotated[Literal["sgd", "adam", "adamw"] | None, Field(description="The optimizer.")] = (
        None
    )
    learning_rate: Annotated[float | None, Field(gt=0, description="The learning rate.")] = None
    momentum: Annotated[float | None, Field(ge=0, le=1, description="Of sgd.")] = None
    nesterov: Annotated[bool | None, Field(description="Of sgd: Nesterov momentum.")] = None
    beta_1: Annotated[float | None, Field(ge=0, lt=1, description="Of adam and adamw.")] = None
    beta_2: Annotated[float | None, Field(ge=0, lt=1, description="Of adam and adamw.")] = None
    epsilon: Annotated[float | None, Field(gt=0, description="Of adam and adamw.")] = None
    amsgrad: Annotated[bool | None, Field(description="Of adam and adamw.")] = None
    weight_decay: Annotated[float | None, Field(ge=0, description="Decoupled weight decay.")] = None
    clipnorm: Annotated[
        float | None, Field(gt=0, description="Largest norm of each variable's gradient.")
    ] = None
    clipvalue: Annotated[
        float | None, Field(gt=0, description="Largest absolute value of a gradient.")
    ] = None
    global_clipnorm: Annotated[
        float | None, Field(gt=0, description="Largest norm of all gradients together.")
    ] = None
    schedule: Annotated[
        dict[str, Any] | None,
        Field(description="A schedule of `keras.optimizers.schedules`: its name and arguments."),
    ] = None


class OuterRequest(Section):
    """Local mode's outer optimizer: plain averaging, or Nesterov momentum as in DiLoCo (arXiv:2311.08105)."""

    name: Annotated[Literal["average", "nesterov"], Field(description="The outer optimizer.")] = (
        "average"
    )
    learning_rate: Annotated[float, Field(gt=0, description="Of nesterov.")] = 0.7
    momentum: Annotated[float, Field(ge=0, lt=1, description="Of nesterov.")] = 0.9


class TrainRequest(Section):
    """How to train."""

    workers: Annotated[
        Annotated[int, Field(ge=1, le=MAX_WORKERS)] | Literal["auto"],
        Option(metavar="N"),
        Field(
            description="How many workers, each with a shard; auto: the smaller of cores and what the platform allows."
        ),
    ] = "auto"
    epochs: Annotated[
        int | None,
        Option(default=str(DEFAULT_EPOCHS)),
        Field(ge=1, le=100_000, description="Passes over the training rows."),
    ] = None
    rounds: Annotated[
        int | None, Field(ge=1, le=10_000_000, description="Rounds in total, instead of epochs.")
    ] = None
    batch: Annotated[
        Annotated[int, Field(ge=1)] | Literal["full"],
        Option(metavar="ROWS"),
        Field(
            description="Rows of a batch, global in gradient mode, per worker in local mode; full: every worker uses its whole "
            "shard every round."
        ),
    ] = 64
    sync: Annotated[
        Literal["gradient", "local"],
        Field(description="gradient: one step a round; local: several local steps a round."),
    ] = "gradient"
    local_steps: Annotated[int, Field(ge=1, le=100_000, description="Steps of a local round.")] = 50
    optimizer: Annotated[
        OptimizerRequest,
        Shorthand("name"),
        Option(default="adam"),
        Field(description="The optimizer; in a request also with Keras' arguments."),
    ] = OptimizerRequest()
    outer: Annotated[
        OuterRequest,
        Shorthand("name"),
        Option(default="average"),
        Field(description="Local mode's outer optimizer; in a request also with its arguments."),
    ] = OuterRequest()
    learning_rate: Annotated[
        float | None,
        Option(default=str(DEFAULT_LEARNING_RATE)),
        Field(gt=0, description="The optimizer's learning rate."),
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**31, description="The root of every random draw.")] = 0
    class_weight: Annotated[
        Literal["none", "balanced"],
        Field(description="balanced: rows weigh inversely to their class' frequency."),
    ] = "none"
    patience: Annotated[
        int | None,
        Field(ge=1, description="Stop after so many epochs without a better validation loss."),
    ] = None
    name: Annotated[
        str | None,
        BeforeValidator(as_name),
        Field(
            pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
            description="The model's name; made from the data's otherwise.",
        ),
    ] = None
    lease: Annotated[
        float | None,
        Option(metavar="SECONDS"),
        Field(
            ge=0,
            le=3600,
            description="Seconds that an activation serves rounds; 0: one activation per worker and round; planned otherwise.",
        ),
    ] = None
    key: Annotated[
        str | None,
        BeforeValidator(as_name),
        Field(description="Names the run: the same request with it finds the same run."),
    ] = None
    wait: Annotated[
        bool,
        NotAnOption("given as wait, or --no-wait"),
        Field(description="Whether `train` waits until the model is trained."),
    ] = True

    @model_validator(mode="after")
    def _one_length(self) -> TrainRequest:
        if self.epochs is not None and self.rounds is not None:
            raise ValueError("give either epochs or rounds, not both")
        return self


class PredictRequest(Section):
    """What to decide on."""

    model: Annotated[
        str | None,
        BeforeValidator(as_name),
        NotAnOption("the model just trained"),
        Field(
            description="NAME (the newest version) or NAME:VERSION; the model just trained otherwise."
        ),
    ] = None
    rows: Annotated[
        list[Any] | None,
        _GIVEN_AS_PREDICT,
        Field(description="Objects by column, or arrays of features in the data's order."),
    ] = None
    source: Annotated[
        str | None,
        _GIVEN_AS_PREDICT,
        Field(description="A file with rows as upload:ID, instead of rows."),
    ] = None
    top_k: Annotated[
        int, Field(ge=1, le=1000, description="How many classes to name for each row.")
    ] = 3
    missing: Annotated[
        Literal["error", "fill"],
        Field(description="What to do about absent columns: an error, or the training fill."),
    ] = "error"
    output: Annotated[
        Literal["auto", "inline", "upload"],
        NotAnOption("the SDK fetches stored decisions"),
        Field(
            description="Where decisions go: into the answer, or to a stored file; auto: inline where they fit."
        ),
    ] = "auto"

    @model_validator(mode="after")
    def _one_source(self) -> PredictRequest:
        if self.rows is not None and self.source is not None:
            raise ValueError("give either rows or source, not both")
        return self


class Request(Section):
    """A whole request: what the sequence `pipeline` takes."""

    data: Annotated[DataRequest, Shorthand("source")] = DataRequest()
    model: Annotated[ModelRequest, Shorthand("preset")] = ModelRequest()
    train: TrainRequest = TrainRequest()
    predict: Annotated[PredictRequest, Shorthand("rows")] = PredictRequest()
