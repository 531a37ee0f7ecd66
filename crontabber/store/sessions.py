"""What psycopg2 knows of a session, and what a block that used it must put back."""

import os
from contextlib import suppress
from typing import Any

import psycopg2
from psycopg2.extensions import (
    TRANSACTION_STATUS_ACTIVE,
    TRANSACTION_STATUS_IDLE,
    TRANSACTION_STATUS_UNKNOWN,
    connection,
)

# Kept by psycopg2 itself, so that a rollback does not undo them. autocommit comes last: with it, the others are SET.
SETTINGS = ("isolation_level", "readonly", "deferrable", "cursor_factory", "autocommit")


def status(session: Any) -> int | None:
    """Return the status of the transaction, None if the session is closed or a fake of a test suite."""
    if not isinstance(session, connection) or session.closed:
        return None
    return session.get_transaction_status()


def is_busy(session: Any) -> bool:
    """True while a statement is executed, as in another thread."""
    return status(session) == TRANSACTION_STATUS_ACTIVE


def is_idle(session: Any) -> bool:
    """True if no transaction is open. Does not ask the server."""
    return status(session) in (None, TRANSACTION_STATUS_IDLE)


def is_lost(session: Any) -> bool:
    """True if the session is closed, or the server has ended it while it was idle. Seldom asks the server."""
    if session.closed or status(session) == TRANSACTION_STATUS_UNKNOWN:
        return True
    return status(session) == TRANSACTION_STATUS_IDLE and _has_unread_input(session) and not _answers(session)


def has_hung_up(session: Any) -> bool:
    """True if the other end has closed the connection, or is gone. Reads nothing: another thread may be using it."""
    import select

    signs = select.POLLHUP | select.POLLERR | select.POLLNVAL | getattr(select, "POLLRDHUP", 0)
    try:
        descriptor = os.dup(session.fileno())
    except (psycopg2.Error, OSError):
        return True
    try:
        socket = select.poll()
        socket.register(descriptor, signs)
        return bool(socket.poll(0))
    finally:
        os.close(descriptor)


def rolled_back(session: Any) -> bool:
    """Roll back; False if the session is lost."""
    with suppress(psycopg2.Error):
        if not session.closed:
            session.rollback()
            return True
    return False


def settings(session: Any) -> dict[str, Any]:
    return {} if status(session) is None else {name: getattr(session, name) for name in SETTINGS}


def restore(session: Any, before: dict[str, Any]) -> None:
    """Put the settings back. No transaction may be open."""
    for name, value in before.items():
        if getattr(session, name) != value:
            setattr(session, name, value)


def _has_unread_input(session: Any) -> bool:
    """True if the server has sent something that nobody asked for: its farewell, or a notification."""
    import select

    socket = select.poll()
    socket.register(session, select.POLLIN)
    return bool(socket.poll(0))


def _answers(session: Any) -> bool:
    try:
        session.cursor().execute("SELECT 1")
        session.rollback()
    except psycopg2.Error:
        return False
    return True
