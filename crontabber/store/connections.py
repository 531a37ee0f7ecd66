"""Every psycopg2 connection of this process, whoever made it: cancelled at a signal, cut off in a forked child."""

import gc
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import psycopg2

from crontabber.store.sessions import is_busy

# A statement that goes on for so long although the server was asked to cancel it has lost its server.
CANCEL_SECONDS = 5.0


class Canceller:
    """Cancels the statement that each connection is executing, and leaves idle connections alone. Raises nothing.

    Call it again and again, from another thread than the one that waits inside libpq: a connection that is still
    executing after `patience` seconds is shut down.
    """

    def __init__(self, patience: float = CANCEL_SECONDS) -> None:
        self._patience = patience
        self._since: dict[int, float] = {}

    def __call__(self) -> None:
        now = time.monotonic()
        executing = {id(connection): connection for connection in _all() if _is_executing(connection)}
        self._since = {key: self._since.get(key, now) for key in executing}
        for key, connection in executing.items():
            if now - self._since[key] >= self._patience:
                shut_down(connection)
            else:
                with suppress(psycopg2.Error):
                    cancel(connection)


def cancel(connection: Any) -> None:
    """Ask the server to cancel the statement, and do not wait: the request takes a new connection, which may hang.

    `connection.cancel` would block all threads until the server has answered.
    """
    import ctypes

    before = _requests.get(id(connection))
    if before is not None and before.is_alive():
        return
    # psycopg2's own module is linked to libpq. PyDLL keeps other threads from closing the connection meanwhile.
    path = psycopg2._psycopg.__file__
    get_cancel = ctypes.PyDLL(path).PQgetCancel
    get_cancel.argtypes, get_cancel.restype = [ctypes.c_void_p], ctypes.c_void_p
    request = ctypes.c_void_p(get_cancel(connection.pgconn_ptr))
    arguments = (ctypes.CDLL(path), request, ctypes.create_string_buffer(256))
    thread = threading.Thread(target=_send, args=arguments, name="crontabber-cancel", daemon=True)
    _requests[id(connection)] = thread
    thread.start()


def shut_down(connection: Any) -> None:
    """End the connection under the hands of whoever waits for it: that raises OperationalError there."""
    import socket

    with suppress(psycopg2.Error, OSError), socket.socket(fileno=os.dup(connection.fileno())) as to_server:
        to_server.shutdown(socket.SHUT_RDWR)


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


def _is_executing(connection: Any) -> bool:
    with suppress(psycopg2.Error):  # It may have been closed just now.
        return is_busy(connection)
    return False


_requests: dict[int, threading.Thread] = {}


def _send(libpq: Any, request: Any, error: Any) -> None:
    libpq.PQcancel(request, error, len(error))
    libpq.PQfreeCancel(request)
