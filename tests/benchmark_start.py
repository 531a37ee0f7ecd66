"""How much longer Python takes to start where crontabber is installed: the cost of its .pth file."""

import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tests.support import ROOT

PTH = ROOT / "share/crontabber-configman.pth"
# Since Python 3.13, the first .pth file of an environment, ours or not, makes Python import a codec at each start.
OTHER_PTH = {"further": "# from another package\n", "first": ""}
# Not `pass`: in such a small program, one garbage collection more or less changes the figure by a quarter.
PROGRAM = "import json"
ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}


def measure_starts(pairs: int) -> list[dict[str, Any]]:
    """Start a small program with and without the file, alternately. Return a result for each of OTHER_PTH."""
    return [_measured(kind, other, pairs) for kind, other in OTHER_PTH.items()]


def _measured(kind: str, other: str, pairs: int) -> dict[str, Any]:
    with TemporaryDirectory(prefix="crontabber-benchmark-") as folder:
        without, with_it = _environment(Path(folder, "without"), other), _environment(Path(folder, "with"), other, PTH)
        for python in (without, with_it):
            _start(python)
        figures = [(_start(without), _start(with_it)) for _ in range(pairs)]
    return {
        "case": f"start, {kind} .pth", "mode": "start", "jobs": 0, "kind": kind,
        "milliseconds": median(with_it for _, with_it in figures),
        "milliseconds_more": median(with_it - without for without, with_it in figures),
    }  # fmt: skip


def _environment(folder: Path, other: str, *pth_files: Path) -> str:
    """Create an environment with these .pth files, and return its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    [packages] = folder.glob("lib/python*/site-packages")
    if other:
        (packages / "another.pth").write_text(other)
    for path in pth_files:
        (packages / path.name).write_bytes(path.read_bytes())
    return str(folder / "bin/python")


def _start(python: str) -> float:
    """Start the program once, and return the milliseconds."""
    began = time.perf_counter()
    os.waitpid(os.posix_spawn(python, [python, "-c", PROGRAM], ENVIRONMENT), 0)
    return (time.perf_counter() - began) * 1000
