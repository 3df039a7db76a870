"""Whether two requests ask for the same training, and where they differ. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import TypeAlias

from whisktrain.jsontypes import Json, JsonObject
from whisktrain.request.sections import Request

__all__ = ["Asked", "differences", "resume_asked", "training_asked"]

Asked: TypeAlias = Mapping[str, Json]
"""What was asked for, by setting: "train.epochs", "model.preset", and "data" for the rows."""

_NOT_THE_TRAINING = {"train": {"key", "wait"}, "data": {"source", "records"}}
"""Settings that do not say what is trained; the data set stands for the source of the data."""
_WHOLE = frozenset({"config"})
"""Objects that are one setting."""
_DATA = "data"
_RESUME = "resume"
_MAKING_DATA = frozenset({"train.seed", "train.workers"})
"""Settings that the data set depends on, beside those of the section `data`."""
_LONGEST = 200
"""Characters of a value that is kept as it is; of a longer one a digest is."""
_MOST_NAMED = 5


def training_asked(request: Request, dataset: str) -> dict[str, Json]:
    """What a request for a training asks for: every setting with its default filled in, and the data set.

    Args:
        request: The request.
        dataset: The id of the data set that was made for it.
    """
    asked: dict[str, Json] = {}
    for section in ("data", "model", "train"):
        given = getattr(request, section).model_dump(
            mode="json", exclude=_NOT_THE_TRAINING.get(section)
        )
        _flatten(given, section, asked)
    return {**asked, _DATA: dataset}


def resume_asked(run: str, learning_rate: Json = None) -> dict[str, Json]:
    """What a request to resume a run asks for.

    Args:
        run: The run's id.
        learning_rate: The learning rate from there on; None: the run's own.
    """
    return {_RESUME: run, **({} if learning_rate is None else {"learning_rate": learning_rate})}


def _flatten(given: JsonObject, prefix: str, into: dict[str, Json]) -> None:
    for name, value in given.items():
        path = f"{prefix}.{name}"
        if isinstance(value, dict) and name not in _WHOLE:
            _flatten(value, path, into)
        elif value is not None:
            text = json.dumps(value, sort_keys=True)
            digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
            into[path] = value if len(text) <= _LONGEST else digest


def differences(was: Asked, now: Asked) -> list[str]:
    """Where two requests differ, in words; empty where they ask for the same.

    Args:
        was: What was asked for first.
        now: What is asked for now.
    """
    if was == now:
        return []
    if (_RESUME in was) != (_RESUME in now):
        return [f"it was {_kind(was)}, and is {_kind(now)}"]
    if _RESUME not in was:
        # A setting that the version did not know that the first request was made with has its default.
        was = {**training_asked(Request(), ""), **was}
    found = [name for name in sorted({*was, *now}) if was.get(name) != now.get(name)]
    # What makes another data set is what has to be named, not the data set.
    if any(name in _MAKING_DATA or name.startswith(f"{_DATA}.") for name in found):
        found = [name for name in found if name != _DATA]
    named = [_difference(name, was.get(name), now.get(name)) for name in found[:_MOST_NAMED]]
    rest = len(found) - len(named)
    return [*named, f"{rest} more"] if rest else named


def _kind(asked: Asked) -> str:
    return f"resuming run {asked[_RESUME]}" if _RESUME in asked else "a training of its own"


def _difference(name: str, was: Json, now: Json) -> str:
    if name == _DATA:
        return f"data: was data set {was}, is {now}: other rows, or preprocessed by another version"
    return f"{name}: was {_shown(was)}, is {_shown(now)}"


def _shown(value: Json) -> str:
    if value is None:
        return "not given"
    if isinstance(value, str) and value.startswith("sha256:"):
        return f"another ({value[7:15]}…)"
    return json.dumps(value, ensure_ascii=False)
