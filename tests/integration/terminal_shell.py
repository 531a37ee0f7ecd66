"""Commands, or a bash, on their own terminal, for tests that see what a person sees."""

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import threading
from contextlib import suppress
from pathlib import Path

DONE = "--- done: "
PATIENCE_SECONDS = 120
COLUMNS = 80


def on_terminal(command: list[str], environment: dict[str, str], folder: Path) -> tuple[int, str]:
    """Run a command with a terminal as stdin, stdout and stderr; return its exit code and what it wrote there."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as output:
        process = subprocess.Popen(command, env=environment, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs)
        os.close(theirs)
        written = b""
        with suppress(OSError):  # every process has closed the terminal
            while part := output.read(65536):
                written += part
    return process.wait(PATIENCE_SECONDS), written.decode().replace("\r\n", "\n")


class Shell:
    """A shell on a terminal, which keeps its state between commands, as a reader's does. Commands get no input."""

    def __init__(self, folder: Path, environment: dict[str, str], user: str | None = None) -> None:
        controller, terminal = pty.openpty()
        _set_width(terminal, COLUMNS)
        self._process = subprocess.Popen(
            ["bash", "--norc", "--noprofile"], cwd=folder, env=environment, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=terminal, stderr=terminal, user=user, extra_groups=[] if user else None,
        )  # fmt: skip
        os.close(terminal)
        self._output = os.fdopen(controller, "rb", buffering=0)

    def run(self, command: str) -> tuple[int, str]:
        """Run a command; return its exit code and what it printed."""
        assert self._process.stdin
        self._process.stdin.write(f"{{ {command}\n}} </dev/null; c=$?; echo '{DONE}'$c; (exit $c)\n")
        self._process.stdin.flush()
        watchdog = threading.Timer(PATIENCE_SECONDS, self.end)
        watchdog.start()
        try:
            output, _, code = self._read_until_done().rpartition(DONE)
        finally:
            watchdog.cancel()
        return int(code), output

    def end(self) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, 9)
            self._process.wait()

    def close(self) -> None:
        self.end()
        self._process.communicate()
        self._output.close()

    def _read_until_done(self) -> str:
        text = b""
        while not re.search(DONE.encode() + rb"\d+\r?\n$", text):
            try:
                text += self._output.read(65536)
            except OSError:  # how a terminal reports that every process has closed it
                raise TimeoutError(f"a command did not end: {text.decode(errors='replace')}") from None
        return text.decode("utf-8", "replace").replace("\r\n", "\n")


def _set_width(terminal: int, columns: int) -> None:
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
