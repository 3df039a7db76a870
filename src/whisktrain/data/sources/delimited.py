"""CSV and TSV as people really have them: encoding, delimiter, header and decimal mark are found, every cell stays text."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from itertools import islice, pairwise
from typing import TYPE_CHECKING

from whisktrain.data.columns.cells import NumberStyle, is_missing, parse_number
from whisktrain.data.table import Table, unique_names
from whisktrain.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["decode", "read_delimited"]

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DELIMITERS = ("\t", ";", "|", ",")
# Numbers whose mark can only be the decimal one, only separate thousands, or do either.
_ONE_WAY = re.compile(
    r"[^.,\d]*(?:\d+([.,])(?:\d{1,2}|\d{4,})|0[.,]\d{3}|\d{4,}[.,]\d{3}|\d+\.\d{3},\d+|\d+,\d{3}\.\d+|[.,]\d+)(?:[eE][+-]?\d+)?[^.,\d]*"
)
_GROUPED = re.compile(r"\D*\d{1,3}(?:(?:\.\d{3}){2,}|(?:,\d{3}){2,})\D*")
_EITHER = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_SMALL_OR_EITHER = re.compile(r"[+-]?(?:0|[1-9]\d{0,2}(?:[.,]\d{3})?)")
_SAMPLE_RECORDS = 200
_SAMPLE_CHARACTERS = 1 << 20


def decode(data: bytes, encoding: str | None, what: str) -> tuple[str, list[str]]:
    """Bytes as text.

    Args:
        data: The bytes.
        encoding: Their encoding; found when None: a byte-order mark, else UTF-8 where it fits, else the likeliest.
        what: What they are, for messages.

    Returns:
        The text, and a notice where the encoding was guessed.

    Raises:
        DataError: They are not in that encoding, or no text at all.
    """
    notices = []
    if encoding is None:
        encoding = next((name for mark, name in _BOMS if data.startswith(mark)), None) or _guess(data)
        if encoding not in ("utf-8", "utf-8-sig", "utf-16", "utf-32"):
            notices.append(f"The text was read as {encoding}; data.encoding sets another.")
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise DataError(f"The encoding was {encoding!r}; expected a name that Python knows, such as 'latin-1'.") from None
    except UnicodeDecodeError as error:
        raise DataError(
            f"{what} is not in the encoding {encoding}: byte {error.start} does not fit.",
            code="bad_encoding",
            hint="Leave data.encoding out to have it found.",
        ) from None
    if "\0" in text:
        raise DataError(f"{what} holds NUL characters; expected text.", code="not_text", hint="Is it another kind of file?")
    return text, notices


def _guess(data: bytes) -> str:
    sample = data[:4096]
    if sample.count(0) > len(sample) // 4:  # UTF-16 without a mark: every second byte of Western text is NUL
        return "utf-16-le" if sample[1::2].count(0) > sample[::2].count(0) else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=True)
    except UnicodeDecodeError:
        import charset_normalizer

        best = charset_normalizer.from_bytes(data[: 1 << 18]).best()
        name = best.encoding if best else "cp1252"
        # Short Western texts look like many code pages: the commonest is the best bet, where it fits.
        if (
            name.startswith(("cp125", "mac_", "iso8859", "latin", "cp4", "cp8", "cp1140", "hp_roman8", "cp77"))
            and name != "cp1251"
        ):
            name = "cp1252" if _fits(data, "cp1252") else "latin-1"
        return name if _fits(data, name) else "latin-1"
    return "utf-8"


def _fits(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def read_delimited(
    data: bytes, what: str, *, delimiter: str | None = None, encoding: str | None = None, decimal: str | None = None
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
    import pandas as pd

    text, notices = decode(data, encoding, what)
    first, _, rest = text.partition("\n")
    if said := re.fullmatch(r"sep=(.)\r?", first, re.IGNORECASE):  # what Excel writes and reads
        delimiter, text = delimiter or said[1], rest
    if not text.strip():
        raise DataError(f"{what} is empty; expected a header and rows.", code="no_rows")
    if delimiter is None:
        delimiter = _find_delimiter(text)
    elif delimiter in ("\\t", "tab"):
        delimiter = "\t"
    if len(delimiter) != 1:
        raise DataError(f"The delimiter was {delimiter!r}; expected one character.", code="bad_delimiter")
    sample = _records(text, delimiter, _SAMPLE_RECORDS)
    header = _has_header(sample)
    width = max(len(record) for record in sample)
    plain = text.encode()
    del text, rest
    try:
        frame = pd.read_csv(
            io.BytesIO(plain),
            sep=delimiter,
            header=None,
            names=range(width),
            index_col=False,
            dtype=str,
            na_filter=False,
            skip_blank_lines=True,
            skipinitialspace=True,
            low_memory=False,
        )
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError) as error:
        detail = str(error).removeprefix("Error tokenizing data. C error: ").strip()
        raise DataError(
            f"{what} cannot be read as a table separated by {delimiter!r}: {detail}.",
            code="bad_csv",
            hint="Check that line's quotes and delimiters, or set data.delimiter.",
        ) from None
    if header:
        names = [str(cell).strip() for cell in sample[0]]
        frame = frame.iloc[1:].reset_index(drop=True)
        if len(names) == width - 1 and all(len(record) == width for record in sample[1:]):
            names = ["rownames", *names]  # as R's write.table writes row names
        _refuse_wider(sample, len(names), what)
        names += [""] * (width - len(names))
        unnamed = [at for at, name in enumerate(names) if not name]
        if unnamed:
            notices.append(f"{len(unnamed)} column(s) without a name are called column_N, by their position N.")
        names, renamed = unique_names([name or f"column_{at + 1}" for at, name in enumerate(names)])
        notices += renamed
    else:
        names = [f"column_{at + 1}" for at in range(width)]
        notices.append(f"The first row holds data, so the columns are called column_1 to column_{width}.")
    if not len(frame):
        raise DataError(f"{what} has a header but no rows.", code="no_rows")
    frame.columns = pd.Index(names, dtype=object)
    return Table(frame, tuple(notices), decimal or _find_decimal(frame, delimiter))


def _refuse_wider(sample: list[list[str]], columns: int, what: str) -> None:
    """Refuse rows with more cells than the header has names; empty cells at the end do no harm."""
    for at, record in enumerate(sample[1:], start=1):
        if any(cell.strip() for cell in record[columns:]):
            raise DataError(
                f"Row {at} of {what} has {len(record)} cells; the header has {columns} names.",
                code="bad_csv",
                hint="Check quotes and delimiters, remove lines above the header, or set data.delimiter.",
            )


def _records(text: str, delimiter: str, count: int) -> list[list[str]]:
    """The first records; the last one only where the sample was not cut inside it."""
    cut = len(text) > _SAMPLE_CHARACTERS
    reader = csv.reader(io.StringIO(text[:_SAMPLE_CHARACTERS], newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        found = [record for record in islice(reader, count) if record and record != [""]]
    except csv.Error:
        return []
    return found[:-1] if cut and 1 < len(found) < count else found


def _find_delimiter(text: str) -> str:
    """The delimiter that gives most records the header's number of cells, in more than one column."""
    best, score = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [len(record) for record in _records(text, delimiter, _SAMPLE_RECORDS)]
        if not widths or max(widths) < 2:
            continue
        usual, times = Counter(widths).most_common(1)[0]
        # A header that does not have the delimiter speaks against it.
        share = times / len(widths) if usual > 1 and widths[0] > 1 else 0.0
        if share > score:
            best, score = delimiter, share
    return best


def _has_header(sample: list[list[str]]) -> bool:
    """Whether the first record holds names: none of it is a number where the column below is numbers."""
    first, body = sample[0], sample[1:]
    if not body:
        return True
    heads = []
    for at, head in enumerate(first):
        cells = [record[at] for record in body if at < len(record) and not is_missing(record[at])]
        if cells and sum(_looks_numeric(cell) for cell in cells) >= 0.8 * len(cells):
            heads.append(head.strip())
    if not heads or not all(_looks_numeric(head) or is_missing(head) for head in heads):
        return True
    if all(is_missing(head) for head in heads):
        return True
    # Numbers may be names: years, or positions that count up.
    if all(re.fullmatch(r"\d+", head) for head in heads) and len(heads) > 1:
        numbers = [int(head) for head in heads]
        return all(b - a == 1 for a, b in pairwise(numbers)) or all(1900 <= n <= 2100 for n in numbers)
    return False


def _looks_numeric(text: str) -> bool:
    return any(parse_number(text, style) is not None for style in (NumberStyle(".", ","), NumberStyle(",", ".")))


def _find_decimal(frame: pd.DataFrame, delimiter: str) -> str:
    """The mark before fractions: what the cells that could only be read one way say, else what the delimiter suggests."""
    votes: Counter[str] = Counter()
    plain: Counter[str] = Counter()
    for at in range(min(frame.shape[1], 500)):
        cells = [cell.strip() for cell in frame.iloc[:1000, at] if isinstance(cell, str) and not is_missing(cell)]
        numeric = [cell for cell in cells if _looks_numeric(cell)]
        if len(numeric) < 0.8 * len(cells) or not numeric:
            continue
        either = Counter(re.findall(r"[.,]", cell)[0] for cell in numeric if _EITHER.fullmatch(cell))
        votes += Counter(re.findall(r"[.,]", cell)[-1] for cell in numeric if _ONE_WAY.fullmatch(cell))
        votes += Counter("," if re.findall(r"[.,]", cell)[0] == "." else "." for cell in numeric if _GROUPED.fullmatch(cell))
        # "999" beside "1.234": fractions are rarely left out, thousands below one thousand always.
        if len(either) == 1 and sum(either.values()) < len(numeric) and all(_SMALL_OR_EITHER.fullmatch(c) for c in numeric):
            votes["," if "." in either else "."] += 1
        plain += either
    if votes:
        return votes.most_common(1)[0][0]
    return "," if delimiter == ";" and not plain["."] else "."
