"""CouchDB's multipart answers and long-poll timeouts in front of a PouchDB server, which has neither.

Messages are parsed by the standard library's `email` package, not by the code under test.
"""

from __future__ import annotations

import base64
import email.parser
import email.policy
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import requests

__all__ = ["MultipartFront"]


class MultipartFront(ThreadingHTTPServer):
    """The server.

    Attributes:
        json_bulk: Whether `_bulk_get` is answered in JSON, as by a server that does not know multipart there.
    """

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pouchdb = address
        self.json_bulk = False
        self.requests: list[str] = []
        self._thread = threading.Thread(
            target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: MultipartFront

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        self.server.requests.append(f"{self.command} {self.path}")
        if parts.path == "/":
            self._send_json(200, {"couchdb": "Welcome", "version": "3.5.0"})
        elif parts.path.endswith("/_bulk_get"):
            self._bulk_get(parts.path.removesuffix("/_bulk_get"), json.loads(body))
        elif query.get("feed") == "longpoll":
            self._long_poll(query, body)
        elif "multipart/related" in self.headers.get("Accept", ""):
            self._get_document()
        else:
            if self.headers.get("Content-Type", "").startswith("multipart/related"):
                body = self._inlined(body)
            self._pass_on(self._ask(self.path, body))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _serve

    def _ask(self, path: str, body: bytes, timeout: float = 60.0) -> requests.Response:
        kind = {"Content-Type": "application/json"} if body else {}
        headers = {"Accept": "application/json", **kind}
        return requests.request(
            self.command,
            self.server.pouchdb + path,
            data=body or None,
            headers=headers,
            timeout=timeout,
        )

    def _inlined(self, message: bytes) -> bytes:
        """A document with its attachment, as JSON."""
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        found = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + message)
        document, attachment = found.iter_parts()
        content = json.loads(document.get_payload(decode=True))
        stub = content["_attachments"]["data"]
        # The email package takes line ends for its own, so the bytes are cut out by their length.
        end = message.rindex(b"\r\n--")
        data = message[end - stub["length"] : end]
        assert attachment is not None
        assert stub.pop("follows")
        stub["data"] = base64.b64encode(data).decode()
        del stub["length"]
        return json.dumps(content).encode()

    def _long_poll(self, query: dict[str, str], body: bytes) -> None:
        assert "heartbeat" not in query, "it would overrule the timeout"
        try:
            answer = self._ask(self.path, body, timeout=int(query["timeout"]) / 1000)
        except (
            requests.exceptions.Timeout,
            requests.exceptions.ConnectionError,
        ):  # PouchDB's head comes before the wait
            self._send_json(200, {"last_seq": query["since"], "results": []})
        else:
            self._pass_on(answer)

    def _get_document(self) -> None:
        answer = self._ask(self.path, b"")
        if answer.status_code != 200:
            self._pass_on(answer)
            return
        content_type, content = _message(answer.json())
        self._send(200, content_type, content)

    def _bulk_get(self, database: str, wanted: dict[str, Any]) -> None:
        if self.server.json_bulk:
            self._send_json(200, {"results": []})
            return
        message = b""
        for row in wanted["docs"]:
            quoted = requests.utils.quote(row["id"], safe="")
            found = requests.get(
                f"{self.server.pouchdb}{database}/{quoted}",
                params={"attachments": "true"},
                headers={"Accept": "application/json"},
                timeout=60,
            )
            if found.status_code == 200:
                content_type, content = _message(found.json())
            else:
                content_type, content = (
                    'application/json; error="true"',
                    json.dumps({"id": row["id"]}).encode(),
                )
            message += (
                b"\r\n--several\r\nContent-Type: " + content_type.encode() + b"\r\n\r\n" + content
            )
        self._send(200, 'multipart/mixed; boundary="several"', message + b"\r\n--several--")

    def _pass_on(self, answer: requests.Response) -> None:
        self._send(
            answer.status_code,
            answer.headers.get("Content-Type", "application/json"),
            answer.content,
        )

    def _send_json(self, status: int, content: dict[str, Any]) -> None:
        self._send(status, "application/json", json.dumps(content).encode())

    def _send(self, status: int, content_type: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def _message(document: dict[str, Any]) -> tuple[str, bytes]:
    """A document as CouchDB sends it: multipart with an attachment, JSON without."""
    stub = (document.get("_attachments") or {}).get("data")
    if stub is None:
        return "application/json", json.dumps(document).encode()
    data = base64.b64decode(stub.pop("data"))
    stub |= {"follows": True, "length": len(data)}
    boundary = "0123456789abcdef"
    head = f"--{boundary}\r\nContent-Type: application/json\r\n\r\n{json.dumps(document)}\r\n--{boundary}\r\n"
    head += f'Content-Disposition: attachment; filename="data"\r\nContent-Type: {stub["content_type"]}\r\n\r\n'
    return (
        f'multipart/related; boundary="{boundary}"',
        head.encode() + data + f"\r\n--{boundary}--".encode(),
    )
