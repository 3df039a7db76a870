"""Addresses without their secrets."""

from __future__ import annotations

import re

__all__ = ["mask"]


def mask(url: str) -> str:
    """An address without its user's name and password.

    Everything up to the last `@` counts as such: a password may hold any character, also where it should have been quoted.
    """
    if re.match(r"sqlite:(?!//)", url, re.IGNORECASE):
        return url
    return re.sub(r"^([a-z][a-z0-9+.-]*://)?.*@", r"\1***@", url, flags=re.IGNORECASE | re.DOTALL)
