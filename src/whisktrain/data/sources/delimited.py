"""CSV and TSV files: encoding, delimiter, header and decimal mark are found; every cell stays text."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from whisktrain.data.limits import check_columns, check_matrix
from whisktrain.data.sources.dialect import find_decimal, find_delimiter, has_header, sample_records
from whisktrain.data.sources.encoding import decode
from whisktrain.data.table import Table, unique_names, with_names
from whisktrain.decoding import decoding
from whisktrain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["read_delimited"]

ROW_NAMES = "rownames"
"""What a column of row names is called that R's write.table leaves without a name."""

_NO_DELIMITERS = '"\r\n\0'

_EXCEL_DELIMITER = re.compile(r"sep=(.)\r?", re.IGNORECASE)
"""The first line with which Excel names the delimiter."""


class _Header(NamedTuple):
    """The columns' distinct names, and notices in sentences."""

    names: list[str]
    notices: list[str]


def read_delimited(
    data: bytes,
    what: str,
    *,
    delimiter: str | None = None,
    encoding: str | None = None,
    decimal: str | None = None,
) -> Table:
    """Read a CSV or TSV.

    Args:
        data: The file's bytes.
        what: Its name, for messages.
        delimiter: Found when None.
        encoding: Found when None.
        decimal: The decimal mark of numbers; found when None.

    Returns:
        A table of text cells.

    Raises:
        DataError: It has no rows, or rows of more cells than columns.
    """
    text, notices = decode(data, encoding, what)
    delimiter, text = _choose_delimiter(text, delimiter, what)
    sample = sample_records(text, delimiter)
    if not sample:
        raise DataError(f"{what} has no rows; expected a header and rows.", code="no_rows")
    headed = has_header(sample)
    width = max(len(record) for record in sample)
    check_columns(width, what)
    check_matrix(text.count("\n") + 1, width)
    encoded = text.encode()
    del text  # the cells take as much memory again
    frame = _read_cells(encoded, delimiter, width, what)
    if headed:
        frame = frame.iloc[1:].reset_index(drop=True)
        header = _read_header(sample, width, what)
    else:
        header = _numbered_header(width)
    if not len(frame):
        raise DataError(
            f"{what} has a header but no rows.",
            code="no_rows",
            hint="Check that it is the right file.",
        )
    named = with_names(frame, header.names)
    decimal = decimal or find_decimal(named, delimiter)
    return Table(named, (*notices, *header.notices), decimal, is_text=True)


def _choose_delimiter(text: str, delimiter: str | None, what: str) -> tuple[str, str]:
    """The delimiter, and the text without a first line that names it."""
    first, _, rest = text.partition("\n")
    named = _EXCEL_DELIMITER.fullmatch(first)
    if named:
        delimiter = delimiter or named[1]
        text = rest
    if not text.strip():
        raise DataError(f"{what} is empty; expected a header and rows.", code="no_rows")
    if delimiter is None:
        delimiter = find_delimiter(text)
    elif delimiter in ("\\t", "tab"):
        delimiter = "\t"
    if len(delimiter) != 1 or not delimiter.isascii() or delimiter in _NO_DELIMITERS:
        raise DataError(
            f"The delimiter was {delimiter!r}; expected one ASCII character, no quote and no end of a line.",
            code="bad_delimiter",
        )
    return delimiter, text


def _read_cells(encoded: bytes, delimiter: str, width: int, what: str) -> pd.DataFrame:
    """All records as text, the header among them.

    Args:
        encoded: The text in UTF-8.
        delimiter: Its delimiter.
        width: Cells of the widest record.
        what: The file's name, for messages.
    """
    import pandas as pd

    refusal = f"{what} cannot be read as a table separated by {delimiter!r}"
    hint = "Check that line's quotes and delimiters, or set data.delimiter."
    with decoding(refusal, "bad_csv", hint):
        return pd.read_csv(
            io.BytesIO(encoded),
            sep=delimiter,
            header=None,
            names=range(width),
            index_col=False,
            dtype=str,
            na_filter=False,
            skip_blank_lines=True,
            skipinitialspace=delimiter != " ",
            low_memory=False,
        )


def _read_header(sample: Sequence[Sequence[str]], width: int, what: str) -> _Header:
    """The names in the first record, made distinct."""
    names = [cell.strip() for cell in sample[0]]
    all_wider = all(len(record) == width for record in sample[1:])
    if len(names) == width - 1 and all_wider:
        names = [ROW_NAMES, *names]
    _check_width(sample, len(names), what)
    names += [""] * (width - len(names))
    notices = []
    unnamed = names.count("")
    if unnamed:
        notices.append(
            f"{unnamed} column(s) without a name are called column_N, by their position N."
        )
    distinct, renamed = unique_names([name or f"column_{at + 1}" for at, name in enumerate(names)])
    return _Header(distinct, [*notices, *renamed])


def _numbered_header(width: int) -> _Header:
    names = [f"column_{at + 1}" for at in range(width)]
    notice = f"The first row holds data, so the columns are called column_1 to column_{width}."
    return _Header(names, [notice])


def _check_width(sample: Sequence[Sequence[str]], columns: int, what: str) -> None:
    """Refuse rows with more cells than the header has names; empty cells at the end do no harm."""
    for at, record in enumerate(sample[1:], start=1):
        if any(cell.strip() for cell in record[columns:]):
            raise DataError(
                f"Row {at} of {what} has {len(record)} cells; the header has {columns} names.",
                code="bad_csv",
                hint="Check quotes and delimiters, remove lines above the header, or set data.delimiter.",
            )
