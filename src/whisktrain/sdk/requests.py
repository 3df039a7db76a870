"""From what a user says to the one request: only what was said is set, so that everything else keeps its own default."""

from __future__ import annotations

import difflib
import json
import re
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from whisktrain.errors import RequestError

__all__ = ["build", "default_name", "find_data", "find_model", "new_run_id", "rows_file"]

_DATA = ("target", "task", "drop", "keep", "types", "validation", "scale", "shards", "format")
_MODEL = ("loss", "metrics")
_TRAIN = (
    "workers",
    "epochs",
    "rounds",
    "batch",
    "sync",
    "local_steps",
    "outer",
    "learning_rate",
    "seed",
    "class_weight",
    "patience",
    "name",
    "lease",
    "key",
)
_PREDICT = ("top_k", "missing")
_PRESETS = ("auto", "linear", "mlp", "cnn")

Upload = Callable[[Path], str]


def find_data(data: Any, upload: Upload) -> dict[str, Any]:
    """The request's `data` section for what a user calls data.

    Args:
        data: A bundled set's name, a file or folder, an http(s) address, "upload:ID", "dataset:ID", or a list of records.
        upload: Stores a file and answers "upload:ID".

    Raises:
        RequestError: It is none of these; the nearest name is given.
    """
    from whisktrain.request import BUNDLED

    if isinstance(data, Mapping):
        return dict(data)
    if isinstance(data, list):
        return {"records": data}
    text = str(data)
    if isinstance(data, str) and (text in BUNDLED or re.match(r"(https?|upload|dataset):", text)):
        return {"source": text}
    path = Path(text).expanduser()
    if path.exists():
        return {"source": upload(path)}
    near = difflib.get_close_matches(text, [*BUNDLED, *_neighbours(path)], n=1, cutoff=0.6)
    raise RequestError(
        f"The data was given as {text!r}, which is no file, no address and none of {', '.join(BUNDLED)}.",
        code="no_such_data",
        hint=f"Did you mean {near[0]!r}?" if near else "Check the path, or name a bundled set.",
    )


def _neighbours(path: Path) -> list[str]:
    try:
        return [str(path.with_name(p.name)) for p in path.parent.iterdir()]
    except OSError:
        return []


def find_model(model: str | None, init: str | None, upload: Upload) -> dict[str, Any]:
    """The request's `model` section: a preset, a `.keras` or `.json` file, "package.module:function" or "model.py:function".

    Raises:
        RequestError: It is none of these.
    """
    found: dict[str, Any] = {}
    if init is not None:
        found["init"] = init
    if model is None or (model == "auto" and init is not None):
        return found
    if model in _PRESETS:
        return {**found, "preset": model}
    file, colon, function = model.rpartition(":")
    if colon and file.endswith(".py"):
        return {**found, "factory": f"model.py:{function}", "file": upload(_existing(file, model))}
    if model.endswith(".keras"):
        return {**found, "file": upload(_existing(model, model))}
    if model.endswith(".json"):
        try:
            return {**found, "config": json.loads(_existing(model, model).read_text(encoding="utf-8"))}
        except ValueError as error:
            raise RequestError(
                f"The model's file {model!r} is no JSON: {error}.", hint="Write it with model.to_json()."
            ) from None
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", model):
        return {**found, "factory": model}
    near = difflib.get_close_matches(model, _PRESETS, n=1)
    raise RequestError(
        f"The model was given as {model!r}; expected one of {', '.join(_PRESETS)}, PATH.keras, PATH.json, "
        "package.module:function or model.py:function.",
        code="no_such_model_kind",
        hint=f"Did you mean {near[0]!r}?" if near else "An earlier model's weights are taken with --init NAME.",
    )


def _existing(file: str, given: str) -> Path:
    path = Path(file).expanduser()
    if not path.is_file():
        raise RequestError(f"The model was given as {given!r}, but there is no file {file!r}.", code="no_such_file")
    return path


def build(data: Mapping[str, Any], model: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The whole request.

    Args:
        data: Its `data` section so far.
        model: Its `model` section so far.
        options: Further settings by their names in the request, whatever section they belong to; None means: not said.

    Raises:
        RequestError: There is no setting of a name.
    """
    said = {key: value for key, value in options.items() if value is not None}
    request: dict[str, dict[str, Any]] = {"data": dict(data), "model": dict(model), "train": {}, "predict": {}}
    for section, keys in (("data", _DATA), ("model", _MODEL), ("train", _TRAIN), ("predict", _PREDICT)):
        for key in keys:
            if key in said:
                request[section][key] = said.pop(key)
    optimizer = said.pop("optimizer", None)
    if optimizer is not None:
        request["train"]["optimizer"] = optimizer if isinstance(optimizer, Mapping) else {"name": optimizer}
    if said:
        known = [*_DATA, *_MODEL, *_TRAIN, *_PREDICT, "optimizer"]
        name = next(iter(said))
        near = difflib.get_close_matches(name, known, n=1)
        raise RequestError(
            f"{name!r} is no setting of a training.",
            hint=f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(known)}.",
        )
    return {section: content for section, content in request.items() if content}


def default_name(data: Any) -> str | None:
    """A model's name made of its data's: the file's or set's own, as far as names may have its letters."""
    text = str(data) if isinstance(data, (str, Path)) else ""
    if text.startswith(("upload:", "dataset:")):
        return None
    stem = re.split(r"[?#]", text.rstrip("/"))[0].rpartition("/")[2].partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64]
    return name or None


def new_run_id(name: str | None) -> str:
    """An id for a new run: the model's name, and eight random digits."""
    return f"{(name or 'run')[:48]}-{secrets.token_hex(4)}"


def rows_file(path: str | Path) -> list[Any] | None:
    """The rows in a small JSON file, as they are; None where the file is another one and has to be uploaded.

    Raises:
        RequestError: There is no such file, or it holds no JSON.
    """
    file = Path(path).expanduser()
    if not file.exists():
        raise RequestError(f"There is no file {str(path)!r} with rows to predict.", code="no_such_file", hint="Check the path.")
    if file.suffix.lower() != ".json" or file.stat().st_size > 500_000:
        return None
    try:
        rows = json.loads(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise RequestError(f"The file {str(path)!r} is no JSON: {error}.", code="bad_rows") from None
    if isinstance(rows, dict) and isinstance(rows.get("rows"), list):
        rows = rows["rows"]
    if isinstance(rows, dict) or (isinstance(rows, list) and rows and not any(isinstance(v, (dict, list)) for v in rows)):
        rows = [rows]
    if not isinstance(rows, list):
        raise RequestError(f"The file {str(path)!r} holds no list of rows.", code="bad_rows")
    return rows
