"""The dialect of delimited text: its delimiter, whether it has a header, its decimal mark."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from whisktrain.data.columns.cells import is_missing_text
from whisktrain.data.columns.numbers import NumberStyle, parse_number

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["find_decimal", "find_delimiter", "has_header", "sample_records"]

_DELIMITERS = ("\t", ";", "|", ",")
_SAMPLE_RECORDS = 200
_SAMPLE_CHARACTERS = 1 << 20
_SAMPLE_COLUMNS = 500
_SAMPLE_CELLS = 1000

_MOSTLY = 0.8
"""The share of a column's cells that must be numbers for it to count as numeric."""

_NUMBER_STYLES = (NumberStyle(".", ","), NumberStyle(",", "."))

# Numbers whose mark can only be the decimal one, only separate thousands, or do either.
_DECIMAL_ONLY = re.compile(
    r"[^.,\d]*(?:\d+([.,])(?:\d{1,2}|\d{4,})|0[.,]\d{3}|\d{4,}[.,]\d{3}|\d+\.\d{3},\d+|\d+,\d{3}\.\d+|[.,]\d+)(?:[eE][+-]?\d+)?[^.,\d]*"
)
_GROUPED = re.compile(r"\D*\d{1,3}(?:(?:\.\d{3}){2,}|(?:,\d{3}){2,})\D*")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_SMALL_OR_EITHER = re.compile(r"[+-]?(?:0|[1-9]\d{0,2}(?:[.,]\d{3})?)")
_MARK = re.compile(r"[.,]")


def sample_records(text: str, delimiter: str) -> list[list[str]]:
    """The first records; the last one only where the sample was not cut inside it."""
    cut = len(text) > _SAMPLE_CHARACTERS
    sample = io.StringIO(text[:_SAMPLE_CHARACTERS], newline="")
    csv.field_size_limit(_SAMPLE_CHARACTERS)  # a cell may be as long as the sample
    reader = csv.reader(sample, delimiter=delimiter, skipinitialspace=delimiter != " ")
    records = [record for record in islice(reader, _SAMPLE_RECORDS) if record and record != [""]]
    return records[:-1] if cut and 1 < len(records) < _SAMPLE_RECORDS else records


def find_delimiter(text: str) -> str:
    """The delimiter that gives most records the same number of cells, in more than one column."""
    best, best_share = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [len(record) for record in sample_records(text, delimiter)]
        if not widths or max(widths) < 2:
            continue
        usual, times = Counter(widths).most_common(1)[0]
        # A header that does not have the delimiter speaks against it.
        share = times / len(widths) if usual > 1 and widths[0] > 1 else 0.0
        if share > best_share:
            best, best_share = delimiter, share
    return best


def has_header(sample: Sequence[Sequence[str]]) -> bool:
    """Whether the first record holds names: none of it is a number where the column below holds numbers.

    Args:
        sample: The first records, at least one.
    """
    body = sample[1:]
    if not body:
        return True
    heads = _heads_of_numeric_columns(sample[0], body)
    if not all(_looks_numeric(head) or is_missing_text(head) for head in heads):
        return True
    if all(is_missing_text(head) for head in heads):
        return True
    return _are_numeric_names(heads)


def _heads_of_numeric_columns(first: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """The cells of the first record above columns of numbers."""
    heads = []
    for at, head in enumerate(first):
        cells = [
            record[at] for record in body if at < len(record) and not is_missing_text(record[at])
        ]
        if cells and sum(_looks_numeric(cell) for cell in cells) >= _MOSTLY * len(cells):
            heads.append(head.strip())
    return heads


def _are_numeric_names(heads: Sequence[str]) -> bool:
    """Whether numbers are names all the same: years, or positions that count up."""
    if len(heads) < 2 or not all(re.fullmatch(r"[0-9]{1,18}", head) for head in heads):
        return False
    numbers = [int(head) for head in heads]
    count_up = all(after - before == 1 for before, after in pairwise(numbers))
    return count_up or all(1900 <= number <= 2100 for number in numbers)


def _looks_numeric(text: str) -> bool:
    return any(parse_number(text, style) is not None for style in _NUMBER_STYLES)


def find_decimal(frame: pd.DataFrame, delimiter: str) -> str:
    """The decimal mark: what the cells say that can be read in one way only, else what the delimiter suggests.

    Args:
        frame: The cells, as text.
        delimiter: The file's delimiter: beside ";" a comma is likely.
    """
    votes: Counter[str] = Counter()
    ambiguous: Counter[str] = Counter()
    for at in range(min(frame.shape[1], _SAMPLE_COLUMNS)):
        cells = frame.iloc[:_SAMPLE_CELLS, at]
        numbers = _numbers_of_column([cell for cell in cells if isinstance(cell, str)])
        column_votes, either = _votes(numbers)
        votes += column_votes
        ambiguous += either
    if votes:
        return votes.most_common(1)[0][0]
    return "," if delimiter == ";" and not ambiguous["."] else "."


def _numbers_of_column(cells: Sequence[str]) -> list[str]:
    """The cells that are numbers, where most of the column's are."""
    present = [cell.strip() for cell in cells if not is_missing_text(cell)]
    numbers = [cell for cell in present if _looks_numeric(cell)]
    return numbers if len(numbers) >= _MOSTLY * len(present) else []


def _votes(numbers: Sequence[str]) -> tuple[Counter[str], Counter[str]]:
    """How many numbers of a column say which decimal mark, and how many marks may be either.

    Args:
        numbers: The column's numbers, as text.
    """
    ambiguous = Counter(_marks(number)[0] for number in numbers if _EITHER.fullmatch(number))
    votes = Counter(_marks(number)[-1] for number in numbers if _DECIMAL_ONLY.fullmatch(number))
    votes += Counter(_other(_marks(number)[0]) for number in numbers if _GROUPED.fullmatch(number))
    # "999" beside "1.234": fractions are rarely left out, thousands below one thousand always.
    some_without_mark = ambiguous.total() < len(numbers)
    if (
        len(ambiguous) == 1
        and some_without_mark
        and all(_SMALL_OR_EITHER.fullmatch(number) for number in numbers)
    ):
        votes[_other(next(iter(ambiguous)))] += 1
    return votes, ambiguous


def _marks(number: str) -> list[str]:
    return _MARK.findall(number)


def _other(mark: str) -> str:
    return "," if mark == "." else "."
