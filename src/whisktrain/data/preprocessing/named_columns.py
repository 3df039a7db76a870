"""The columns that a request names, as the table calls them."""

from __future__ import annotations

from collections.abc import Sequence

from whisktrain.data.columns.column_names import find_column, known_columns, nearest_hint
from whisktrain.errors import DataError
from whisktrain.request import DataRequest

__all__ = ["with_known_columns"]


def with_known_columns(request: DataRequest, names: Sequence[str]) -> DataRequest:
    """The section `data` with every column but the target as the table calls it.

    Args:
        request: The request's section.
        names: The table's columns.

    Raises:
        DataError: A column is not there; the message lists those that are.
    """

    def known(option: str, named: str) -> str:
        found = find_column(names, named)
        if found is None:
            raise DataError(
                f"data.{option} names the column {named!r}; expected one of the columns {known_columns(names)}.",
                code="no_column",
                hint=nearest_hint(names, named),
            )
        return found

    def all_known(option: str, listed: Sequence[str]) -> list[str]:
        return [known(option, part) for named in listed for part in _parts(names, named)]

    update: dict[str, object] = {
        "drop": all_known("drop", request.drop),
        "keep": all_known("keep", request.keep),
        "types": {known("types", name): kind for name, kind in request.types.items()},
    }
    shards, split = request.shards, request.split
    if shards.column is not None:
        column = known("shards.by", shards.column)
        update["shards"] = shards.model_copy(update={"column": column})
    if split.startswith("time:"):
        update["split"] = f"time:{known('split', split.removeprefix('time:'))}"
    return request.model_copy(update=update)


def _parts(names: Sequence[str], named: str) -> list[str]:
    """A name, or the names that it lists with commas, where it is no column itself."""
    if "," not in named or find_column(names, named) is not None:
        return [named]
    return [part.strip() for part in named.split(",") if part.strip()]
