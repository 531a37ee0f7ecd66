"""A child that a job forks, and that is not replaced by another program: it must not be a second crontabber.

It inherits the sockets of the open connections. What it sends there, if only the farewell that libpq sends by itself at
the end, breaks the parent's connection; and a child that lives on would keep alive the claim of a parent that died.
"""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psycopg2


@contextmanager
def child_ends_here() -> Iterator[None]:
    """A child forked within, that comes out of the block, ends there, with the exit code that it would have had."""
    parent = os.getpid()
    try:
        yield
    except BaseException as error:
        end_if_forked(parent, error)
        raise
    end_if_forked(parent)


def end_if_forked(parent: int, error: BaseException | None = None) -> None:
    """End this process with the exit code that `error` means, unless it is `parent` itself."""
    if os.getpid() == parent:
        return
    try:
        code = _exit_code(error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
    finally:
        os._exit(code)


def _exit_code(error: BaseException | None) -> int:
    """As Python itself does at the end of a program."""
    if error is None or isinstance(error, SystemExit) and error.code is None:
        return 0
    if isinstance(error, SystemExit) and isinstance(error.code, int):
        return error.code & 255
    if isinstance(error, SystemExit):
        print(error.code, file=sys.stderr)
    else:
        import traceback

        traceback.print_exception(type(error), error, error.__traceback__)
    return 1


def _cut_off_connections() -> None:
    """For the child, the sockets are replaced under psycopg2's feet: closing them here would be heard by the server
    only if they were the last, but their numbers would be used again, and written to."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    gc.unfreeze()  # The collector does not show what it was told to leave alone.
    for thing in gc.get_objects():
        # Not isinstance: that asks proxies, which may do anything.
        if issubclass(type(thing), psycopg2.extensions.connection):
            with suppress(psycopg2.Error):
                os.dup2(nowhere, thing.fileno(), inheritable=False)
    os.close(nowhere)


os.register_at_fork(after_in_child=_cut_off_connections)
