"""Downloads from http(s) addresses, bounded in size and time, and never from a private network unless allowed.

Every address that a host name resolves to is checked, and the connection goes to a checked address, not to the name: a name
server that answers differently the second time changes nothing. Each redirect is checked in the same way.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from whisktrain.data.limits import check_size
from whisktrain.data.sources.addresses import resolve
from whisktrain.data.sources.deadline import Deadline
from whisktrain.errors import DataError

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, HTTPConnectionPool

__all__ = ["download", "redact_url"]

CONNECT_SECONDS = 5.0
READ_SECONDS = 15.0
TOTAL_SECONDS = 40.0
MAX_REDIRECTS = 5

_REDIRECTS = (301, 302, 303, 307, 308)
_CHUNK = 1 << 16


def redact_url(url: str) -> str:
    """An address without user, password, query and fragment: these may be secrets."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2]
    except ValueError:
        return "an address"
    return f"{parts.scheme}://{host}{parts.path}"


def download(url: str) -> tuple[bytes, str]:
    """Download what is at an address.

    Args:
        url: An http or https address; a user and password in it are sent to that host only.

    Returns:
        The bytes, and the file's name by the address' path.

    Raises:
        DataError: The address is not allowed, does not answer in time, answers with an error, or is too large.
    """
    with Deadline(TOTAL_SECONDS) as deadline:
        return _follow(url, deadline)


def _follow(url: str, deadline: Deadline) -> tuple[bytes, str]:
    """Download what an address leads to in the end."""
    first = _split_url(url)
    for _ in range(MAX_REDIRECTS + 1):
        parts = _split_url(url)
        same_host = (parts.scheme, parts.netloc) == (first.scheme, first.netloc)
        pool = _connect(parts, url, deadline)
        try:
            response = _request(pool, parts, url, deadline, with_credentials=same_host)
            try:
                location = response.headers.get("Location")
                if response.status in _REDIRECTS and location:
                    url = urljoin(url, location)
                    continue
                _check_status(response.status, url)
                return _read(response, url, deadline), _file_name(parts)
            finally:
                response.close()
        finally:
            pool.close()
    raise DataError(
        f"{redact_url(url)} redirects more than {MAX_REDIRECTS} times.",
        code="bad_address",
        hint="Give the address to which it leads in the end.",
    )


def _split_url(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname or port == 0:
        raise DataError(
            f"The address was {redact_url(url)!r}; expected http:// or https:// and a host.",
            code="bad_address",
            hint="Put files with 'whisktrain data put' instead.",
        )
    return parts


def _file_name(parts: SplitResult) -> str:
    return unquote(parts.path).rstrip("/").rpartition("/")[2] or parts.hostname or "data"


def _check_status(status: int, url: str) -> None:
    if status != 200:
        raise DataError(
            f"{redact_url(url)} answered with status {status}; expected 200.",
            code="bad_address",
            hint="Check the address and who may read it.",
            retryable=status >= 500 or status == 429,
        )


def _connect(parts: SplitResult, url: str, deadline: Deadline) -> HTTPConnectionPool:
    """A connection to a checked address of the host.

    Args:
        parts: The URL, taken apart.
        url: The URL.
        deadline: When to give up.
    """
    import urllib3
    from urllib3.connection import HTTPConnection, HTTPSConnection

    host = parts.hostname or ""
    secure = parts.scheme.lower() == "https"
    port = parts.port or (443 if secure else 80)
    address = resolve(host, port, redact_url(url))
    rest = max(0.1, deadline.rest)
    timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, rest), read=min(READ_SECONDS, rest))
    if not secure:
        plain = urllib3.HTTPConnectionPool(address, port, timeout=timeout)
        plain.ConnectionCls = deadline.guard(HTTPConnection)
        return plain
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
    pool.ConnectionCls = deadline.guard(HTTPSConnection)
    return pool


def _request(
    pool: HTTPConnectionPool,
    parts: SplitResult,
    url: str,
    deadline: Deadline,
    *,
    with_credentials: bool,
) -> BaseHTTPResponse:
    import urllib3

    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    headers = _headers(parts, with_credentials=with_credentials)
    try:
        return pool.request(
            "GET", path, headers=headers, redirect=False, retries=False, preload_content=False
        )
    except urllib3.exceptions.HTTPError as error:
        if not deadline.rest:
            raise _too_slow(url, 0) from None
        raise DataError(
            f"{redact_url(url)} does not answer ({type(error).__name__}).",
            code="bad_address",
            retryable=True,
            hint="Try again, or download it yourself and give the file.",
        ) from None


def _too_slow(url: str, size: int) -> DataError:
    """The error of an exchange that its deadline has ended."""
    return DataError(
        f"{redact_url(url)} sent {size} bytes in {TOTAL_SECONDS:.0f} s and was not done.",
        code="address_too_slow",
        hint="Download it and put it with 'whisktrain data put'.",
        retryable=True,
    )


def _headers(parts: SplitResult, *, with_credentials: bool) -> dict[str, str]:
    import urllib3

    host = parts.hostname or ""
    host = host if host.isascii() else host.encode("idna").decode()
    name = f"[{host}]" if ":" in host else host
    headers = {
        "Host": name if parts.port is None else f"{name}:{parts.port}",
        "Accept": "*/*",
        "Accept-Encoding": "identity",
        "User-Agent": "whisktrain",
    }
    if with_credentials and parts.username is not None:
        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers |= urllib3.make_headers(basic_auth=credentials)
    return headers


def _read(response: BaseHTTPResponse, url: str, deadline: Deadline) -> bytes:
    """The response's body, whole.

    Args:
        response: The response, with status 200.
        url: The URL.
        deadline: When to give up.

    Raises:
        DataError: It is too large, takes too long, or breaks off.
    """
    import urllib3

    length = response.headers.get("Content-Length", "")
    # Python reads numbers of some thousand digits at most; twenty are too many already.
    expected = int(length.lstrip("0")[:20] or "0") if length.isdecimal() else None
    if expected is not None:
        check_size(expected, redact_url(url))
    parts: list[bytes] = []
    size = 0
    try:
        # read1 returns what has arrived, so that a slow sender cannot hold the connection beyond the time-out
        while part := response.read1(_CHUNK):
            parts.append(part)
            size += len(part)
            check_size(size, redact_url(url))
            if not deadline.rest:
                raise _too_slow(url, size)
    except urllib3.exceptions.HTTPError as error:
        if not deadline.rest:
            raise _too_slow(url, size) from None
        raise DataError(
            f"{redact_url(url)} broke off after {size} bytes ({type(error).__name__}).",
            code="bad_address",
            retryable=True,
            hint="Try again, or download it yourself and give the file.",
        ) from None
    if not deadline.rest:  # a body without a length ends with its connection
        raise _too_slow(url, size)
    if expected is not None and size != expected:
        raise DataError(
            f"{redact_url(url)} broke off after {size} of {expected} bytes.",
            code="bad_address",
            retryable=True,
            hint="Try again, or download it yourself and give the file.",
        )
    return b"".join(parts)
