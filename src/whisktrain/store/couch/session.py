"""Requests to one CouchDB: pooled connections, time-outs, bounded retries, failures in our own words.

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
from typing import Any

import certifi
import requests
import tenacity
import urllib3
from couchdb import http as couchdb_http

from whisktrain.errors import Conflict, StoreError, StoreUnreachable
from whisktrain.store.addresses import is_loopback

__all__ = ["Answer", "HttpSession", "Uncertain", "in_our_words"]

CONNECT_SECONDS = 5.0
READ_SECONDS = 30.0
RETRY_SECONDS = 15.0
"""How long a call is tried again where the server has answered before, so that a restart goes unnoticed."""

FIRST_RETRY_SECONDS = 4.0
"""How long where it has never answered: then the address is probably wrong."""

CONNECTIONS = 64


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server answered.

    Attributes:
        status: The HTTP status, below 400.
        headers: Its headers.
        content: Its body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The body as JSON.

        Raises:
            StoreError: It is something else.
        """
        try:
            return json.loads(self.content)
        except ValueError:
            raise StoreError(
                f"The store answered {self.content[:60]!r}; expected JSON.",
                code="store_protocol",
                hint="Check that the address is that of a CouchDB.",
            ) from None


class Uncertain:
    """Whether an earlier attempt of a write may have reached the server without its answer reaching us."""

    def __init__(self) -> None:
        self.yes = False


class HttpSession:
    """A session with one server; usable from several threads.

    Args:
        base: The server's address without user and password; used for messages, and to tell whether it is this machine.
        credentials: User and password, sent with every request.
    """

    def __init__(self, base: str, host: str, credentials: tuple[str, str] | None) -> None:
        self._base = base
        self._answered = False
        self._local = threading.local()
        # What the environment says is read once, and never leads requests to this machine through a proxy.
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
    def watching(self) -> Iterator[Uncertain]:
        """Tell, for the requests that this thread makes meanwhile, whether one was sent again."""
        self._local.uncertain = uncertain = Uncertain()
        try:
            yield uncertain
        finally:
            self._local.uncertain = None

    def send(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        read_timeout: float = READ_SECONDS,
        silence: Answer | None = None,
    ) -> Answer:
        """Make one request, again and again for a bounded time where the server does not answer or answers 5xx.

        Args:
            method: The HTTP method.
            url: The whole address, without user and password.
            body: What to send.
            headers: More headers.
            read_timeout: Seconds of silence that count as no answer.
            silence: What that silence means, where it is an answer.

        Returns:
            The answer, read whole.

        Raises:
            couchdb.http.HTTPError: It answered 4xx.
            StoreUnreachable: It did not answer, or only with 5xx.
        """
        attempts = tenacity.Retrying(
            stop=tenacity.stop_after_delay(RETRY_SECONDS if self._answered else FIRST_RETRY_SECONDS),
            wait=tenacity.wait_random_exponential(multiplier=0.1, max=3),
            retry=tenacity.retry_if_exception_type(StoreUnreachable),
            reraise=True,
        )
        return attempts(self._once, method, url, body=body, headers=headers or {}, read_timeout=read_timeout, silence=silence)

    def request(
        self,
        method: str,
        url: str,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        credentials: object = None,
    ) -> tuple[int, Mapping[str, str], io.BytesIO]:
        """`send` as the couchdb package calls it; the credentials are the session's own."""
        del credentials
        sent = {"Accept": "application/json", **(headers or {})}
        if body is not None and not isinstance(body, str | bytes):
            body = json.dumps(body, allow_nan=False, separators=(",", ":"))
            sent["Content-Type"] = "application/json"
        answer = self.send(method, url, body=body.encode() if isinstance(body, str) else body, headers=sent)
        return answer.status, answer.headers, io.BytesIO(answer.content)

    def _once(
        self,
        method: str,
        url: str,
        *,
        body: bytes | None,
        headers: Mapping[str, str],
        read_timeout: float,
        silence: Answer | None,
    ) -> Answer:
        try:
            response = self._pools.urlopen(
                method,
                url,
                body=body,
                headers={**self._headers, **headers},
                timeout=urllib3.Timeout(connect=CONNECT_SECONDS, read=read_timeout),
                retries=False,
                redirect=False,
                preload_content=False,
            )
            content = response.read(decode_content=True)
            response.release_conn()
            if not content and method != "HEAD" and not {"content-length", "transfer-encoding"} & set(response.headers):
                raise urllib3.exceptions.ProtocolError("the answer ends within its head")
        except urllib3.exceptions.SSLError as error:
            raise StoreError(
                f"The certificate of the store {self._base} is not trusted: {_root(error)}.",
                code="store_certificate",
                hint="Set REQUESTS_CA_BUNDLE to the file of its authority.",
            ) from None
        except (urllib3.exceptions.HTTPError, OSError) as error:
            if silence is not None and isinstance(error, urllib3.exceptions.ReadTimeoutError):
                return silence
            # urllib3 has thrown the broken connection away: the next attempt opens a new one.
            self._note_uncertain(not isinstance(error, urllib3.exceptions.ConnectTimeoutError))
            raise StoreUnreachable(
                f"The store {self._base} does not answer ({type(error).__name__}: {_root(error)}).",
                hint="Check that it runs and that the address is right.",
            ) from None
        self._answered = True
        if response.status >= 500 or response.status == 429:
            self._note_uncertain(response.status != 429)
            raise StoreUnreachable(f"The store {self._base} answered {response.status}: {_reason(content)}.")
        if response.status >= 400:
            raise _http_error(response.status)(_error_and_reason(response.status, content))
        if response.status >= 300:
            raise StoreError(
                f"The store {self._base} answered with a redirection ({response.status}).",
                code="store_protocol",
                hint="Give the address that it leads to.",
            )
        return Answer(response.status, response.headers, content)

    def _note_uncertain(self, may_have_arrived: bool) -> None:
        uncertain = getattr(self._local, "uncertain", None)
        if uncertain is not None and may_have_arrived:
            uncertain.yes = True


def _pools(proxy: str | None) -> urllib3.PoolManager:
    """The connections, by way of a proxy where there is one."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or certifi.where()
    trusted: dict[str, Any] = {"cert_reqs": "CERT_REQUIRED", "ca_cert_dir" if Path(bundle).is_dir() else "ca_certs": bundle}
    if proxy:
        adapter = requests.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS)
        through: urllib3.PoolManager = adapter.proxy_manager_for(proxy if "://" in proxy else f"http://{proxy}", **trusted)
        return through
    return urllib3.PoolManager(num_pools=1, maxsize=CONNECTIONS, **trusted)


@contextlib.contextmanager
def in_our_words(database: str, url: str) -> Iterator[None]:
    """Turn what the couchdb package raises into `StoreError`s that name the store and the database."""
    try:
        yield
    except couchdb_http.ResourceConflict:
        raise Conflict(f"A document of the database {database} has another revision than the write expected.") from None
    except couchdb_http.Unauthorized as error:
        raise StoreError(
            f"The store {url} does not accept the user or the password ({_said(error)}).",
            code="store_unauthorized",
            hint="Give them in the store's address: http://USER:PASSWORD@HOST:PORT.",
        ) from None
    except couchdb_http.Forbidden as error:
        raise StoreError(
            f"The store {url} does not let this user do that in the database {database} ({_said(error)}).",
            code="store_forbidden",
            hint="Make the user a member of the database, or use an administrator for deploy and clean.",
        ) from None
    except couchdb_http.ResourceNotFound as error:
        raise StoreError(
            f"The store {url} has no database {database} ({_said(error)}).",
            code="store_missing",
            hint="Create it with `whisktrain deploy`, as an administrator.",
        ) from None
    except couchdb_http.HTTPError as error:
        raise StoreError(f"The store {url} refused a request to the database {database}: {_said(error)}.") from None


def _http_error(status: int) -> type[couchdb_http.HTTPError]:
    classes: dict[int, type[couchdb_http.HTTPError]] = {
        401: couchdb_http.Unauthorized,
        403: couchdb_http.Forbidden,
        404: couchdb_http.ResourceNotFound,
        409: couchdb_http.ResourceConflict,
        412: couchdb_http.PreconditionFailed,
    }
    found: type[couchdb_http.HTTPError] = classes.get(status, couchdb_http.ServerError)
    return found


def _error_and_reason(status: int, content: bytes) -> tuple[str, str]:
    """What the couchdb package puts into its exceptions."""
    try:
        said = json.loads(content)
        return str(said.get("error", status)), str(said.get("reason", ""))
    except (ValueError, AttributeError):
        return str(status), content[:200].decode(errors="replace")


def _reason(content: bytes) -> str:
    return ": ".join(word for word in _error_and_reason(0, content) if word)


def _said(error: couchdb_http.HTTPError) -> str:
    said = error.args[0] if error.args else ""
    return ": ".join(said) if isinstance(said, tuple) else str(said)


def _root(error: BaseException) -> str:
    """The innermost reason, which says most in the fewest words and has no address in it."""
    while error.__context__ is not None:
        error = error.__context__
    return str(error)[:200]
