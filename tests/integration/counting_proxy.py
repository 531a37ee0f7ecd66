"""A proxy between a client and PostgreSQL that records every connection and every statement."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Traffic:
    """The number of connections, and the statements in the order in which they were sent."""

    connections: int = 0
    statements: list[str] = field(default_factory=list)


@contextmanager
def counted(options: dict[str, str]) -> Iterator[tuple[dict[str, str], Traffic]]:
    """Yield connection options that reach the server of `options` through a proxy, and the traffic that it records."""
    traffic = Traffic()
    with tempfile.TemporaryDirectory(prefix="proxy-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(Path(folder) / ".s.PGSQL.5432"))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, options, traffic), daemon=True).start()
        yield {**options, "host": folder, "port": "5432"}, traffic
        # Wake the thread that accepts; closing alone would not.
        listener.shutdown(socket.SHUT_RDWR)


def _accept(listener: socket.socket, options: dict[str, str], traffic: Traffic) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        traffic.connections += 1
        server = _connected(options)
        threading.Thread(target=_pump, args=(client, server, _Reader(traffic)), daemon=True).start()
        threading.Thread(target=_pump, args=(server, client, None), daemon=True).start()


def _connected(options: dict[str, str]) -> socket.socket:
    host, port = options.get("host", "localhost"), options.get("port") or "5432"
    if host.startswith("/"):
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{host}/.s.PGSQL.{port}")
        return server
    return socket.create_connection((host, int(port)))


def _pump(source: socket.socket, sink: socket.socket, reader: "_Reader | None") -> None:
    while True:
        try:
            data = source.recv(65536)
            if data and reader:
                reader.feed(data)
            sink.sendall(data)
        except OSError:
            data = b""
        if not data:
            for end in (source, sink):
                # The other direction may have closed it already.
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
            return


class _Reader:
    """Split what a client sends into messages: the first has no type, each later one has type, length and body."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._buffer = b""
        self._started = False

    def feed(self, data: bytes) -> None:
        self._buffer += data
        while True:
            offset = 1 if self._started else 0
            if len(self._buffer) < offset + 4:
                return
            end = offset + int.from_bytes(self._buffer[offset : offset + 4], "big")
            if len(self._buffer) < end:
                return
            message, self._buffer = self._buffer[:end], self._buffer[end:]
            if self._started and message[:1] in (b"Q", b"P"):
                self._traffic.statements.append(message[5:].rstrip(b"\0").decode(errors="replace").strip())
            self._started = True
