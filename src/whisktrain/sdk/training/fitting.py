"""Trains a Keras model that a caller holds, on arrays, and sets its weights in place."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from whisktrain.errors import RequestError
from whisktrain.sdk import requests
from whisktrain.sdk.data import Data
from whisktrain.sdk.models import Models
from whisktrain.sdk.training import arrays, lifecycle

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from whisktrain.sdk.options import TrainOptions
    from whisktrain.sdk.session import Session
    from whisktrain.sdk.training.watching import Report
    from whisktrain.serving.results import RunResult

__all__ = ["KerasModel", "fit"]

_NOT_IN_PLACE = (
    "The Keras model's weights were not set in place: "
    "ask for answers with predict, which knows the targets' own units."
)


class Variable(Protocol):
    """A variable of a Keras model."""

    def assign(self, value: NDArray[np.generic]) -> object:
        """Set its value."""


class KerasModel(Protocol):
    """What is used of a `keras.Model`."""

    name: str
    built: bool

    @property
    def weights(self) -> Sequence[Variable]:
        """All its variables."""

    def build(self, input_shape: tuple[int | None, ...]) -> object:
        """Create the weights."""

    def to_json(self) -> str:
        """Its configuration."""

    def save(self, filepath: Path) -> object:
        """Write it as a .keras file."""


def fit(
    session: Session,
    model: KerasModel,
    x: ArrayLike,
    y: ArrayLike | None,
    *,
    progress: Report,
    options: TrainOptions,
) -> RunResult:
    """Train a Keras model on arrays; see `Connection.fit`."""
    features = arrays.features(x)
    targets = arrays.targets(y, rows=len(features))
    file = _file_of(model, features.shape[1:])
    settings: dict[str, object] = {"scale": "none", **_lost_loss(model), **options}
    if not settings.get("name"):
        settings["name"] = requests.default_name(str(model.name)) or "model"

    def make(source: str, model_file: str) -> requests.RequestObject:
        made = requests.build({"source": source}, {"file": model_file}, settings)
        return requests.as_json(made)

    requests.check(make(requests.NOT_UPLOADED, requests.NOT_UPLOADED))
    data = Data(session)
    packed = arrays.packed(features, targets)
    request = make(data.put(packed, "arrays.npz"), data.put(file, "model.keras"))
    result = lifecycle.train(session, request, progress=progress)
    if result["status"] != "completed":
        return result
    classes = result.get("classes")
    as_given = (
        settings["scale"] == "none" if classes is None else [*classes] == [*range(len(classes))]
    )
    if not as_given:
        return {**result, "notices": [*result.get("notices", []), _NOT_IN_PLACE]}
    _set_weights(session, model, str(result["model"]))
    return result


def _file_of(model: KerasModel, x_shape: tuple[int, ...]) -> bytes:
    """The model as a .keras file, after every check that its configuration allows.

    Raises:
        RequestError: It is no Keras model, or holds something that is not Keras' own.
    """
    from whisktrain.learning import checks

    if not all(hasattr(model, name) for name in ("to_json", "save", "weights")):
        raise RequestError(
            f"fit was given a {type(model).__name__}; expected a Keras model.",
            hint="Build it with keras.Sequential or keras.Model(inputs, outputs).",
        )
    try:
        if not model.built:
            model.build((None, *x_shape))
        with warnings.catch_warnings(action="ignore"):  # what it warns of is refused below
            config = json.loads(model.to_json())
    except Exception as error:
        raise _not_written(error) from error
    checks.check_config(config)
    with tempfile.TemporaryDirectory(prefix="whisktrain-") as folder:
        path = Path(folder) / "model.keras"
        try:
            model.save(path)
        except Exception as error:
            raise _not_written(error) from error
        return path.read_bytes()


def _not_written(error: Exception) -> RequestError:
    reason = " ".join(str(error).split())[:300]
    return RequestError(
        f"the Keras model cannot be built and written to a file: {type(error).__name__}: {reason}",
        hint="Build it of Keras' own layers, as keras.Sequential or keras.Model(inputs, outputs), so that save() works.",
    )


def _lost_loss(model: KerasModel) -> dict[str, object]:
    """The compiled loss where Keras leaves an argument of it out of the file: the `delta` of Huber."""
    arguments = getattr(getattr(model, "loss", None), "_fn_kwargs", None)
    delta = arguments.get("delta") if isinstance(arguments, Mapping) else None
    if delta is None:
        return {}
    reduction = str(getattr(cast(object, model.loss), "reduction", "sum_over_batch_size"))  # type: ignore[attr-defined]
    return {"loss": {"name": "huber", "delta": float(delta), "reduction": reduction}}


def _set_weights(session: Session, model: KerasModel, reference: str) -> None:
    """Assign the trained weights to the caller's model."""
    _, files = Models(session).read(reference)
    params = files.params
    for variable, key in zip(model.weights, sorted(params), strict=True):
        variable.assign(params[key])
