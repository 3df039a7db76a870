"""What `whisktrain.connect` returns: a session, and what a caller does with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, Unpack, cast

from whisktrain.sdk import requests
from whisktrain.sdk.cells import is_table, plain_setting
from whisktrain.sdk.data import Data
from whisktrain.sdk.decisions import rows_section, with_decisions
from whisktrain.sdk.frames import file_of_frame
from whisktrain.sdk.models import Models
from whisktrain.sdk.runs import Runs
from whisktrain.sdk.session import Session
from whisktrain.sdk.training import lifecycle
from whisktrain.version import __version__

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pandas import DataFrame as Table

    from whisktrain.jsontypes import JsonObject
    from whisktrain.sdk.options import PredictOptions, TrainOptions
    from whisktrain.sdk.training.fitting import KerasModel
    from whisktrain.sdk.training.watching import Report
    from whisktrain.sdk.where import Where
    from whisktrain.serving.results import DecisionAnswer, RunResult

__all__ = ["Connection"]

DataGiven: TypeAlias = "str | Path | Sequence[object] | Table | Mapping[str, object] | None"
"""Data as a caller names it: a bundled set, a file or folder, an address, a reference, records, a table of pandas (or one that
becomes it), or the request's section."""


class Connection(Session):
    """A session with a user's verbs. A context manager: closing it ends everything that it started.

    Attributes:
        where: The platform, home and store.
        narrate: Called with each line that says what is going on.
        runs: The handle on runs.
        models: The handle on trained models.
        data: The handle on uploads and data sets.

    Args:
        where: Where to work.
        narrate: As the attribute; nothing is said by default.
        share: As of `Session`.
    """

    def __init__(
        self,
        where: Where,
        narrate: Callable[[str], None] | None = None,
        *,
        share: bool = False,
    ) -> None:
        super().__init__(where, narrate, share=share)
        self.runs = Runs(self)
        self.models = Models(self)
        self.data = Data(self)

    def train(
        self,
        data: DataGiven = None,
        *,
        model: str | None = None,
        init: str | None = None,
        predict: object = None,
        progress: Report = None,
        wait: bool = True,
        request: Mapping[str, object] | None = None,
        **options: Unpack[TrainOptions],
    ) -> RunResult:
        """Train a model.

        Args:
            data: A bundled set ("digits", "iris", "wine", "breast_cancer", "diabetes"), a file or folder, an http(s) address,
                "upload:ID", "dataset:ID", a list of records, a table of pandas, or the request's `data` section.
            model: "auto", "linear", "mlp", "cnn", "PATH.keras", "PATH.json", "package.module:function" or "model.py:build".
            init: Start from the weights of this model, "NAME" or "NAME:VERSION".
            predict: Rows to decide on with the trained model, as those of `predict`.
            progress: Called with a snapshot of the run whenever it has changed.
            wait: Whether to wait for the end; otherwise the run goes on by itself.
            request: A whole request instead of data, model and options.
            **options: Any other setting by its name in the request, such as `target`, `epochs`, `workers`, `optimizer`.

        Raises:
            RequestError: It cannot be done as asked.
            TrainingError: The run ended without a model.
        """
        given = file_of_frame(data) if is_table(data) else data
        if request is None and options.get("name") is None:
            options["name"] = requests.default_name(data)

        def make(upload: requests.Upload) -> requests.RequestObject:
            if request is not None:
                return requests.as_json(request)
            section = requests.find_data(given, upload)
            return requests.as_json(
                requests.build(section, requests.find_model(model, init, upload), options)
            )

        requests.check(make(requests.not_uploaded))
        rows = {} if predict is None else rows_section(self, predict)
        made = make(self.upload)
        if rows:
            made["predict"] = {**made.get("predict", {}), **rows}
        return lifecycle.train(self, made, progress=progress, wait=wait)

    def fit(
        self,
        keras_model: KerasModel,
        x: ArrayLike,
        y: ArrayLike | None = None,
        *,
        progress: Report = None,
        **options: Unpack[TrainOptions],
    ) -> RunResult:
        """Train a Keras model on arrays; as compiled, where options do not say otherwise. Its weights are set in place.

        Args:
            keras_model: A Keras model with one input and one output; it starts from its own weights. Its loss and its last
                layer decide between classes and values.
            x: Features, shape (rows, ...); used as they are (`scale="none"`) unless an option says otherwise.
            y: Targets, shape (rows,): class numbers, labels or values; or one-hot rows, shape (rows, classes).
            progress: As of `train`.
            **options: As of `train`; `name` is the Keras model's by default.

        Returns:
            As `train`. `notices` says where the weights were not set in place: where classes were renumbered for training, or
            values scaled, so that such a model answers through `predict`.

        Raises:
            RequestError: Model or arrays cannot be used; nothing has started then.
            TrainingError: The run ended without a model.
        """
        from whisktrain.sdk.training.fitting import fit

        return fit(self, keras_model, x, y, progress=progress, options=options)

    def predict(
        self,
        model: str,
        rows: object,
        *,
        output: str | None = None,
        **options: Unpack[PredictOptions],
    ) -> DecisionAnswer:
        """Decide on rows with a trained model.

        Args:
            model: "NAME" (the newest version) or "NAME:VERSION".
            rows: Objects by column or arrays of features, one or many; a series or table of pandas, read by its labels; an
                array; a file; or "upload:ID".
            output: "auto", "inline" or "upload": where decisions go that are too many for an answer. Where they are stored and
                the store is known, they are fetched.
            **options: Any other setting by its name in the request's section `predict`, such as `top_k`.

        Raises:
            NotFound: There is no such model.
            RequestError: The rows cannot be used.
        """
        from whisktrain.request.rows import parse_predict

        given = {"output": output, **options}
        chosen = {key: plain_setting(value) for key, value in given.items() if value is not None}
        parse_predict({"model": model, **chosen})
        section: JsonObject = {"model": model, **rows_section(self, rows), **chosen}
        answer = cast(
            "DecisionAnswer",
            self.client.call("whisktrain/predict", {**section, "lib_version": __version__}),
        )
        return with_decisions(self, answer) if output != "upload" else answer
