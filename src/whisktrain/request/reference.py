"""What is rendered from the schema: `docs/reference/request.md`, and `TrainOptions`, the SDK's options with their types."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import Literal, get_args, get_origin

from pydantic import BaseModel

from whisktrain.request.marks import NotAnOption, Shorthand
from whisktrain.request.options import (
    Setting,
    alternatives,
    is_union,
    options,
    settings,
    without_none,
)
from whisktrain.request.sections import Request

__all__ = ["options_module", "request_page"]

_WIDTH = 128
"""Characters of a line of code."""

_PAGE_HEAD = """# The request

<!-- Rendered from the schema (`whisktrain.request`) by `make reference`; a test compares the two. -->

One JSON object with four sections; each has defaults, and a string stands for its main field (`"data": "digits"`). An unknown
key is an error that names the nearest known one, and every problem of a request is named at once. Unset settings are planned
from the data, the given model and the platform.

```json
{"data": {"source": "upload:ID", "target": "churned"}, "train": {"workers": 4, "epochs": 20, "name": "churn"},
 "predict": {"rows": [{"age": 41, "plan": "gold"}]}}
```

The option is that of [`whisktrain train`](cli.md); `Connection.train` and `fit` take the same settings by their keys.
"""

_MODULE_HEAD = '''"""The options of a connection's `train`, `fit` and `predict`; rendered by `make reference`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypedDict

from whisktrain.jsontypes import Json

__all__ = ["PredictOptions", "TrainOptions"]
'''


def request_page() -> str:
    """The page `docs/reference/request.md`."""
    parts = [_PAGE_HEAD]
    for section, entry in Request.model_fields.items():
        own = [setting for setting in settings() if setting.section == section]
        rows = [[*_cells(s), _given(s), s.description] for s in own]
        columns = ("key", "values", "default", "option", "meaning")
        parts.append(_table(f"## `{section}`", entry.annotation, columns, rows))
        parts += [_object_table(s) for s in own if s.mark(Shorthand) is not None]
    return "\n".join(parts)


def _object_table(setting: Setting) -> str:
    """The keys of a setting that may be an object."""
    model = setting.field.annotation
    assert isinstance(model, type) and issubclass(model, BaseModel)
    inner = [Setting(setting.section, name, field) for name, field in model.model_fields.items()]
    rows = [[*_cells(s), s.description] for s in inner]
    return _table(
        f"### `{setting.name}` as an object", model, ("key", "values", "default", "meaning"), rows
    )


def _given(setting: Setting) -> str:
    excluded = setting.mark(NotAnOption)
    return excluded.reason if excluded else f"`{setting.flag}`"


def _cells(setting: Setting) -> list[str]:
    """Key, values and default."""
    values = alternatives(setting.main_field, "`{}`".format)
    if setting.mark(Shorthand) is not None:
        values.append("an object")
    return [
        f"`{setting.name}`",
        ", ".join(values),
        f"`{setting.default}`" if setting.default else "",
    ]


def _table(title: str, model: object, columns: Sequence[str], rows: Iterable[list[str]]) -> str:
    text = " ".join((getattr(model, "__doc__", None) or "").split())
    lines = [title, "", text, "", f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def options_module() -> str:
    """The module `whisktrain.sdk.options`."""
    train = "Settings of a training by their keys in the request, whatever section they belong to; None: not given."
    predict = (
        "Settings of a decision by their keys in the request's section `predict`; None: not given."
    )
    known = list(options().values())
    return "\n\n".join(
        [
            _MODULE_HEAD,
            _typed_dict("TrainOptions", train, known),
            _typed_dict("PredictOptions", predict, [s for s in known if s.section == "predict"]),
        ]
    )


def _typed_dict(name: str, text: str, known: list[Setting]) -> str:
    attributes = [
        textwrap.fill(
            f"{s.name}: {s.description}", _WIDTH, initial_indent=" " * 8, subsequent_indent=" " * 12
        )
        for s in known
    ]
    fields = [f"    {s.name}: {_python_type(s)} | None" for s in known]
    head = [f"class {name}(TypedDict, total=False):", f'    """{text}', "", "    Attributes:"]
    return "\n".join([*head, *attributes, '    """', "", *fields]) + "\n"


def _python_type(setting: Setting) -> str:
    if setting.mark(Shorthand) is not None:
        return f"{'str' if setting.option.free_text else _type_text(setting.type)} | Mapping[str, Json]"
    return _type_text(setting.type)


def _type_text(annotation: object) -> str:
    annotation = without_none(annotation)
    origin, arguments = get_origin(annotation), get_args(annotation)
    if is_union(annotation):
        return " | ".join(_type_text(part) for part in arguments)
    if origin is Literal:
        return "Literal[" + ", ".join(f'"{word}"' for word in arguments) + "]"
    if hasattr(annotation, "__metadata__"):  # Annotated
        return _type_text(arguments[0])
    if origin is dict:
        return (
            "Mapping[str, "
            + (_type_text(arguments[1]) if get_origin(arguments[1]) is Literal else "Json")
            + "]"
        )
    if origin in (list, tuple):
        return f"{origin.__name__}[{', '.join(_type_text(part) for part in arguments)}]"
    return str(getattr(annotation, "__name__", annotation))
