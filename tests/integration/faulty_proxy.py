"""A TCP proxy between clients and PostgreSQL with the faults of real networks.

    with FaultyProxy(connection_options()) as proxy:
        self.ini(..., connection=proxy.options)
        proxy.pause()

Clients reach it by TCP also where the server is on a Unix socket.
"""

import socket
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any

# The first messages of a client that ask for encryption; the server answers them with a single byte.
ENCRYPTION_REQUESTS = (80877103, 80877104)


class Fault(Enum):
    """What happens to one statement."""

    CUT = "the connection ends, and the server never gets the statement"
    HOLD = "the client's connection ends, and the server gets the statement at `deliver`"
    LOSE_ANSWER = "the server executes it, and the connection ends before the client gets the answer"
    CUT_AFTERWARDS = "the connection ends as soon as the client has the answer"


class FaultyProxy:
    """Listens during its block. `connections` and `statements` record the traffic, each statement when it arrives.

    `on_statement`, if set, is called with each statement and returns the Fault that it meets, or None.
    """

    def __init__(self, server: Mapping[str, str]) -> None:
        """`server` has the options of a connection to the server."""
        self._server = dict(server)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.links: list[_Link] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._delivery = threading.Event()
        self._is_refusing = False
        self.is_swallowing = False
        self.connections = 0
        self.statements: list[str] = []
        self.on_statement: Callable[[str], Fault | None] | None = None

    def __enter__(self) -> "FaultyProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: Any) -> None:
        # Wake the thread that accepts; closing alone would not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self.refuse()
        self.resume()
        self.deliver()

    @property
    def options(self) -> dict[str, str]:
        """The options of a connection through the proxy."""
        host, port = self._listener.getsockname()
        return {**self._server, "host": host, "port": str(port)}

    # -- faults

    def switch_to(self, server: Mapping[str, str]) -> None:
        """Connect new clients to another server."""
        self._server = dict(server)

    def pause(self) -> None:
        """Accept everything, new connections included, and forward it at `resume`."""
        self._flowing.clear()

    def swallow(self) -> None:
        """Accept everything that present and new clients send until `resume`, and forward none of it."""
        self.is_swallowing = True

    def resume(self) -> None:
        """End `pause` and `swallow`."""
        self.is_swallowing = False
        self._flowing.set()

    def abandon(self) -> None:
        """Accept what present clients send, and never forward it; new connections work."""
        for link in self.links:
            link.is_abandoned = True

    def refuse(self) -> None:
        """End all connections, and new ones at once, until `admit`."""
        self._is_refusing = True
        self.cut()

    def admit(self) -> None:
        """Accept new connections again."""
        self._is_refusing = False

    def cut(self) -> None:
        """End all connections at both ends."""
        links, self.links = self.links, []
        for link in links:
            link.cut()

    def deliver(self) -> None:
        """Let the server have what Fault.HOLD has held back."""
        self._delivery.set()

    # -- traffic

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                # Otherwise the kernel holds back each small message that follows another.
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections += 1
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            self._flowing.wait()
            with _connected(self._server) as server:
                link = _Link(self, client, server)
                self.links.append(link)
                if self._is_refusing:
                    self.cut()
                link.run()

    def fault_of(self, statement: str) -> Fault | None:
        """Record a statement, and return the fault that it meets."""
        self.statements.append(statement)
        fault = self.on_statement(statement) if self.on_statement else None
        if fault is Fault.HOLD:
            self._delivery.clear()
        return fault

    def wait_until_flowing(self) -> None:
        self._flowing.wait()

    def wait_for_delivery(self) -> None:
        self._delivery.wait()


class _Link:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: FaultyProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        # Of the statement that the server is about to answer.
        self._fault: Fault | None = None
        self.is_abandoned = False

    def cut(self) -> None:
        for end in (self._client, self._server):
            _shut(end)

    def run(self) -> None:
        """Forward messages until one of the ends is closed."""
        answers = threading.Thread(target=self._until_closed, args=(self._forward_answers,), daemon=True)
        self._until_closed(self._start, answers.start, self._forward_statements)
        if answers.ident:
            answers.join()

    def _until_closed(self, *steps: Callable[[], None]) -> None:
        with suppress(OSError, EOFError):
            for step in steps:
                step()
        # The other thread is waiting for the answer to the statement that was held back.
        if self._fault is not Fault.HOLD:
            self.cut()

    def _start(self) -> None:
        """Forward the client's first message, and the requests for encryption that may come before it."""
        while True:
            size = _read(self._client, 4)
            body = _read(self._client, int.from_bytes(size, "big") - 4)
            self._forward(self._server, size + body)
            if int.from_bytes(body[:4], "big") not in ENCRYPTION_REQUESTS:
                return
            self._forward(self._client, _read(self._server, 1))

    def _forward_statements(self) -> None:
        while True:
            message = _message(self._client)
            if message[:1] in (b"Q", b"P"):
                self._fault = self._proxy.fault_of(message[5:].rstrip(b"\0").decode(errors="replace").strip())
            if self._fault is Fault.CUT:
                return
            if self._fault is Fault.HOLD:
                _shut(self._client)
                self._proxy.wait_for_delivery()
            self._forward(self._server, message)

    def _forward_answers(self) -> None:
        while True:
            message = _message(self._server)
            # As soon as the client has this one, it may send a statement that meets another fault.
            fault = self._fault
            if fault in (None, Fault.CUT_AFTERWARDS):
                self._forward(self._client, message)
            # A `Z` ends each answer.
            if fault and message[:1] == b"Z":
                self._fault = None
                return

    def _forward(self, end: socket.socket, message: bytes) -> None:
        self._proxy.wait_until_flowing()
        if not self._proxy.is_swallowing and not self.is_abandoned:
            end.sendall(message)


def _connected(options: Mapping[str, str]) -> socket.socket:
    host, port = options.get("host", "localhost"), options.get("port") or "5432"
    if not host.startswith("/"):
        return socket.create_connection((host, int(port)))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{host}/.s.PGSQL.{port}")
    return server


def _message(source: socket.socket) -> bytes:
    """Return one message: a type of one byte, the length of the rest, and a body."""
    head = _read(source, 5)
    return head + _read(source, int.from_bytes(head[1:], "big") - 4)


def _read(source: socket.socket, size: int) -> bytes:
    data = source.recv(size, socket.MSG_WAITALL) if size else b""
    if len(data) < size:
        raise EOFError
    return data


def _shut(end: socket.socket) -> None:
    # It may be closed already.
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
