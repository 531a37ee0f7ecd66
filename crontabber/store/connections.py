"""Every psycopg2 connection of this process, whoever made it: cancelled at a signal, cut off in a forked child."""

import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import psycopg2
from psycopg2.extensions import TRANSACTION_STATUS_ACTIVE

# An SSLRequest, which every server answers with one byte.
_KNOCK = bytes.fromhex("0000000804d2162f")
_KNOCK_TIMEOUT_SECONDS = 0.5


def cancel_running_statements() -> None:
    """Cancel what each connection is executing; leave idle ones alone. Raise nothing.

    Call it in another thread than the one that waits inside libpq.
    """
    for connection in _all():
        with suppress(psycopg2.Error, OSError):
            if connection.get_transaction_status() == TRANSACTION_STATUS_ACTIVE:
                _cancel(connection)


@cache
def cut_off_forked_children() -> None:
    """Have each child that this process forks from now on cut off from the connections that it inherits.

    Whatever a child sends there, if only a ROLLBACK or its farewell, would break the connection for its parent; and a
    child that lives on would keep the lock, and so the claim, of a parent that died.
    """
    os.register_at_fork(after_in_child=_cut_off)


def _cut_off() -> None:
    """Replace the sockets behind psycopg2's back: a number that is closed would be used again, and written to."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for connection in _all():
        with suppress(psycopg2.Error):
            os.dup2(nowhere, connection.fileno(), inheritable=False)
    os.close(nowhere)


def _all() -> Iterator[Any]:
    """Yield each connection that the garbage collector knows: jobs may connect as they like."""
    gc.unfreeze()  # It does not show what it was told to leave alone.
    for thing in gc.get_objects():
        # Not isinstance: that asks proxies, which may do anything.
        if issubclass(type(thing), psycopg2.extensions.connection):
            yield thing


def _cancel(connection: Any) -> None:
    """Have the server end the statement. If the server does not answer, end the connection instead.

    `cancel` waits for the server without letting any other thread go on, so do not ask a silent one.
    """
    import socket

    with socket.socket(fileno=os.dup(connection.fileno())) as to_server:
        address = to_server.getpeername()
        if to_server.family == socket.AF_UNIX:
            # The peer's own name for it may start from a folder of the server's.
            address = os.path.join(connection.info.host, f".s.PGSQL.{connection.info.port}")
        if _answers(address, to_server.family):
            connection.cancel()
        else:
            to_server.shutdown(socket.SHUT_RDWR)


def _answers(address: Any, family: int) -> bool:
    import socket

    try:
        with socket.socket(family, socket.SOCK_STREAM) as knock:
            knock.settimeout(_KNOCK_TIMEOUT_SECONDS)
            knock.connect(address)
            knock.sendall(_KNOCK)
            return bool(knock.recv(1))
    except OSError:
        return False
