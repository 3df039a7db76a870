"""Addresses: without their secrets, and whether they are this machine's."""

from __future__ import annotations

import ipaddress
import re

__all__ = ["is_loopback", "mask"]


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, which no proxy can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def mask(url: str) -> str:
    """An address without its user's name and password.

    Everything up to the last `@` counts as such: a password may hold any character, also where it should have been quoted.
    """
    if re.match(r"sqlite:(?!//)", url, re.IGNORECASE):
        return url
    return re.sub(r"^([a-z][a-z0-9+.-]*://)?.*@", r"\1***@", url, flags=re.IGNORECASE | re.DOTALL)
