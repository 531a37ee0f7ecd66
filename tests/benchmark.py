"""Measure what crontabber costs, all cases in one run: python tests/benchmark.py [--json] [--quick]

The cases take turns, so that other load on the machine affects all of them alike. docs/developer/benchmark.rst says
how to read the output.
"""

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import psycopg2

from tests.benchmark_cases import PAGE_FILE, Bench, Case, Figures
from tests.benchmark_sharing import measure_sharing, measure_workers
from tests.benchmark_start import measure_starts
from tests.support import connection_options

ROUNDS, ROUNDS_QUICK = 7, 3
PAIRS_OF_STARTS, PAIRS_QUICK = 400, 100
LOG_ROWS = 3_000_000
IDLE_BOUNDS = {1: 1.75, 100: 2.1, 1000: 3.5}
IDLE_BOUND_POSTGRES = 6.0
START_BOUND = 0.3
SHARED_BOUNDS = {"times_alone": 0.8, "statements_a_job": 2.5}
MEMORY_BOUNDS = {100: 36, 1000: 45}
REPORTS = {"--nagios": 1.25, "--list-jobs": 1.25, "--status": 1.25, "--check": 1.25, "--dry-run": 1.25, "--explain=job-0": 1.25, "--history=job-0": 1.5}
PAGE = f"--status-page={PAGE_FILE}"
PAGE_BOUNDS = {"statements": 4, "milliseconds_more": 100, "kibibytes": 500}

Result = dict[str, Any]


def cases(quick: bool) -> list[Case]:
    sizes = [1, 100] if quick else [1, 100, 1000]
    idle = [Case("idle", jobs) for jobs in sizes] + [Case("idle", sizes[-1], "using_postgres")]
    due = [Case("due", jobs) for jobs in sizes] + [Case("due", max(jobs, 5), "chains") for jobs in sizes]
    rows = [0] if quick else [0, LOG_ROWS]
    reports = [Case(mode, jobs, "plain", log_rows) for mode in (*REPORTS, PAGE) for jobs in sizes for log_rows in rows]
    return [Case("floor"), *idle, *due, *reports, Case(PAGE, sizes[-1], "chains")]


def run(chosen: list[Case], rounds: int) -> dict[Case, Figures]:
    figures = {case: Figures() for case in chosen}
    with tempfile.TemporaryDirectory(prefix="crontabber-benchmark-") as folder, ExitStack() as stack:
        bench = Bench(Path(folder))
        for case in {case.schema: case for case in chosen}.values():
            stack.enter_context(bench.prepared(case))
        for case in chosen:
            bench.count(case, figures[case])
        for turn in range(rounds):
            print(f"round {turn + 1} of {rounds}", file=sys.stderr)
            for case in chosen:
                bench.measure(case, figures[case])
    return figures


def results(figures: dict[Case, Figures]) -> list[Result]:
    """Return medians, also of each round compared with the floor and with an idle tick of as many jobs."""
    floor = figures[Case("floor")]
    return [_result(case, each, floor, figures.get(Case("idle", case.jobs))) for case, each in figures.items()]


def _result(case: Case, each: Figures, floor: Figures, idle: Figures | None) -> Result:
    result = {
        "case": case.name, **asdict(case), "milliseconds": median(each.milliseconds),
        "spread": [min(each.milliseconds), max(each.milliseconds)], "floors": _times(each, floor),
        "megabytes": median(each.megabytes), "statements": each.statements, "transactions": each.transactions,
        "connections": each.connections,
    }  # fmt: skip
    if case.mode in REPORTS and idle:
        result["idles"] = _times(each, idle)
    if case.mode == PAGE and idle:
        result |= {"milliseconds_more": _more(each, idle), "kibibytes": each.page_bytes / 1024}
    if case.mode == "due":
        result["wal_bytes_a_job"] = median(each.wal_bytes) / case.jobs
        if idle:
            result["milliseconds_a_job"] = _more(each, idle) / case.jobs
            result["statements_a_job"] = (each.statements - idle.statements) / case.jobs
            result["transactions_a_job"] = (each.transactions - idle.transactions) / case.jobs
    return result


def _times(figures: Figures, others: Figures) -> float:
    return median(mine / other for mine, other in zip(figures.milliseconds, others.milliseconds, strict=True))


def _more(figures: Figures, others: Figures) -> float:
    return median(mine - other for mine, other in zip(figures.milliseconds, others.milliseconds, strict=True))


def bounds(result: Result) -> dict[str, float]:
    """Return the upper bound of each figure of a case."""
    mode, jobs = result["mode"], result["jobs"]
    if mode == "floor":
        return {}
    if mode == "start":
        return {"milliseconds_more": START_BOUND} if result["kind"] == "further" else {}
    if mode == "workers":
        return {"milliseconds": 3000}
    if mode == "shared":
        return SHARED_BOUNDS if result["kind"] == "together" else {}
    bound: dict[str, float] = {"connections": 1}
    if jobs in MEMORY_BOUNDS and result["kind"] == "plain":
        bound["megabytes"] = MEMORY_BOUNDS[jobs]
    if mode == "idle":
        bound |= {"statements": 4}
        bound["floors"] = IDLE_BOUNDS[jobs] if result["kind"] == "plain" else IDLE_BOUND_POSTGRES
    elif mode == PAGE:
        bound |= PAGE_BOUNDS
    elif mode in REPORTS:
        bound |= {"statements": 4, "idles": REPORTS[mode]}
    else:
        bound |= {"statements_a_job": 8, "transactions_a_job": 2, "wal_bytes_a_job": 700}
        if jobs > 5:
            bound["milliseconds_a_job"] = 1.2
    return {name: most for name, most in bound.items() if name in result}


def exceeded(measured: list[Result]) -> list[str]:
    return [
        f"{result['case']}: {name.replace('_', ' ')} {result[name]:.2f}, at most {most}"
        for result in measured
        for name, most in bounds(result).items()
        if result[name] > most
    ]


def machine() -> dict[str, Any]:
    with psycopg2.connect(**connection_options()) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version'), current_setting('fsync')")
        [(server, fsync)] = cursor.fetchall()
    return {
        "system": platform.platform(),
        "processors": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "psycopg2": psycopg2.__version__.split()[0],
        "postgresql": server,
        "fsync": fsync,
        "milliseconds_a_flush": _milliseconds_a_flush(),
        "load": os.getloadavg()[0],
    }


def _milliseconds_a_flush() -> float:
    """Return how long the disk takes to flush a few bytes: the median of 100."""
    times = []
    with tempfile.TemporaryFile() as file:
        for _ in range(100):
            began = time.perf_counter()
            file.write(b"x" * 200)
            file.flush()
            os.fdatasync(file.fileno())
            times.append((time.perf_counter() - began) * 1000)
    return median(times)


COLUMNS = (
    ("ms", "milliseconds", ".1f"), ("x floor", "floors", ".2f"), ("x idle", "idles", ".2f"),
    ("ms more", "milliseconds_more", ".2f"), ("x alone", "times_alone", ".2f"), ("ms/job", "milliseconds_a_job", ".2f"),
    ("stmts", "statements", "d"), ("trans", "transactions", "d"), ("conns", "connections", "d"), ("WAL/job", "wal_bytes_a_job", ".0f"), ("MB", "megabytes", ".1f"),
    ("KiB", "kibibytes", ".0f"),
)  # fmt: skip


def table(measured: list[Result]) -> str:
    width = max(len(result["case"]) for result in measured)
    lines = [" " * width + "".join(f"{title:>9}" for title, _, _ in COLUMNS)]
    for result in measured:
        cells = (f"{result[name]:{form}}" if name in result else "" for _, name, form in COLUMNS)
        lines.append(f"{result['case']:<{width}}" + "".join(f"{cell:>9}" for cell in cells))
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare crontabber with a process that connects and sends one query.")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--quick", action="store_true", help="fewer jobs, fewer rounds, no rows in the log")
    arguments = parser.parse_args()
    facts = machine()
    measured = measure_starts(PAIRS_QUICK if arguments.quick else PAIRS_OF_STARTS)
    measured += results(run(cases(arguments.quick), ROUNDS_QUICK if arguments.quick else ROUNDS))
    if not arguments.quick:
        measured += measure_sharing(ROUNDS)
        measured.append(measure_workers())
    if arguments.json:
        print(json.dumps({"machine": facts, "results": measured, "exceeded": exceeded(measured)}, indent=1))
        return
    print("\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items()), end="\n\n")
    print(table(measured), end="\n\n")
    print("\n".join(exceeded(measured)) or "Every figure is within its bound.")


if __name__ == "__main__":
    main()
