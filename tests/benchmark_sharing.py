"""What do many processes take together for jobs that do nothing, compared with one?"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from tests.benchmark_cases import MAKE_DUE, Bench, Case
from tests.integration.faulty_proxy import FaultyProxy
from tests.support import connection_options

JOBS = 1000
PROCESSES = (1, 2, 4, 8, 16)


def measure_sharing(rounds: int, processes: tuple[int, ...] = PROCESSES) -> list[dict[str, Any]]:
    """Return a result for each number of processes. The time of idle ones that start at once is not counted."""
    case = Case("due", JOBS)
    with tempfile.TemporaryDirectory(prefix="crontabber-benchmark-") as folder:
        bench = Bench(Path(folder))
        with bench.prepared(case):
            counts = {number: _count(bench, case, number) for number in processes}
            figures = [{number: _measure(bench, case, number) for number in processes} for _ in range(rounds)]
    alone = [each[1] for each in figures]
    return [_result(number, [each[number] for each in figures], alone, counts[number]) for number in processes]


NAPS = 20
SLEEPERS = f"""
import time

from crontabber.base import BaseCronApp


class Last(BaseCronApp):
    app_name = "last"
    depends_on = [f"nap-{{number}}" for number in range({NAPS})]

    def run(self):
        pass


def run(self):
    time.sleep(0.5)


for number in range({NAPS}):
    name = f"Nap{{number}}"
    globals()[name] = type(name, (BaseCronApp,), {{"app_name": f"nap-{{number}}", "run": run, "__module__": __name__}})
"""
SPAN = "SELECT extract(epoch FROM max(log_time) - min(log_time - duration)) FROM {schema}.crontabber_log"


def measure_workers(workers: int = 4) -> dict[str, Any]:
    """Return how long NAPS jobs of half a second, and one that depends on all of them, take from the first claim."""
    schema = "benchmark_workers"
    with tempfile.TemporaryDirectory(prefix="crontabber-benchmark-") as folder:
        bench = Bench(Path(folder))
        (bench.folder / "sleepers.py").write_text(SLEEPERS)
        options = [f'{key}="{value}"' for key, value in connection_options().items()]
        jobs = "\n".join(f"sleepers.{name}|1d" for name in ["Last", *(f"Nap{number}" for number in range(NAPS))])
        lines = ["[resource]", "[[postgresql]]", *options, "[crontabber]", f"workers={workers}", f"jobs='''{jobs}'''", ""]
        (bench.folder / f"{schema}.ini").write_text("\n".join(lines))
        bench.sql(f"DROP SCHEMA IF EXISTS {schema} CASCADE")
        bench.sql(f"CREATE SCHEMA {schema}")
        try:
            _run_together(bench, schema, 1)
            [(seconds,)] = bench.sql(SPAN.format(schema=schema))
        finally:
            bench.sql(f"DROP SCHEMA {schema} CASCADE")
    return {
        "case": f"{NAPS} jobs of 0.5 s and one after them, {workers} workers", "mode": "workers", "jobs": NAPS + 1,
        "kind": "plain", "milliseconds": float(seconds) * 1000,
    }  # fmt: skip


def _result(number: int, mine: list[float], alone: list[float], statements: float) -> dict[str, Any]:
    return {
        "case": f"shared {JOBS:,} jobs, {number} processes", "mode": "shared", "jobs": JOBS,
        "kind": "alone" if number == 1 else "together", "milliseconds": median(mine), "spread": [min(mine), max(mine)],
        "times_alone": median(each / one for each, one in zip(mine, alone, strict=True)),
        "statements_a_job": statements,
    }  # fmt: skip


def _measure(bench: Bench, case: Case, number: int) -> float:
    """Return the milliseconds that the jobs take beyond as many idle processes."""
    idle = _run_together(bench, case.schema, number)
    bench.sql(MAKE_DUE.format(schema=case.schema))
    return _run_together(bench, case.schema, number) - idle


def _count(bench: Bench, case: Case, number: int) -> float:
    """Return the statements a job, without those that an idle process sends, nor PREPARE."""
    with FaultyProxy(connection_options()) as proxy:
        bench.write_ini(case, proxy.options)
        _run_together(bench, case.schema, number)
        idle = len(proxy.statements)
        bench.sql(MAKE_DUE.format(schema=case.schema))
        _run_together(bench, case.schema, number)
        statements = [each for each in proxy.statements[idle:] if not each.startswith("PREPARE ")]
    bench.write_ini(case, connection_options())
    return (len(statements) - idle) / case.jobs


def _run_together(bench: Bench, schema: str, number: int) -> float:
    """Start as many processes at once, and return the milliseconds until the last one has ended."""
    command = [sys.executable, f"{bench.folder}/crontabber", f"--admin.conf={bench.folder / schema}.ini"]
    environment = bench.environment | {"PGOPTIONS": f"-c search_path={schema}"}
    began = time.perf_counter()
    nowhere = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    processes = [subprocess.Popen(command, env=environment, cwd=bench.folder, **nowhere) for _ in range(number)]
    for process in processes:
        if process.wait(600) not in (0, 2, 3):
            raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return (time.perf_counter() - began) * 1000
