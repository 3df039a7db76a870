"""Media types as OpenWhisk's web actions distinguish them: JSON, text, or bytes."""

from __future__ import annotations

_TEXTS = (
    "application/xml",
    "application/javascript",
    "application/x-www-form-urlencoded",
    "application/x-latex",
)
_JSON_TEXTS = ("json", "json-patch+json", "merge-patch+json", "problem+json", "vnd.api+json")


def is_json(media: str) -> bool:
    """Whether a media type is JSON or a type derived from it."""
    return media == "application/json" or media.endswith("+json")


def is_json_text(media: str) -> bool:
    """Whether a media type is one of the JSON types that the platform sends as text; the others are bytes to it."""
    return media.removeprefix("application/") in _JSON_TEXTS


def is_text(media: str) -> bool:
    """Whether a media type is sent as text with a charset; the others are bytes, which JSON holds as base64."""
    if media == "image/svg+xml":
        return False
    return media.startswith("text/") or media.endswith("+xml") or media in _TEXTS


def is_received_as_text(media: str) -> bool:
    """Whether an action gets a body of that type as text, else as base64; JSON is base64 for compatibility."""
    if media == "application/json":
        return False
    return is_text(media) or is_json_text(media)
