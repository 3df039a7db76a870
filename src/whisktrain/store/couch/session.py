"""HTTP requests to one CouchDB: pooled connections, timeouts, bounded retries.

`HttpSession` has the interface of `couchdb.http.Session`, so that the couchdb package's documents and databases go through
the same connections as our own multipart requests. They are urllib3's, which `requests` only configures: what it does for each
single request takes as long as the request itself, many times a round.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import os
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import certifi
import requests
import tenacity
import urllib3

from whisktrain.errors import StoreError, StoreRefused, StoreUnreachable
from whisktrain.jsontypes import Json
from whisktrain.store.addresses import is_loopback
from whisktrain.store.couch.errors import http_error, is_disk_full, reason_of, root_cause

__all__ = ["Answer", "HttpSession", "LostAnswers"]

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
RETRY_SECONDS = 15.0
"""How long a call is retried where the server has answered before, so that a restart goes unnoticed."""

FIRST_RETRY_SECONDS = 4.0
"""How long where it has never answered: then the address is probably wrong."""

CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer.

    Attributes:
        status: The HTTP status, below 400.
        headers: Its headers.
        content: Its body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Json:
        """The body as JSON.

        Raises:
            StoreError: It is something else.
        """
        try:
            body: Json = json.loads(self.content)
        except ValueError:
            raise StoreError(
                f"The store answered {self.content[:60]!r}; expected JSON.",
                code="store_protocol",
                hint="Check that the address is that of a CouchDB.",
            ) from None
        return body


@dataclass(frozen=True, slots=True)
class _Request:
    """One request: headers in full, seconds of silence that count as no answer."""

    method: str
    url: str
    body: bytes | None
    headers: Mapping[str, str]
    read_timeout: float


@dataclass(slots=True)
class LostAnswers:
    """Whether an attempt of a request may have reached the server without its answer reaching us."""

    possible: bool = False


class HttpSession:
    """A session with one server; usable from several threads.

    Args:
        base: The server's address without user and password, for messages.
        host: The server's host, to know whether it is this machine.
        credentials: User and password, sent with every request.
    """

    def __init__(self, base: str, host: str, credentials: tuple[str, str] | None) -> None:
        self._base = base
        self._has_answered = False
        self._local = threading.local()
        # The environment's proxies are read once, and never used for this machine.
        proxies = {} if is_loopback(host) else requests.utils.get_environ_proxies(base)
        self._pools = _pools(requests.utils.select_proxy(base, proxies))
        # Tensors do not compress: asking for it would only cost both sides time.
        self._headers = {"User-Agent": "whisktrain", "Accept-Encoding": "identity"}
        if credentials is not None:
            token = base64.b64encode(":".join(credentials).encode()).decode()
            self._headers["Authorization"] = f"Basic {token}"

    def __repr__(self) -> str:
        return f"HttpSession({self._base!r})"

    def close(self) -> None:
        """Close all connections."""
        self._pools.clear()

    @contextlib.contextmanager
    def lost_answers(self) -> Iterator[LostAnswers]:
        """Note whether one of this thread's requests inside the context may have lost an answer."""
        self._local.lost = lost = LostAnswers()
        try:
            yield lost
        finally:
            self._local.lost = None

    def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout: float = READ_SECONDS,
        on_timeout: Answer | None = None,
    ) -> Answer:
        """Make one request; retry it for a bounded time where the server does not answer or answers 5xx.

        Args:
            method: The HTTP method.
            url: The whole address, without user and password.
            body: What to send.
            headers: More headers.
            read_timeout: Seconds without a byte after which the request counts as unanswered.
            on_timeout: What to return then instead of a retry.

        Returns:
            The answer, read whole.

        Raises:
            couchdb.http.HTTPError: It answered 4xx.
            StoreUnreachable: It did not answer, or only with 5xx.
            StoreRefused: Its disk is full.
        """
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_delay(
                RETRY_SECONDS if self._has_answered else FIRST_RETRY_SECONDS
            ),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=3),
            retry=tenacity.retry_if_exception_type(StoreUnreachable),
            reraise=True,
        )
        request = _Request(method, url, body, {**self._headers, **(headers or {})}, read_timeout)
        return attempts(self._attempt, request, on_timeout)

    def request(
        self,
        method: str,
        url: str,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        credentials: object = None,
    ) -> tuple[int, Mapping[str, str], io.BytesIO]:
        """`send` as the couchdb package calls it; the credentials are the session's own."""
        del credentials
        all_headers = {"Accept": "application/json", **(headers or {})}
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body, allow_nan=False, separators=(",", ":"))
            all_headers["Content-Type"] = "application/json"
        content = body.encode() if isinstance(body, str) else body
        answer = self.send(method, url, body=content, headers=all_headers)
        return answer.status, answer.headers, io.BytesIO(answer.content)

    def _attempt(self, request: _Request, on_timeout: Answer | None) -> Answer:
        try:
            answer = self._exchange(request)
        except urllib3.exceptions.SSLError as error:
            raise StoreError(
                f"The certificate of the store {self._base} is not trusted: {root_cause(error)}.",
                code="store_certificate",
                hint="Set REQUESTS_CA_BUNDLE to the file of its authority.",
            ) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if on_timeout is not None and isinstance(error, urllib3.exceptions.ReadTimeoutError):
                return on_timeout
            # urllib3 has thrown the broken connection away: the next attempt opens a new one.
            self._note_lost_answer(not isinstance(error, urllib3.exceptions.ConnectTimeoutError))
            raise StoreUnreachable(
                f"The store {self._base} does not answer ({type(error).__name__}: {root_cause(error)}).",
                hint="Check that it runs and that the address is right.",
            ) from None
        self._has_answered = True
        self._check_status(answer)
        return answer

    def _exchange(self, request: _Request) -> Answer:
        response = self._pools.urlopen(
            request.method,
            request.url,
            body=request.body,
            headers=request.headers,
            timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=request.read_timeout),
            retries=False,
            redirect=False,
            preload_content=False,
        )
        content = response.read(decode_content=True)
        response.release_conn()
        if (
            not content
            and request.method != "HEAD"
            and not {"content-length", "transfer-encoding"} & set(response.headers)
        ):
            raise urllib3.exceptions.ProtocolError("the answer ends within its head")
        return Answer(response.status, response.headers, content)

    def _check_status(self, answer: Answer) -> None:
        """Raise what `send` raises for an answer of 300 and more."""
        status = answer.status
        if status >= 500 and is_disk_full(answer.content):
            raise StoreRefused(
                f"No space is left on the disk of the store {self._base}: {reason_of(answer.content)}.",
                code="disk_full",
                hint="Free some space.",
            )
        if status >= 500 or status == 429:
            self._note_lost_answer(status != 429)
            raise StoreUnreachable(
                f"The store {self._base} answered {status}: {reason_of(answer.content)}."
            )
        if status >= 400:
            raise http_error(status, answer.content)
        if status >= 300:
            raise StoreError(
                f"The store {self._base} answered with a redirection ({status}).",
                code="store_protocol",
                hint="Give the address that it leads to.",
            )

    def _note_lost_answer(self, may_have_arrived: bool) -> None:
        lost: LostAnswers | None = getattr(self._local, "lost", None)
        if lost is not None and may_have_arrived:
            lost.possible = True


class _Trust(TypedDict, total=False):
    """urllib3's arguments for certificates."""

    cert_reqs: str
    ca_cert_dir: str
    ca_certs: str


def _pools(proxy: str | None) -> urllib3.PoolManager:
    """The connection pools, by way of a proxy where there is one."""
    bundle = (
        os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    )
    trust: _Trust = {"cert_reqs": "CERT_REQUIRED"}
    trust["ca_cert_dir" if Path(bundle).is_dir() else "ca_certs"] = bundle
    if proxy:
        adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS)
        through: urllib3.PoolManager = adapter.proxy_manager_for(
            proxy if "://" in proxy else f"http://{proxy}", **trust
        )
        return through
    return urllib3.PoolManager(num_pools=1, maxsize=CONNECTIONS, **trust)
