"""Write a file so that readers see the old text or the new one, never a part: a temporary file beside it, renamed."""

import os
from contextlib import suppress

from crontabber.errors import OutputError


def write_file(path: str, text: str, mode: int) -> None:
    """Replace the file at `path` by one with this text and mode, whatever the umask. OSError if it cannot be written.

    A link is replaced, not followed. A device or a pipe is written to as it is.
    """
    data = text.encode("utf-8", "replace")
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb", opener=_open_now) as file:
            file.write(data)
        return
    folder, name = os.path.split(path)
    # Its ending is not the file's: a collector that reads *.prom leaves it alone. A killed process may have left one.
    # Processes of several hosts, which share the folder, may have the same id.
    temporary = os.path.join(folder, f".{name}.{os.uname().nodename}.{os.getpid()}.tmp")
    with suppress(FileNotFoundError):
        os.unlink(temporary)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def write_report(path: str, text: str, mode: int) -> None:
    """Do the same for a file that a user has asked for. OutputError if it cannot be written."""
    try:
        write_file(path, text, mode)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _open_now(path: str, flags: int) -> int:
    """Open a pipe that nobody reads with an error, instead of waiting for a reader for ever."""
    descriptor = os.open(path, flags | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    return descriptor
