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
    """Cancel the statement that each connection is executing; leave idle ones alone. Raise nothing.

    Call it from another thread than the one that waits inside libpq.
    """
    for connection in _all():
        with suppress(psycopg2.Error, OSError):
            if connection.get_transaction_status() == TRANSACTION_STATUS_ACTIVE:
                _cancel(connection)


@cache
def cut_off_forked_children() -> None:
    """Cut off the children that this process forks from now on from the connections that they inherit.

    Anything that a child sends there, even a ROLLBACK or libpq's goodbye, would break the connection for its parent.
    And a child that outlives its parent would hold the parent's lock, and with it the claim.
    """
    os.register_at_fork(after_in_child=_cut_off)


def _cut_off() -> None:
    """Replace the sockets. If they were closed, psycopg2 would write to whatever gets their file descriptors next."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for connection in _all():
        with suppress(psycopg2.Error):
            os.dup2(nowhere, connection.fileno(), inheritable=False)
    os.close(nowhere)


def _all() -> Iterator[Any]:
    """Yield each connection that the garbage collector knows: jobs may connect with psycopg2 themselves."""
    gc.unfreeze()  # get_objects leaves frozen objects out.
    for thing in gc.get_objects():
        # Not isinstance: a proxy may run any code when it is asked for its class.
        if issubclass(type(thing), psycopg2.extensions.connection):
            yield thing


def _cancel(connection: Any) -> None:
    """Ask the server to cancel the statement. If it does not answer, shut down the connection instead.

    `connection.cancel` blocks all threads until the server answers, so do not call it for one that is silent.
    """
    import socket

    with socket.socket(fileno=os.dup(connection.fileno())) as to_server:
        address = to_server.getpeername()
        if to_server.family == socket.AF_UNIX:
            # The peer's name may be relative to the server's own folder.
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
