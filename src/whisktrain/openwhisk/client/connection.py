"""HTTP to one API host: authorization, connection pools, proxies, retries of 429, refusals as errors."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

import requests
import tenacity
import urllib3
from requests.adapters import HTTPAdapter

from whisktrain.errors import (
    ConfigurationError,
    PlatformError,
    PlatformUnreachable,
    RequestError,
    TooManyRequests,
)
from whisktrain.jsontypes import Json
from whisktrain.openwhisk.settings import PARAMETERS
from whisktrain.store.addresses import is_loopback
from whisktrain.version import __version__

__all__ = ["ApiError", "Connection", "host_address", "no_netrc"]

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection."""
ANSWER_TIMEOUT = 75.0
"""Seconds to wait for an answer: a blocking invocation is answered after 60 at the latest."""
LONGEST_IDLE = 30.0
"""Seconds for which a connection is used again: OpenWhisk closes it after 60 without a call, most proxies later."""
_REDIRECTS = range(300, 400)
_FINAL = "Request defines parameters that are not allowed"
_FINAL_HINT = (
    f"Only the deployment sets {', '.join(PARAMETERS.values())}: leave them out of the request, or set the variables "
    "WHISKTRAIN_... and deploy again."
)


class ApiError(PlatformError):
    """OpenWhisk refused a call.

    Attributes:
        status: The HTTP status.
        body: The answer's JSON, or None.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        body: Json = None,
        code: str | None = None,
        hint: str = "",
    ) -> None:
        super().__init__(message, code=code, hint=hint, retryable=status >= 500)
        self.status = status
        self.body = body

    def __reduce__(self) -> tuple[object, ...]:
        return _restore, (self.message, self.status, self.code, self.hint)


def _restore(message: str, status: int, code: str, hint: str) -> ApiError:
    return ApiError(message, status=status, code=code, hint=hint)


def host_address(apihost: str) -> str:
    """The address of an API host: https where no scheme is given, as wsk does.

    Raises:
        ConfigurationError: It is not an address, or holds a user name or password.
    """
    text = apihost.strip()
    text = (text if "://" in text else f"https://{text}").rstrip("/")
    try:
        parts = urlsplit(text)
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError:
        parts, port_is_fine = urlsplit(""), False
    if (
        parts.scheme not in ("http", "https")
        or not parts.hostname
        or not port_is_fine
        or parts.username
        or parts.query
    ):
        shown = apihost.rpartition("@")[2]
        raise ConfigurationError(
            f"The API host was {shown!r}; expected HOST, HOST:PORT or an http(s) address, without user and password.",
            code="bad_apihost",
            hint="Give the key apart: --auth, WHISK_AUTH, or AUTH= in the wskprops file.",
        )
    return text.removesuffix("/api/v1")


class Connection:
    """Calls to one API host with one key; safe to use from several threads (each has connections of its own).

    Args:
        apihost: HOST[:PORT] or an http(s) address.
        auth: The key, `UUID:KEY`; empty for calls that need none. Never part of an error or a repr.
        insecure: Whether to accept a self-signed certificate.
        retry_timeout: Seconds for which a 429 is tried again before `TooManyRequests` is raised.
    """

    def __init__(
        self, apihost: str, auth: str = "", *, insecure: bool = False, retry_timeout: float = 75.0
    ) -> None:
        self.address = host_address(apihost)
        self.insecure = insecure
        self.retry_timeout = retry_timeout
        self._authorization = f"Basic {base64.b64encode(auth.encode()).decode()}" if auth else ""
        self._local = threading.local()
        self._lock = threading.Lock()
        self._sessions: list[requests.Session] = []
        if insecure:
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

    def __repr__(self) -> str:
        return f"Connection({self.address!r})"

    def _session(self) -> requests.Session:
        """This thread's session, without connections that the platform may be closing just now.

        A POST that meets the end of an idle connection fails, and cannot be sent again: it may have been received.
        """
        session: requests.Session | None = getattr(self._local, "session", None)
        now = time.monotonic()
        idle, self._local.used = now - getattr(self._local, "used", now), now
        if session is not None:
            if idle > LONGEST_IDLE:
                session.close()
            return session
        session = requests.Session()
        retry = urllib3.Retry(
            total=3,
            connect=0,
            read=2,
            status=3,
            status_forcelist=(502, 503, 504),
            allowed_methods=("GET", "HEAD"),
            backoff_factor=0.2,
            backoff_jitter=0.2,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry, pool_maxsize=4))
        session.headers["User-Agent"] = f"whisktrain/{__version__}"
        session.trust_env = not is_loopback(urlsplit(self.address).hostname or "")
        session.auth = no_netrc
        self._local.session = session
        with self._lock:
            self._sessions.append(session)
        return session

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            sessions, self._sessions = self._sessions, []
        for session in sessions:
            session.close()
        self._local = threading.local()

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        timeout: float = ANSWER_TIMEOUT,
        retry_timeout: float | None = None,
    ) -> requests.Response:
        """Send one call and return the answer, whatever its status but 429.

        Args:
            method: GET, PUT, POST or DELETE.
            path: Below the API host, quoted.
            query: Parameters.
            body: JSON to send; None for none.
            timeout: Seconds to wait for the answer.
            retry_timeout: Seconds for which a 429 is tried again; the connection's own by default.

        Raises:
            TooManyRequests: Still 429 after that.
            PlatformUnreachable: Nothing answers.
        """
        budget = self.retry_timeout if retry_timeout is None else retry_timeout
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(TooManyRequests),
            wait=tenacity.wait_random_exponential(multiplier=0.25, max=10.0),
            stop=tenacity.stop_before_delay(max(budget, 0.0)),
            reraise=True,
        )
        return retrying(self._once, method, path, query, body, timeout)

    def _once(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        body: Mapping[str, object] | None,
        timeout: float,
    ) -> requests.Response:
        headers = {"Accept": "application/json"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        try:
            response = self._session().request(
                method,
                self.address + path,
                params=query,
                json=body,
                headers=headers,
                timeout=(CONNECT_TIMEOUT, timeout),
                allow_redirects=False,
                # Given with each request: REQUESTS_CA_BUNDLE would overrule the session's own.
                verify=False if self.insecure else None,
            )
        except (requests.exceptions.InvalidJSONError, TypeError) as error:
            raise RequestError(
                f"The arguments cannot be sent as JSON: {error}.",
                code="bad_arguments",
                hint="Send finite numbers, texts, booleans, lists and objects only.",
            ) from None
        except requests.exceptions.SSLError:
            raise PlatformUnreachable(
                f"The certificate of {self.address} was not accepted.",
                hint="If it is self-signed and you trust the network, pass --insecure (as wsk -i).",
                retryable=False,
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise PlatformUnreachable(
                f"OpenWhisk does not answer at {self.address} ({_reason(error)}).",
                hint="Check that it runs and that the address is right; without a scheme it means https.",
            ) from None
        if response.status_code == 429:
            raise TooManyRequests(
                f"OpenWhisk at {self.address} answered 429: {error_text(response)}",
                hint="Wait a minute, use fewer workers or longer leases, or have the limits raised.",
            )
        return response

    def json(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
        retry_timeout: float | None = None,
    ) -> Json:
        """Send one call and return its JSON; arguments as `send`.

        Raises:
            ApiError: Any status but 2xx.
            TooManyRequests: As `send`.
            PlatformUnreachable: As `send`.
        """
        response = self.send(method, path, query=query, body=body, retry_timeout=retry_timeout)
        if 200 <= response.status_code < 300:
            return json_of(response, self.address)
        raise self.refusal(response, method, path)

    def refusal(self, response: requests.Response, method: str, path: str) -> ApiError:
        """The error that a refused call is."""
        status, text = response.status_code, error_text(response)
        body = _json_or_none(response)
        if status == 401:
            return ApiError(
                f"OpenWhisk at {self.address} does not accept the key: {text}",
                status=status,
                code="unauthorized",
                hint="Check --auth, WHISK_AUTH or AUTH= in the wskprops file.",
            )
        if status == 403:
            return ApiError(
                f"The key may not do this at {self.address} ({method} {path}): {text}",
                status=status,
                code="forbidden",
                hint="Use a key of the namespace that whisktrain is deployed in.",
            )
        if status in _REDIRECTS:
            target = response.headers.get("Location", "another address").partition("?")[0]
            return ApiError(
                f"{self.address} redirects to {target}.",
                status=status,
                code="bad_apihost",
                hint="Give that as the API host.",
            )
        final = status == 400 and text.startswith(_FINAL)
        return ApiError(
            f"OpenWhisk at {self.address} answered {status} to {method} {path}: {text}",
            status=status,
            body=body,
            code="parameters_not_allowed" if final else None,
            hint=_FINAL_HINT if final else "",
        )


def no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Authentication that adds nothing: without one, requests would send a password of ~/.netrc."""
    return request


def _reason(error: BaseException) -> str:
    """A short reason for a connection's failure, without the request that it carries."""
    text = str(error)
    for sign, reason in (
        ("Connection refused", "connection refused"),
        ("NameResolution", "the host's name is not known"),
        ("Name or service not known", "the host's name is not known"),
        ("timed out", "no answer in time"),
        ("Tunnel connection failed", "the proxy refused"),
        ("ProxyError", "the proxy does not answer"),
    ):
        if sign in text:
            return reason
    return type(error).__name__


def _json_or_none(response: requests.Response) -> Json:
    try:
        body: Json = response.json()
    except ValueError:
        return None
    return body


def json_of(response: requests.Response, address: str) -> Json:
    """An answer's JSON; None for an empty one.

    Raises:
        PlatformError: It is something else, so the server is not OpenWhisk.
    """
    if not response.content:
        return None
    try:
        body: Json = response.json()
    except ValueError:
        raise PlatformError(
            f"What answers at {address} is not OpenWhisk: expected JSON, received {response.headers.get('Content-Type')}.",
            code="not_openwhisk",
            hint="Check the API host.",
        ) from None
    return body


def error_text(response: requests.Response) -> str:
    """The message of a refusal."""
    body = _json_or_none(response)
    if isinstance(body, dict) and isinstance(body.get("error"), str):
        return str(body["error"])
    return response.reason or f"status {response.status_code}"
