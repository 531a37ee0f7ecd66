"""Run a program to its end, and measure its time and its peak memory.

Run as a script, this is the parent of the measured program. It has to be small: Linux counts the memory of a process
before it becomes the program toward the peak of the program.
"""

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path


def measured(command: "list[str]", environment: "dict[str, str]", folder: "Path") -> "tuple[float, float]":
    """Return (milliseconds, megabytes). RuntimeError with its stderr if it fails."""
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
    null_device = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_RDWR, 0) for descriptor in (0, 1)]
    began = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=null_device)
    _, status, usage = os.wait4(pid, 0)
    print(time.perf_counter() - began, usage.ru_maxrss, os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1:])
