"""End a child that a job has forked where the job ends: it must not become a second crontabber."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn


@contextmanager
def child_ends_here() -> Iterator[None]:
    """End each child that is forked inside the block when it leaves the block, with the usual exit code."""
    parent = os.getpid()
    try:
        yield
    except BaseException as error:
        end_if_forked(parent, error)
        raise
    end_if_forked(parent)


def end_if_forked(parent: int, error: BaseException | None = None) -> None:
    """End this process unless it is `parent`, with the exit code that `error` stands for."""
    if os.getpid() == parent:
        return
    try:
        code = _exit_code(error)
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
    finally:
        os._exit(code)


def end_like_a_program(code: int, with_threads: bool = True) -> NoReturn:
    """End this process, a forked child, as the end of a program would, but without what its caller still has to do.

    `with_threads`: wait for those that are no daemons.
    """
    import atexit
    import threading

    try:
        if with_threads:
            threading._shutdown()  # type: ignore[attr-defined]  # as multiprocessing does
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
    finally:
        os._exit(code)


def _exit_code(error: BaseException | None) -> int:
    """Return the exit code of a program that ends with `error`, and print what Python would print."""
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
