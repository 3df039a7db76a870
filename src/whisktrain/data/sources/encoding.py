"""Bytes to text: the encoding as asked, by its byte-order mark, or guessed."""

from __future__ import annotations

import codecs
import re

from whisktrain.errors import DataError

__all__ = ["decode", "half_a_character"]

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_UNICODE = ("utf-8", "utf-8-sig", "utf-16", "utf-32")
_WESTERN = ("cp125", "mac_", "iso8859", "latin", "cp4", "cp8", "cp1140", "hp_roman8", "cp77")
_CYRILLIC = "cp1251"

_SURROGATE = re.compile("[\ud800-\udfff]")

_MOST_CHARACTERS = 60
_UTF16_SAMPLE = 4096
_GUESS_SAMPLE = 1 << 18


def decode(data: bytes, encoding: str | None, what: str) -> tuple[str, list[str]]:
    """Decode text.

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
    guessed = encoding is None
    if encoding is None:
        encoding = _marked(data) or _guess(data)
        if encoding not in _UNICODE:
            notices.append(f"The text was read as {encoding}; data.encoding sets another.")
    hint = "Set data.encoding." if guessed else "Leave data.encoding out to have it found."
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{what} is not in the encoding {encoding}: byte {error.start} does not fit.",
            code="bad_encoding",
            hint=hint,
        ) from None
    except UnicodeError:
        raise DataError(
            f"{what} is not in the encoding {encoding!r}.", code="bad_encoding", hint=hint
        ) from None
    except (LookupError, ValueError):  # unknown, turns bytes into no text, or has a NUL in its name
        raise DataError(
            f"The encoding was {encoding[:_MOST_CHARACTERS]!r}; expected a name that Python knows, such as 'latin-1'.",
            code="bad_encoding",
        ) from None
    if _SURROGATE.search(text):
        raise half_a_character(what)
    if "\0" in text:
        raise DataError(
            f"{what} holds NUL characters; expected text.",
            code="not_text",
            hint="Is it another kind of file?",
        )
    return text, notices


def half_a_character(what: str) -> DataError:
    """The error of text with half of a surrogate pair in it: it can be neither stored nor printed."""
    return DataError(
        f"{what} holds half of a surrogate pair, which is no character.",
        code="bad_encoding",
        hint="Write it as UTF-8.",
    )


def _marked(data: bytes) -> str | None:
    """The encoding that a byte-order mark names."""
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if data.startswith(mark)), None)


def _guess(data: bytes) -> str:
    sample = data[:_UTF16_SAMPLE]
    if (
        sample.count(0) > len(sample) // 4
    ):  # UTF-16 without a mark: every second byte of Western text is NUL
        little_endian = sample[1::2].count(0) > sample[::2].count(0)
        return "utf-16-le" if little_endian else "utf-16-be"
    if _fits(data, "utf-8"):
        return "utf-8"
    import charset_normalizer

    best = charset_normalizer.from_bytes(data[:_GUESS_SAMPLE]).best()
    encoding = best.encoding if best else "cp1252"
    # Short Western texts look like many code pages: the most frequent is the best guess, where it fits.
    if encoding.startswith(_WESTERN) and encoding != _CYRILLIC:
        encoding = "cp1252"
    return encoding if _fits(data, encoding) else "latin-1"


def _fits(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeError:
        return False
    return True
