"""A TCP proxy between crontabber and PostgreSQL with the faults of real networks.

    with FaultyProxy(connection_options()) as proxy:
        self.ini(..., connection=proxy.options)
        proxy.pause()

It speaks TCP to its clients also where the server is on a Unix socket. Everything it does is seen by all connections.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from typing import Any

START_UP = 196608  # version 3.0 of the protocol


class Fault(Enum):
    """What happens to one statement."""

    CUT = "it reaches nobody, both connections end"
    LOSE_ANSWER = "the server executes it, and the client's connection ends before the answer"
    HOLD = "the client's connection ends, and the server gets the statement at `deliver`"


class FaultyProxy:
    """`connections` and `statements` record the traffic, each statement when it arrives.

    `on_statement`, if set, is called with each one and returns the Fault that it meets, or None.
    """

    def __init__(self, server: Mapping[str, str]) -> None:
        self._server = server
        self._listener = self._listen()
        self.links: list[_Link] = []
        self._open = threading.Event()
        self._open.set()
        self._delivery = threading.Event()
        self._is_discarding = False
        self.connections = 0
        self.statements: list[str] = []
        self.on_statement: Callable[[str], Fault | None] | None = None

    def __enter__(self) -> "FaultyProxy":
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: Any) -> None:
        # Wake the thread that accepts; closing alone would not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self.cut()
        self.resume()
        self.deliver()

    @property
    def options(self) -> dict[str, str]:
        """The options that reach the server through this proxy."""
        host, port = self._listener.getsockname()
        return {**self._server, "host": host, "port": str(port)}

    # -- faults

    def pause(self) -> None:
        """Acknowledge everything, answer nothing, new connections included; pass it on at `resume`."""
        self._open.clear()

    def swallow(self) -> None:
        """Do the same for ever: what arrives until `resume` reaches nobody."""
        self._is_discarding = True

    def resume(self) -> None:
        """End `pause` and `swallow`."""
        self._is_discarding = False
        self._open.set()

    def cut(self) -> None:
        """End every connection, on both sides."""
        for link in self.links:
            link.cut()

    def abandon(self) -> None:
        """Acknowledge what the present clients send, and answer nothing; new connections work."""
        for link in self.links:
            link.is_abandoned = True

    def deliver(self) -> None:
        """Let the server have what Fault.HOLD held back."""
        self._delivery.set()

    # -- traffic

    def _listen(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self.links.append(_Link(client, _connected(self._server)))
            for pump in (self._pump_statements, self._pump_answers):
                threading.Thread(target=pump, args=(self.links[-1],), daemon=True).start()

    def _pump_statements(self, link: "_Link") -> None:
        for message in messages(link.client):
            statement = statement_in(message)
            if statement is not None:
                self.statements.append(statement)
            fault = self.on_statement(statement) if self.on_statement and statement is not None else None
            if fault is Fault.CUT:
                break
            if fault is Fault.HOLD:
                link.hang_up()
                self._delivery.wait()
            link.is_muted = fault is Fault.LOSE_ANSWER
            if not self._pass(link, link.server, message):
                break
        if not link.is_held:
            link.cut()

    def _pump_answers(self, link: "_Link") -> None:
        with suppress(OSError):
            while data := link.server.recv(65536):
                if link.is_muted or not self._pass(link, link.client, data):
                    break
        link.cut()

    def _pass(self, link: "_Link", sink: socket.socket, data: bytes) -> bool:
        """False if the connection has ended."""
        self._open.wait()
        if self._is_discarding or link.is_abandoned:
            return True
        try:
            sink.sendall(data)
        except OSError:
            return False
        return True


class _Link:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client = client
        self.server = server
        self.is_muted = False
        self.is_held = False
        self.is_abandoned = False

    def cut(self) -> None:
        for end in (self.client, self.server):
            _close(end)

    def hang_up(self) -> None:
        """End the client's connection alone."""
        self.is_held = True
        _close(self.client)


def messages(client: socket.socket) -> Iterator[bytes]:
    """Yield what a client sends, message by message: those before the start-up message have no type."""
    buffer, has_types = b"", False
    with suppress(OSError):
        while data := client.recv(65536):
            buffer += data
            while end := _end_of_message(buffer, has_types):
                message, buffer = buffer[:end], buffer[end:]
                # A request for encryption comes before it.
                has_types = has_types or message[4:8] == START_UP.to_bytes(4, "big")
                yield message


def statement_in(message: bytes) -> str | None:
    """Return the statement of a simple query or of a Parse, None for other messages."""
    return message[5:].rstrip(b"\0").decode(errors="replace").strip() if message[:1] in (b"Q", b"P") else None


def _end_of_message(buffer: bytes, has_type: bool) -> int:
    """Return its length, 0 if it is not complete."""
    offset = 1 if has_type else 0
    if len(buffer) < offset + 4:
        return 0
    end = offset + int.from_bytes(buffer[offset : offset + 4], "big")
    return end if len(buffer) >= end else 0


def _close(end: socket.socket) -> None:
    """With a reset, so that nobody waits for what is still on its way; another thread may be reading from it."""
    with suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        end.shutdown(socket.SHUT_RDWR)


def _connected(options: Mapping[str, str]) -> socket.socket:
    host, port = options.get("host", "localhost"), options.get("port") or "5432"
    if host.startswith("/"):
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server
    return socket.create_connection((host, int(port)))
