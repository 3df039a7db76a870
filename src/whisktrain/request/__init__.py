"""What a caller may ask for: the one schema, from which CLI options, SDK options and the reference follow.

    marks.py         the annotations of a field: how a caller gives it
    values.py        values as callers write them: names that are numbers, lists in a text
    data_section.py  the section `data`, and what all sections have in common
    sections.py      the schema: every setting with its type, bounds, default and description
    options.py       the settings, and which of them are options of a training
    parsing.py       `parse`: the one check of a request
    rows.py          rows to decide on, as callers write them
    reference.py     renders docs/reference/request.md and the SDK's `TrainOptions`

To add a setting, add a field to its section and use it where it takes effect; `make reference` renders the rest.
"""

from whisktrain.request.parsing import parse
from whisktrain.request.sections import (
    BUNDLED,
    DataRequest,
    ModelRequest,
    OptimizerRequest,
    OuterRequest,
    PredictRequest,
    Request,
    ShardsRequest,
    TrainRequest,
)

__all__ = [
    "BUNDLED",
    "DataRequest",
    "ModelRequest",
    "OptimizerRequest",
    "OuterRequest",
    "PredictRequest",
    "Request",
    "ShardsRequest",
    "TrainRequest",
    "parse",
]
