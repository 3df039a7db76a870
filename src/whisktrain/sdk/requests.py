"""From what a caller gives to the one request: only what was given is set, so that everything else keeps its own default."""

from __future__ import annotations

import difflib
import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, cast

from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json, JsonObject, parse_json
from whisktrain.sdk.cells import is_table, plain_rows, plain_setting
from whisktrain.sdk.frames import FrameFile, rows_of_frame

if TYPE_CHECKING:
    from whisktrain.request import TrainRequest

__all__ = [
    "LARGEST_INLINE",
    "NOT_UPLOADED",
    "RequestObject",
    "as_json",
    "build",
    "check",
    "default_name",
    "find_data",
    "find_model",
    "inline_rows",
    "new_key",
    "not_uploaded",
    "rows_file",
]

RequestObject: TypeAlias = dict[str, JsonObject]
"""A request before it is checked: its sections by their names."""

Upload: TypeAlias = "Callable[[Path | FrameFile], str]"
"""Stores a file and returns "upload:ID"."""

LARGEST_INLINE = 400_000
"""Bytes of rows that travel in a request; more are uploaded."""

NOT_UPLOADED = "upload:not-yet"
"""What stands for a file's reference while a request is checked before anything is uploaded."""

_ROWS = {"data": "records", "predict": "rows"}
"""The keys of a request that hold rows, by section."""

_LARGEST_ROWS_FILE = 500_000
"""Bytes of a JSON file whose rows travel in the request; a larger one is uploaded."""


def find_data(data: object, upload: Upload) -> JsonObject:
    """Find the request's `data` section for what a caller calls data.

    Args:
        data: A bundled set's name, a file or folder, an http(s) address, "upload:ID", "dataset:ID", a list of records, a table
            as a file, or the section itself.
        upload: Stores a file.

    Raises:
        RequestError: It is none of these; the nearest name is given.
    """
    from whisktrain.request import BUNDLED

    if isinstance(data, Mapping):
        return dict(data)
    if isinstance(data, FrameFile):
        types: JsonObject = dict.fromkeys(data.categorical, "categorical")
        return {"source": upload(data), **({"types": types} if types else {})}
    if not isinstance(data, (str, Path)):
        records = _records(data)
        content = json.dumps(records).encode()
        if len(content) <= LARGEST_INLINE:
            return {"records": records}
        return {"source": upload(FrameFile(content, "records.json"))}
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


def _records(data: object) -> Json:
    """Rows with labels as the request's records."""
    records = plain_rows(data) if isinstance(data, Iterable) else None
    if not isinstance(records, list) or not all(isinstance(record, dict) for record in records):
        raise RequestError(
            f"The data was given as {type(data).__name__}; expected a file, an address, a table of pandas, or rows as objects.",
            code="bad_data",
            hint="Give an array's columns names, such as pandas.DataFrame(array, columns=[...]), or use fit.",
        )
    return records


def _neighbours(path: Path) -> list[str]:
    try:
        return [str(path.with_name(p.name)) for p in path.parent.iterdir()]
    except OSError:
        return []


def find_model(model: str | None, init: str | None, upload: Upload) -> JsonObject:
    """Find the request's `model` section for a preset, a file, "package.module:function" or "model.py:function".

    Raises:
        RequestError: It is none of these.
    """
    start: JsonObject = {} if init is None else {"init": init}
    if model is None or (model == "auto" and init is not None):
        return start
    return {**start, **_model_source(model, upload)}


def _model_source(model: str, upload: Upload) -> JsonObject:
    from whisktrain.request.sections import PRESETS

    if model in PRESETS:
        return {"preset": model}
    file, colon, function = model.rpartition(":")
    if colon and file.endswith(".py"):
        return {"factory": f"model.py:{function}", "file": upload(_existing(file, model))}
    if model.endswith(".keras"):
        return {"file": upload(_existing(model, model))}
    if model.endswith(".json"):
        return {"config": _model_config(model)}
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", model):
        return {"factory": model}
    near = difflib.get_close_matches(model, PRESETS, n=1)
    raise RequestError(
        f"The model was given as {model!r}; expected one of {', '.join(PRESETS)}, PATH.keras, PATH.json, "
        "package.module:function or model.py:function.",
        code="no_such_model_kind",
        hint=f"Did you mean {near[0]!r}?"
        if near
        else "An earlier model's weights are taken with --init NAME.",
    )


def _model_config(file: str) -> Json:
    try:
        return parse_json(_existing(file, file).read_text(encoding="utf-8"))
    except ValueError as error:
        hint = "Write it with model.to_json()."
        raise RequestError(f"The model's file {file!r} is no JSON: {error}.", hint=hint) from None


def _existing(file: str, given: str) -> Path:
    path = Path(file).expanduser()
    if not path.is_file():
        raise RequestError(
            f"The model was given as {given!r}, but there is no file {file!r}.",
            code="no_such_file",
            hint="Check the path.",
        )
    return path


def build(data: JsonObject, model: JsonObject, given: Mapping[str, object]) -> RequestObject:
    """Build the whole request.

    Args:
        data: Its `data` section so far.
        model: Its `model` section so far.
        given: Further settings by their names in the request, whatever section they belong to; None: not given.

    Raises:
        RequestError: There is no setting of a name.
    """
    from whisktrain.request.marks import Shorthand
    from whisktrain.request.options import options

    known = options()
    request: RequestObject = {"data": dict(data), "model": dict(model), "train": {}, "predict": {}}
    for name, value in given.items():
        if value is None:
            continue
        setting = known.get(name)
        if setting is None:
            raise _no_setting(name, list(known))
        short = setting.mark(Shorthand)
        expanded = plain_setting(short.expand(value) if short else value)
        earlier = request[setting.section].get(name)
        if isinstance(earlier, dict) and isinstance(expanded, dict):
            expanded = {**earlier, **expanded}
        request[setting.section][name] = expanded
    return {section: content for section, content in request.items() if content}


def as_json(request: Mapping[str, object]) -> RequestObject:
    """A request that holds values of Python, NumPy and pandas as JSON: its rows exactly, its settings as plain values.

    Raises:
        RequestError: A row holds what JSON cannot.
    """
    made: JsonObject = {}
    for section, content in request.items():
        place = _ROWS.get(section, "")
        if isinstance(content, Mapping):
            made[section] = {
                str(key): inline_rows(value)
                if key == place and value is not None
                else plain_setting(value)
                for key, value in content.items()
            }
        elif place and content is not None and not isinstance(content, str):
            made[section] = {place: inline_rows(content)}
        else:
            made[section] = plain_setting(content)
    return cast(RequestObject, made)


def inline_rows(rows: object) -> Json:
    """Rows as JSON, of a table or as `plain_rows` takes them."""
    return rows_of_frame(rows) if is_table(rows) else plain_rows(rows)


def check(request: Mapping[str, Json]) -> TrainRequest:
    """Check a whole request, before anything is sent or uploaded.

    Returns:
        Its section `train`.

    Raises:
        RequestError: Something in it is wrong.
    """
    from whisktrain.request import Request, parse

    return parse(Request, request).train


def not_uploaded(file: Path | FrameFile) -> str:
    """Stand in for an upload while a request is checked: nothing is stored."""
    return NOT_UPLOADED


def _no_setting(name: str, known: list[str]) -> RequestError:
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Known are {', '.join(known)}."
    return RequestError(f"{name!r} is no setting of a training.", hint=hint)


def default_name(data: object) -> str | None:
    """Make a model's name of its data's: the file's or set's own, as far as names may have its letters."""
    text = str(data) if isinstance(data, (str, Path)) else ""
    if text.startswith(("upload:", "dataset:")):
        return None
    stem = re.split(r"[?#]", text.rstrip("/"))[0].rpartition("/")[2].partition(".")[0]
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).strip("-._")[:64]
    return name or None


def new_key(name: str | None) -> str:
    """Make a key for a new run: the model's name, and eight random digits."""
    return f"{(name or 'run')[:48]}-{secrets.token_hex(4)}"


def rows_file(path: str | Path) -> list[Json] | None:
    """Read the rows of a small JSON file; None where the file is another one and has to be uploaded.

    Raises:
        RequestError: There is no such file, or it holds no JSON.
    """
    from whisktrain.request.rows import as_rows

    file = Path(path).expanduser()
    if not file.exists():
        raise RequestError(
            f"There is no file {str(path)!r} with rows to predict.",
            code="no_such_file",
            hint="Check the path.",
        )
    small = file.is_file() and file.stat().st_size <= _LARGEST_ROWS_FILE
    if file.suffix.lower() != ".json" or not small:
        return None
    try:
        content: Json = parse_json(file.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise RequestError(
            f"The file {str(path)!r} is no JSON: {error}.",
            code="bad_rows",
            hint='Such as [{"age": 31}] or [[0.1, 2]].',
        ) from None
    if isinstance(content, dict) and isinstance(content.get("rows"), list):
        content = content["rows"]
    rows = as_rows(content)
    if not isinstance(rows, list):
        raise RequestError(
            f"The file {str(path)!r} holds no list of rows.",
            code="bad_rows",
            hint='Such as [{"age": 31}] or [[0.1, 2]].',
        )
    return rows
