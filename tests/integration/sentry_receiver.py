"""A Sentry on the loopback: it unpacks events and envelopes, and answers well, badly, slowly or never."""

import base64
import binascii
import json
import ssl
import threading
import time
import zlib
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "0f6a4c2e8d1b4b7f9a35"
SECRET = "c77d10e9b52f48d6a0e1"


@dataclass(frozen=True)
class Received:
    """One request: its path, the parts of its X-Sentry-Auth header, the event or check-in, and the body as text."""

    path: str
    auth: dict[str, str]
    event: dict[str, Any]
    text: str


class SentryReceiver:
    """Use it in a `with`. `answers` is the status of each answer, or "garbage"; "drip" sends a byte at a time, None
    never answers. `delay` is in seconds."""

    def __init__(
        self, answers: int | str | None = 200, headers: dict[str, str] | None = None, delay: float = 0
    ) -> None:
        self.answers = answers
        self.headers = headers or {}
        self.delay = delay
        self.received: list[Any] = []
        self._closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._scheme = "http"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def with_certificate(self, path: str) -> "SentryReceiver":
        """Speak TLS; the file at `path` has the certificate and its key."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "https"
        return self

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def dsn(self, options: str = "", host: str = "127.0.0.1") -> str:
        return f"{self._scheme}://{KEY}:{SECRET}@{host}:{self.port}/14{options}"

    def events(self) -> list[dict[str, Any]]:
        return [each.event for each in self.received]

    def __enter__(self) -> "SentryReceiver":
        self._server.handle_error = lambda *arguments: None  # type: ignore[method-assign]
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def unpacked(self, path: str, headers: Any, body: bytes) -> Any:
        """Return what is kept of a request."""
        return _unpacked(path, headers["X-Sentry-Auth"], body)

    def _handler(receiver) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append(receiver.unpacked(self.path, self.headers, body))
                receiver._answer(self)

            def do_GET(self) -> None:
                receiver.received.append(Received(self.path, _auth(self.headers["X-Sentry-Auth"] or ""), {}, ""))
                self.send_error(405)

            def log_message(self, *arguments: Any) -> None:
                pass

        return Handler

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        self._closing.wait(self.delay)
        if self.answers is None:
            self._closing.wait(60)
        elif self.answers == "drip":
            self._drip(handler)
        elif self.answers == "garbage":
            handler.wfile.write(b"\x00\xff what HTTP is not\r\n" * 10)
        else:
            handler.send_response(int(self.answers))
            for name, value in {"Content-Length": "2", **self.headers}.items():
                handler.send_header(name, value)
            handler.end_headers()
            handler.wfile.write(b"{}")

    def _drip(self, handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not self._closing.wait(0.1):
            handler.wfile.write(b"z")


def _unpacked(path: str, auth: str, body: bytes) -> Received:
    try:
        text = zlib.decompress(body).decode()
    except zlib.error:
        text = _from_base64(body)
    if path.endswith("/envelope/"):
        header, item, payload, *rest = text.splitlines()
        kind = json.loads(item)["type"]
        assert kind == ("check_in" if "check_in_id" in payload else "event"), kind
        assert json.loads(header) is not None and not rest
        return Received(path, _auth(auth), json.loads(payload), text)
    return Received(path, _auth(auth), json.loads(text), text)


def _from_base64(body: bytes) -> str:
    """Older ravens send the compressed JSON in base64."""
    try:
        return zlib.decompress(base64.b64decode(body, validate=True)).decode()
    except binascii.Error:
        return body.decode()


def _auth(header: str) -> dict[str, str]:
    parts = header.removeprefix("Sentry ").split(", ")
    return dict(part.split("=", 1) for part in parts if "=" in part)
