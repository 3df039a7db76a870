"""Limits on the data of one request, checked before the work starts."""

from __future__ import annotations

import os

from whisktrain.errors import ConfigurationError, DataError

__all__ = [
    "check_any_rows",
    "check_columns",
    "check_decoded",
    "check_matrix",
    "check_size",
    "max_bytes",
]

VARIABLE = "WHISKTRAIN_MAX_DATA_MB"
DEFAULT_MB = 256

MAX_COLUMNS = 30_000
"""Columns of a table: each is looked at on its own, for a millisecond or two."""

PIXELS_PER_BYTE = 8
"""Pixels that may be decoded for each byte that data may have; well packed photographs have about 4."""


def max_bytes() -> int:
    """The most bytes that a source, or its features as float32, may have: as the deployment says, else 256 MB."""
    text = os.environ.get(VARIABLE, "")
    if not text:
        return DEFAULT_MB * 1024 * 1024
    if text.isdecimal() and int(text) > 0:
        return int(text) * 1024 * 1024
    raise ConfigurationError(
        f"{VARIABLE} was {text!r}; expected a whole number of megabytes, 1 or more.",
        code="bad_limit",
    )


def check_size(size: int, what: str) -> None:
    """Refuse a source that is too large.

    Raises:
        DataError: It has more bytes than `max_bytes`.
    """
    most = max_bytes()
    if size > most:
        has = f"more than {_mb(most)}" if size == most + 1 else _mb(size)  # reading ends there
        raise DataError(
            f"{what} has {has} MB; expected at most {_mb(most)} MB.",
            code="data_too_large",
            hint=f"Use fewer rows, or raise {VARIABLE} (and the action's memory) in the deployment.",
        )


def check_matrix(rows: int, features: int) -> None:
    """Refuse features that would not fit into memory.

    Raises:
        DataError: rows × features × 4 bytes are more than `max_bytes`.
    """
    size = 4 * rows * features
    if size > max_bytes():
        raise DataError(
            f"{rows} rows of {features} features take {_mb(size)} MB; expected at most {_mb(max_bytes())} MB.",
            code="data_too_large",
            hint=f"Drop columns or rows, or raise {VARIABLE} (and the action's memory) in the deployment.",
        )


def check_columns(columns: int, what: str) -> None:
    """Refuse a table that is too wide.

    Raises:
        DataError: It has more than `MAX_COLUMNS` columns.
    """
    if columns > MAX_COLUMNS:
        raise DataError(
            f"{what} has {columns} columns; expected at most {MAX_COLUMNS}.",
            code="data_too_large",
            hint="Check the delimiter; where the columns are real, choose some or sum them up first.",
        )


def check_decoded(pixels: int, what: str) -> None:
    """Refuse images that would take too long to decode: some hundred bytes may unpack to millions of pixels.

    Args:
        pixels: Pixels of all of them, before they are brought to one size.
        what: What they are, for messages.

    Raises:
        DataError: They are more than `PIXELS_PER_BYTE` times `max_bytes`.
    """
    most = PIXELS_PER_BYTE * max_bytes()
    if pixels > most:
        raise DataError(
            f"{what} have more than {most} pixels in all before they are resized.",
            code="data_too_large",
            hint=f"Make them smaller, use fewer, or raise {VARIABLE} in the deployment.",
        )


def check_any_rows(rows: int) -> None:
    """Refuse a prediction without rows.

    Raises:
        DataError: There are none.
    """
    if not rows:
        raise DataError("There are no rows to decide on; expected at least one.", code="no_rows")


def _mb(size: int) -> str:
    return f"{size / 1024 / 1024:,.1f}".removesuffix(".0")
