"""Trains a Keras model that a caller holds, on arrays, and sets its weights in place."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from whisktrain.sdk import requests
from whisktrain.sdk.data import Data
from whisktrain.sdk.models import Models
from whisktrain.sdk.training import lifecycle

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from whisktrain.jsontypes import JsonObject
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

    @property
    def weights(self) -> Sequence[Variable]:
        """All its variables."""

    def save(self, filepath: Path) -> object:
        """Write it as a .keras file."""


def fit(
    session: Session,
    model: KerasModel,
    x: ArrayLike,
    y: ArrayLike,
    *,
    progress: Report,
    options: TrainOptions,
) -> RunResult:
    """Train a Keras model on arrays; see `Connection.fit`."""
    section: JsonObject = {"source": _upload_arrays(session, x, y)}
    settings = {"scale": "none", **options}
    if not settings.get("name"):
        settings["name"] = requests.default_name(str(model.name)) or "model"
    request = requests.build(section, {"file": _upload_model(session, model)}, settings)
    result = lifecycle.train(session, request, progress=progress)
    if result["status"] != "completed":
        return result
    classes = result.get("classes")
    if classes is None or list(classes) != list(range(len(classes))):
        return {**result, "notices": [*result.get("notices", []), _NOT_IN_PLACE]}
    _set_weights(session, model, str(result["model"]))
    return result


def _upload_arrays(session: Session, x: ArrayLike, y: ArrayLike) -> str:
    targets = np.asarray(y)
    arrays = io.BytesIO()
    np.savez_compressed(arrays, x=np.asarray(x), y=targets.reshape(len(targets)))
    return Data(session).put(arrays.getvalue(), "arrays.npz")


def _upload_model(session: Session, model: KerasModel) -> str:
    with tempfile.TemporaryDirectory(prefix="whisktrain-") as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return Data(session).put(path.read_bytes(), "model.keras")


def _set_weights(session: Session, model: KerasModel, reference: str) -> None:
    """Assign the trained weights to the caller's model."""
    _, files = Models(session).read(reference)
    params = files.params
    for variable, key in zip(model.weights, sorted(params), strict=True):
        variable.assign(params[key])
