"""A child that a job forks, and that is not replaced by another program: it must not become a second crontabber."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


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
