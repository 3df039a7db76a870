"""Data from an http(s) address: bounded in size and time, and never from a private network unless allowed.

Every address that a name resolves to is checked, and the connection goes to a checked address, not to the name: a name server
that answers differently the second time changes nothing. Each redirect is checked in the same way.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from typing import Any
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from whisktrain.data.limits import check_size
from whisktrain.errors import DataError

__all__ = ["ALLOW_PRIVATE", "fetch", "shown"]

ALLOW_PRIVATE = "WHISKTRAIN_ALLOW_PRIVATE_ADDRESSES"
"""The deployment's variable: "1" allows private, loopback and link-local addresses."""

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
TOTAL_SECONDS = 40.0
MAX_REDIRECTS = 5

_REDIRECTS = (301, 302, 303, 307, 308)


def shown(url: str) -> str:
    """An address without user, password, query and fragment: these may be secrets."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an address"
    return f"{parts.scheme}://{host}{parts.path}"


def fetch(url: str) -> tuple[bytes, str]:
    """Download what is at an address.

    Args:
        url: An http or https address; a user and password in it are sent to that host only.

    Returns:
        The bytes, and the file's name by the address' path.

    Raises:
        DataError: The address is not allowed, does not answer in time, answers with an error, or is too large.
    """
    until = time.monotonic() + TOTAL_SECONDS
    first = _checked(url)
    for _ in range(MAX_REDIRECTS + 1):
        parts = _checked(url)
        answer, pool = _open(parts, url, until, credentials=(parts.scheme, parts.netloc) == (first.scheme, first.netloc))
        try:
            if answer.status in _REDIRECTS and answer.headers.get("Location"):
                url = urljoin(url, answer.headers["Location"])
                continue
            if answer.status != 200:
                raise DataError(
                    f"{shown(url)} answered with status {answer.status}; expected 200.",
                    code="bad_address",
                    hint="Check the address and who may read it.",
                    retryable=answer.status >= 500 or answer.status == 429,
                )
            name = unquote(parts.path).rstrip("/").rpartition("/")[2] or parts.hostname or "data"
            return _read(answer, url, until), name
        finally:
            answer.close()
            pool.close()
    raise DataError(f"{shown(url)} redirects more than {MAX_REDIRECTS} times.", code="bad_address")


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or port == 0:
        raise DataError(
            f"The address was {shown(url)!r}; expected http:// or https:// and a host.",
            code="bad_address",
            hint="Put files with 'whisktrain data put' instead.",
        )
    return parts


def _resolve(host: str, port: int, url: str) -> str:
    """The address to connect to; every one that the name has is allowed."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise DataError(f"The host of {shown(url)} is not known.", code="bad_address", retryable=True) from None
    addresses = [str(entry[4][0]) for entry in found]
    if os.environ.get(ALLOW_PRIVATE) != "1":
        for address in addresses:
            if not _is_public(address):
                raise DataError(
                    f"{shown(url)} is at a private, loopback or link-local address; expected a public one.",
                    code="private_address",
                    hint=f"An operator may allow it with {ALLOW_PRIVATE}=1 in the deployment.",
                )
    return addresses[0]


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        # Addresses that carry an IPv4 one are as public as that: mapped, 6to4, Teredo and NAT64.
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return _is_public(str(inner))
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def _open(parts: SplitResult, url: str, until: float, *, credentials: bool) -> tuple[Any, Any]:
    import urllib3

    host = parts.hostname or ""
    secure = parts.scheme.lower() == "https"
    port = parts.port or (443 if secure else 80)
    address = _resolve(host, port, url)
    timeout = urllib3.Timeout(connect=CONNECT_SECONDS, read=min(READ_SECONDS, max(0.1, until - time.monotonic())))
    pool: Any
    if secure:
        import certifi

        pool = urllib3.HTTPSConnectionPool(
            address,
            port,
            timeout=timeout,
            cert_reqs="CERT_REQUIRED",
            ca_certs=os.environ.get("REQUESTS_CA_BUNDLE") or certifi.where(),
            server_hostname=host,
            assert_hostname=host,
        )
    else:
        pool = urllib3.HTTPConnectionPool(address, port, timeout=timeout)
    name = f"[{host}]" if ":" in host else host
    headers = {
        "Host": name if parts.port is None else f"{name}:{parts.port}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "User-Agent": "whisktrain",
    }
    if credentials and parts.username is not None:
        user = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers |= urllib3.make_headers(basic_auth=user)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    try:
        return pool.request("GET", path, headers=headers, redirect=False, retries=False, preload_content=False), pool
    except urllib3.exceptions.HTTPError as error:
        pool.close()
        raise DataError(f"{shown(url)} does not answer ({type(error).__name__}).", code="bad_address", retryable=True) from None


def _read(answer: Any, url: str, until: float) -> bytes:
    import urllib3

    length = answer.headers.get("Content-Length", "")
    if length.isdecimal():
        check_size(int(length), shown(url))
    parts, size = [], 0
    try:
        # read1 answers with what has arrived, so that a slow sender cannot hold us beyond the time-out
        while part := answer.read1(1 << 16):
            parts.append(part)
            size += len(part)
            check_size(size, shown(url))
            if time.monotonic() > until:
                raise DataError(
                    f"{shown(url)} sent {size} bytes in {TOTAL_SECONDS:.0f} s and was not done.",
                    code="address_too_slow",
                    hint="Download it and put it with 'whisktrain data put'.",
                    retryable=True,
                )
    except urllib3.exceptions.HTTPError as error:
        raise DataError(
            f"{shown(url)} broke off after {size} bytes ({type(error).__name__}).", code="bad_address", retryable=True
        ) from None
    if length.isdecimal() and size != int(length):
        raise DataError(f"{shown(url)} broke off after {size} of {length} bytes.", code="bad_address", retryable=True)
    return b"".join(parts)
