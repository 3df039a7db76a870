"""Network addresses of a host: all of them must be public, unless the deployment allows private ones."""

from __future__ import annotations

import ipaddress
import os
import socket

from whisktrain.errors import DataError

__all__ = ["ALLOW_PRIVATE", "is_public", "resolve"]

ALLOW_PRIVATE = "WHISKTRAIN_ALLOW_PRIVATE_ADDRESSES"
"""The deployment's variable: "1" allows private, loopback and link-local addresses."""

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_IPV4_BITS = 0xFFFFFFFF


def resolve(host: str, port: int, what: str) -> str:
    """The address of a host to connect to, after checking every one that it has.

    Args:
        host: The host's name or address.
        port: The port.
        what: The URL as messages show it.

    Raises:
        DataError: The host is not known, or one of its addresses is not public.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise DataError(
            f"The host of {what} is not known.",
            code="bad_address",
            retryable=True,
            hint="Check the address's spelling, and that it can be reached from where the data is read.",
        ) from None
    addresses = [str(entry[4][0]) for entry in found]
    private_allowed = os.environ.get(ALLOW_PRIVATE) == "1"
    if not private_allowed and not all(is_public(address) for address in addresses):
        raise DataError(
            f"{what} is at a private, loopback or link-local address; expected a public one.",
            code="private_address",
            hint=f"An operator may allow it with {ALLOW_PRIVATE}=1 in the deployment.",
        )
    return addresses[0]


def is_public(address: str) -> bool:
    """Whether an IP address is reachable from everywhere; one that carries an IPv4 address is as public as that."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    carried = _carried_ipv4(ip) if isinstance(ip, ipaddress.IPv6Address) else None
    if carried is not None:
        return is_public(str(carried))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _carried_ipv4(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address in a mapped, 6to4, Teredo or NAT64 one."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    return ipaddress.IPv4Address(int(ip) & _IPV4_BITS) if ip in _NAT64 else None
