"""Run the test modules side by side, each in its own nose with its own PostgreSQL: python -m tests.parallel

The output of a module that fails is shown in full; the last lines sum up, in nose's format. Without arguments it runs
every tests/**/test_*.py. With PROCESSES=1, or a test-crontabber.ini whose database they share, one runs after another.
With ONCE=no, modules that need only one interpreter are left out.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Event, Lock
from typing import Any, NamedTuple

from tests.support import OWN_SERVER, processes_under, wait_until

TESTS = Path(__file__).resolve().parent
# How long each module took the last time it ran in this environment.
SECONDS_FILE = Path(sys.prefix) / "test-seconds.json"
LONGEST_MODULE_SECONDS = 900
# How long a module may take to stop its servers when we stop, and then how long leftover processes may take to end.
GRACE_SECONDS = 15
# What these test is PostgreSQL, the network, the kernel, pip and other programs, rather than Python. With ONCE=no, as for
# some interpreters in .ci/run, they are left out.
ON_ONE_INTERPRETER = [
    "bad_networks", "check", "completion", "control", "control_model", "cut_points", "documentation", "embedded",
    "embedded_surroundings", "executors", "failover", "heartbeat", "installation", "lost_server", "night",
    "odd_databases", "out_of_memory", "pings", "playground", "pooling_proxy", "prometheus", "recording", "sharing",
    "status_page", "stopping", "supervisor", "workers",
]  # fmt: skip


class Result(NamedTuple):
    module: str
    seconds: float
    output: str
    ran: int = 0
    skipped: int = 0
    errors: int = 0
    failures: int = 0

    @property
    def bad(self) -> int:
        return self.errors + self.failures


class Runner:
    """Runs modules in parallel until `stop` is called."""

    def __init__(self, processes: int) -> None:
        self._processes = processes
        self._stopping = Event()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._output = Lock()

    def run(self, modules: list[str]) -> list[Result]:
        """Run these modules. Return the results of those that have run, in the order given."""
        with ThreadPoolExecutor(self._processes) as pool:
            return [result for result in pool.map(self._run_and_show, modules) if result]

    def stop(self) -> None:
        """Start no further module, and end the running ones as Ctrl-C does."""
        self._stopping.set()
        for process in list(self._running):
            process.send_signal(signal.SIGINT)

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def _run_and_show(self, module: str) -> Result | None:
        if self.is_stopping:
            return None
        with _own_folder() as folder:
            result = self._run(module, folder)
        with self._output:
            print(_shown(result), flush=True)
        return result

    def _run(self, module: str, folder: Path) -> Result:
        began = time.monotonic()
        with (folder / "output").open("w+b") as output:
            # In its own group: Ctrl-C on the terminal reaches only us, and we pass it on.
            process = subprocess.Popen(
                [sys.executable, "-m", "nose", module], cwd=TESTS.parent, env=os.environ | {"TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            self._running.add(process)
            try:
                exit_code = self._wait(process)
            finally:
                self._running.discard(process)
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        return result_of(module, exit_code, time.monotonic() - began, text)

    def _wait(self, process: "subprocess.Popen[bytes]") -> int:
        """Return its exit code. Kill it if it takes too long to end."""
        deadline = time.monotonic() + LONGEST_MODULE_SECONDS
        while time.monotonic() < deadline:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(1)
            if self.is_stopping:
                deadline = min(deadline, time.monotonic() + GRACE_SECONDS)
        process.kill()
        return process.wait()


def main(arguments: list[str]) -> int:
    modules = arguments or [str(path.relative_to(TESTS.parent)) for path in sorted(TESTS.rglob("test_*.py")) if _is_wanted(path)]
    # Most tests wait more than they compute.
    processes = int(os.environ.get("PROCESSES") or (1 if OWN_SERVER.exists() else 2 * len(os.sched_getaffinity(0)) + 1))
    runner = Runner(processes)
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(signum, lambda *_: runner.stop())
    began = time.monotonic()
    results = runner.run(_longest_first(modules))
    if not arguments and not runner.is_stopping:
        _remember_seconds(results)
    print(summary(results, time.monotonic() - began, runner.is_stopping))
    return 1 if runner.is_stopping or any(result.bad for result in results) else 0


def _is_wanted(path: Path) -> bool:
    return os.environ.get("ONCE") != "no" or path.stem.removeprefix("test_") not in ON_ONE_INTERPRETER


def result_of(module: str, exit_code: int, seconds: float, output: str) -> Result:
    """Read the last lines of nose's output. A module without a result or without tests has failed."""
    ran = re.findall(r"^Ran (\d+) tests? in ", output, re.M)
    verdict = re.findall(r"^(?:OK|FAILED)\b.*$", output, re.M)
    counts = {name.lower(): int(count) for name, count in re.findall(r"(\w+)=(\d+)", verdict[-1] if verdict else "")}
    result = Result(
        module, seconds, output, int(ran[-1]) if ran else 0, counts.get("skip", 0), counts.get("errors", 0), counts.get("failures", 0)
    )
    if result.bad or (result.ran and verdict and exit_code == 0):
        return result
    explained = f"{output}{module} ended with {exit_code} and without a result\n"
    return result._replace(output=explained, ran=result.ran + 1, errors=1)


def summary(results: list[Result], seconds: float, stopped: bool = False) -> str:
    """Return the last lines that nose would print."""
    ran, skipped, errors, failures = (sum(getattr(each, name) for each in results) for name in ("ran", "skipped", "errors", "failures"))
    counts = {"SKIP": skipped, "errors": errors, "failures": failures}
    details = ", ".join(f"{name}={count}" for name, count in counts.items() if count)
    verdict = "FAILED" if errors or failures or stopped else "OK"
    return f"\nRan {ran} tests in {seconds:.3f}s\n\n{verdict}{f' ({details})' if details else ''}"


def _shown(result: Result) -> str:
    line = f"{result.module}: {result.ran} {'test' if result.ran == 1 else 'tests'} in {result.seconds:.1f} s"
    if result.skipped:
        line += f", {result.skipped} skipped"
    return f"== {line}\n{result.output}" if result.bad else line


def _longest_first(modules: list[str]) -> list[str]:
    """Sort by the last duration. Modules that have not run here come first, large files before small ones."""
    seconds: dict[str, float] = {}
    with suppress(OSError, ValueError):
        seconds = json.loads(SECONDS_FILE.read_text())
    size = {module: os.path.getsize(module.partition(":")[0]) for module in modules}
    return sorted(modules, key=lambda module: (seconds.get(module, float("inf")), size[module]), reverse=True)


def _remember_seconds(results: list[Result]) -> None:
    with suppress(OSError):
        known: dict[str, Any] = json.loads(SECONDS_FILE.read_text()) if SECONDS_FILE.exists() else {}
        SECONDS_FILE.write_text(json.dumps(known | {each.module: round(each.seconds, 1) for each in results}, indent=1))


@contextmanager
def _own_folder() -> Iterator[Path]:
    """Hold all temporary files of a module. End processes that still run below it afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tests-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        _end_processes_under(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _end_processes_under(folder: Path) -> None:
    """End them with SIGQUIT, which stops PostgreSQL at once and cleanly, then with SIGKILL."""
    for signum in (signal.SIGQUIT, signal.SIGKILL):
        for pid in processes_under(folder):
            with suppress(ProcessLookupError):
                os.kill(pid, signum)
        with suppress(AssertionError):
            wait_until(lambda: not processes_under(folder), "some are left", GRACE_SECONDS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
