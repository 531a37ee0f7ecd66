"""Runs a program to its end, and tells how long that took and how much memory it had at most.

Started by itself it is the parent of what is measured. It has to be small: to the peak of a program, Linux adds what the
process had been before it became that program.
"""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def measured(command: "list[str]", environment: "dict[str, str]", folder: "Path") -> "tuple[float, float]":
    """(milliseconds, megabytes). RuntimeError with what it wrote to stderr if it fails."""
    import subprocess

    small_parent = [sys.executable, "-ISs", __file__, *command]
    process = subprocess.run(
        small_parent, env=environment, cwd=folder, capture_output=True, text=True, timeout=600, check=False
    )
    seconds, kilobytes, exit_code = process.stdout.split()
    if int(exit_code):
        raise RuntimeError(f"{' '.join(command)} ended with {exit_code}: {process.stderr}")
    return float(seconds) * 1000, int(kilobytes) / 1024


def main(command: "list[str]") -> None:
    nowhere = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_RDWR, 0) for descriptor in (0, 1)]
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=nowhere)
    _, status, usage = os.wait4(pid, 0)
    print(time.perf_counter() - began, usage.ru_maxrss, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1:])
