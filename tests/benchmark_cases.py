"""The cases of the benchmark: what each runs, on which jobs and tables, and how to measure one round."""

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from psycopg2.extensions import make_dsn

from tests.integration.faulty_proxy import FaultyProxy
from tests.measured import measured
from tests.support import ROOT, connect, connection_options

# The command as pip writes it.
COMMAND = "import sys\nfrom crontabber.__main__ import local_main\nsys.exit(local_main())\n"
FLOOR = "import psycopg2, sys; c = psycopg2.connect(sys.argv[1]).cursor(); c.execute('SELECT 1'); c.fetchall()"
CHAIN = 5
PAGE_FILE = "status.html"
DECORATORS = {"plain": "", "using_postgres": "@using_postgres()\n", "chains": ""}

MAKE_DUE = "UPDATE {schema}.crontabber SET next_run = now() - interval '1 second'"
FILL_LOG = """
INSERT INTO {schema}.crontabber_log (app_name, duration, success)
SELECT 'job-' || n %% %s, '1 second', now() FROM generate_series(1, %s) n
"""
INDEX_LOG = "CREATE INDEX ON {schema}.crontabber_log (app_name, log_time)"


@dataclass(frozen=True)
class Case:
    """`mode` is `floor`, `idle`, `due` or an option of crontabber; `kind` is one of DECORATORS."""

    mode: str
    jobs: int = 0
    kind: str = "plain"
    log_rows: int = 0

    @property
    def name(self) -> str:
        return " ".join(
            [self.mode]
            + [f"{self.jobs:,} jobs"] * bool(self.jobs)
            + [self.kind] * (self.kind != "plain")
            + [f"{self.log_rows:,} log rows"] * bool(self.log_rows)
        )

    @property
    def schema(self) -> str:
        """The schema of its tables. Cases that only read share one."""
        mode = "due" if self.mode == "due" else "read"
        return f"benchmark_{mode}_{self.jobs}_{self.kind}_{self.log_rows}"


@dataclass
class Figures:
    """The costs of one case: a value per round, and counts from one extra round."""

    milliseconds: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    wal_bytes: list[int] = field(default_factory=list)
    statements: int = 0
    transactions: int = 0
    connections: int = 0
    page_bytes: int = 0


class Bench:
    """A folder with jobs and ini files, and a server with a schema for each of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "crontabber").write_text(COMMAND)
        self.connection = connect()
        # PYTHONDONTWRITEBYTECODE, for example, would make every process compile crontabber again.
        foreign = ("PG", "PYTHON", "crontabber")
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(foreign)}
        self.environment = inherited | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}

    def sql(self, statement: str, *parameters: Any) -> Any:
        with self.connection.cursor() as cursor:
            cursor.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    @contextmanager
    def prepared(self, case: Case) -> Iterator[None]:
        """Create its jobs, and tables in which each of them has run."""
        if not case.jobs:
            yield
            return
        (self.folder / f"{case.schema}.py").write_text(module_source(case))
        self.write_ini(case, connection_options())
        self.sql(f"DROP SCHEMA IF EXISTS {case.schema} CASCADE")
        self.sql(f"CREATE SCHEMA {case.schema}")
        try:
            self._run(Case("due", case.jobs, case.kind, case.log_rows), case.schema)
            self.sql(FILL_LOG.format(schema=case.schema), case.jobs, case.log_rows)
            self.sql(INDEX_LOG.format(schema=case.schema))
            # Otherwise autovacuum does it while others are measured.
            self.sql(f"VACUUM (ANALYZE, FREEZE) {case.schema}.crontabber_log")
            yield
        finally:
            self.sql(f"DROP SCHEMA {case.schema} CASCADE")

    def measure(self, case: Case, figures: Figures) -> None:
        """Run one round and add its values to `figures`."""
        self._make_due(case)
        [(before,)] = self.sql("SELECT pg_current_wal_insert_lsn()")
        milliseconds, megabytes = self._run(case, case.schema)
        [(wal_bytes,)] = self.sql("SELECT pg_current_wal_insert_lsn() - %s::pg_lsn", before)
        figures.milliseconds.append(milliseconds)
        figures.megabytes.append(megabytes)
        figures.wal_bytes.append(int(wal_bytes))

    def count(self, case: Case, figures: Figures) -> None:
        """Run one extra round through a proxy that records the traffic."""
        self._make_due(case)
        with FaultyProxy(connection_options()) as proxy:
            self.write_ini(case, proxy.options)
            self._run(case, case.schema, make_dsn(**proxy.options))
        self.write_ini(case, connection_options())
        figures.statements, figures.connections = len(proxy.statements), proxy.connections
        figures.transactions = transactions(proxy.statements)
        page = self.folder / PAGE_FILE
        figures.page_bytes = page.stat().st_size if page.exists() else 0

    def _make_due(self, case: Case) -> None:
        if case.mode == "due":
            self.sql(MAKE_DUE.format(schema=case.schema))

    def _run(self, case: Case, schema: str, floor_dsn: str = "") -> tuple[float, float]:
        if case.mode == "floor":
            command = ["-c", FLOOR, floor_dsn or make_dsn(**connection_options())]
        else:
            command = [f"{self.folder}/crontabber", f"--admin.conf={self.folder / schema}.ini"]
            command += [case.mode] if case.mode.startswith("--") else []
        search_path = {"PGOPTIONS": f"-c search_path={schema}"}
        return measured([sys.executable, *command], self.environment | search_path, self.folder)

    def write_ini(self, case: Case, options: dict[str, str]) -> None:
        jobs = "\n".join(f"    {case.schema}.Job{number}|7d" for number in range(case.jobs))
        lines = ["[resource]", "[[postgresql]]", *(f'{key}="{value}"' for key, value in options.items())]
        lines += ["[crontabber]", f"jobs='''\n{jobs}\n'''", ""]
        (self.folder / f"{case.schema}.ini").write_text("\n".join(lines))


def module_source(case: Case) -> str:
    """Return jobs that do nothing. In a chain, each job except the first depends on the one before."""
    lines = ["from crontabber.base import BaseCronApp", "from crontabber.mixins import using_postgres"]
    for number in range(case.jobs):
        lines += ["", "", f"{DECORATORS[case.kind]}class Job{number}(BaseCronApp):", f"    app_name = 'job-{number}'"]
        if case.kind == "chains" and number % CHAIN:
            lines.append(f"    depends_on = 'job-{number - 1}'")
        lines += ["", "    def run(self):", "        pass"]
    return "\n".join([*lines, ""])


def transactions(statements: list[str]) -> int:
    """Count transactions. A statement outside BEGIN and COMMIT is one of its own; PREPARE does not count."""
    number, within = 0, False
    for statement in statements:
        if statement.startswith("PREPARE "):
            continue
        begins, ends = (re.match(rf"(?i)({words})\b", statement) for words in ("begin|start", "commit|rollback|end"))
        number += not within and not ends
        within = bool(begins) or (within and not ends)
    return number
