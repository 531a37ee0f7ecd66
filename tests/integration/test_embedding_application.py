"""An application that embeds crontabber in its own framework, as its largest user does, run as a real process."""

import subprocess
import sys

from tests.support import DatabaseTestCase

FRAMEWORK = '''
"""The framework's own idea of an application, which knows nothing of crontabber's."""

from configman import Namespace, RequiredConfig


class FrameworkApp(RequiredConfig):
    app_name = "framework"
    app_version = "0"
    app_description = ""
    required_config = Namespace()
    required_config.add_option("deployment", default="staging", doc="which deployment this is")

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.greeting = "hello from " + config.deployment
'''

JOBS = '''
from configman import Namespace
from crontabber.mixins import as_backfill_cron_app, using_postgres
from tests.jobs import Noting


@using_postgres()
class Fetch(Noting):
    app_name = "fetch"
    required_config = Namespace()
    required_config.add_option("source", default="the web", doc="where from")

    def run(self):
        super().run()
        self.config.logger.info("from %s, %s", self.config.source, self.config.database.database_class.__name__)


class Digest(Noting):
    app_name = "digest"
    depends_on = ("fetch",)


@as_backfill_cron_app
class Daily(Noting):
    app_name = "daily"
    depends_on = ["digest"]


class Sad(Noting):
    app_name = "sad"

    def run(self):
        super().run()
        raise ValueError("No more tissues")
'''

APPLICATION = '''
"""Everything that the framework runs by the clock."""

import sys

import crontabber  # Before configman, which cannot be imported on today's Python without it.
from configman import Namespace
from crontabber.app import (
    CronTabberBase,
    JobNotFoundError,
    classes_in_namespaces_converter_with_compression,
    convert_frequency,
    get_extra_as_options,
    line_splitter,
    pipe_splitter,
    utc_now,
)
from crontabber.generic_app import main

from framework import FrameworkApp

DEFAULT_JOBS = """
  works.Fetch|12h
  works.Digest|1d|00:00
  works.Daily|1d
"""


def jobs_of_this_deployment(text):
    """Drops what begins with an exclamation mark."""
    return [entry for entry in line_splitter(text) if not entry.startswith("!")]


class Tab(CronTabberBase, FrameworkApp):
    app_name = "tab"
    app_version = "7.5"
    app_description = __doc__

    required_config = CronTabberBase.required_config.safe_copy()
    required_config.add_option(
        "mark-success", default=None, short_form="m", from_string_converter=str,
        doc="say that this job (or all) has just succeeded, without running it",
    )
    # Names that modes of crontabber have today.
    required_config.add_option("date", default="today", doc="a day in the books")
    required_config.add_option("status", default="open", doc="which books to look at")
    required_config.add_option("check", default=False, doc="check the books")
    required_config.crontabber.jobs.default = DEFAULT_JOBS
    required_config.crontabber.add_option(
        "jobs",
        default=DEFAULT_JOBS,
        from_string_converter=classes_in_namespaces_converter_with_compression(
            reference_namespace=Namespace(),
            list_splitter_fn=jobs_of_this_deployment,
            class_extractor=pipe_splitter,
            extra_extractor=get_extra_as_options,
        ),
        doc="the jobs; one that begins with ! is left out",
    )
    required_config.crontabber.error_retry_time.default = 600

    config_defaults = {
        "deployment": "production",
        "always_ignore_mismatches": True,
        "resource": {
            "postgresql": {
                "transaction_executor_class": "crontabber.transaction_executor.TransactionExecutorWithLimitedBackoff",
            },
            "logging": {"stderr_line_format_string": "{levelname} {message}"},
        },
    }

    def main(self):
        if self.config.get("mark-success"):
            return self.mark_success(self.config["mark-success"])
        self.config.logger.debug(self.greeting)
        return super().main()

    def mark_success(self, description):
        class_list = self._reorder_class_list(self.config.crontabber.jobs.class_list)
        marked = [(name, job) for name, job in class_list if description in ("all", job.app_name)]
        if not marked:
            raise JobNotFoundError("there is no job %r to mark" % description)
        for name, job in marked:
            now = utc_now()
            time_ = self.config.crontabber["class-" + name].time
            frequency = convert_frequency(self.config.crontabber["class-" + name].frequency)
            self._log_run(job, frequency, time_, now, now, None, None, None)
            self._remember_success(job, now, 0.0)
            self.config.logger.info("%s: marked %s as a success", self.greeting, job.app_name)


if __name__ == "__main__":
    sys.exit(main(Tab))
'''

PLAIN = '''
import sys

from crontabber.app import CronTabberBase
from crontabber.generic_app import main
from framework import FrameworkApp


class Plain(CronTabberBase, FrameworkApp):
    app_name = "plain"

    def main(self):
        self.config.logger.info(self.greeting)
        return super().main()


if __name__ == "__main__":
    sys.exit(main("plain.Plain"))
'''


class TestEmbeddingApplication(DatabaseTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        for name, source in (("framework", FRAMEWORK), ("works", JOBS), ("tab", APPLICATION), ("plain", PLAIN)):
            self.write_module(name, source)
        self.configure()

    def configure(self, jobs=None, extra=""):
        path = self.ini("" if jobs is None else jobs, extra)
        if jobs is None:
            path.write_text(path.read_text().replace("jobs=''''''\n", ""))

    def tab(self, *arguments, script="tab.py", **env):
        command = [sys.executable, script, f"--admin.conf={self.folder / 'crontabber.ini'}", *arguments]
        return subprocess.run(
            command, env=self.environment(**env), cwd=self.folder, text=True, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip

    def test_a_tick_runs_its_default_jobs_with_its_own_defaults(self):
        tick = self.tab()
        again = self.tab()

        self.assertEqual((tick.returncode, again.returncode), (0, 0), tick.stderr)
        self.assertEqual(self.ran(), ["fetch", "digest", "daily"])
        self.assertRegex(tick.stderr, r"(?m)^INFO from the web, ConnectionFactory$")
        self.assertEqual((again.stdout, again.stderr), ("", ""))

    def test_its_own_converter_decides_what_is_a_job(self):
        self.configure("works.Fetch|1d\n!works.Digest|1d\n!nowhere.Job|never")

        self.assertEqual(self.tab().returncode, 0)
        self.assertEqual(self.ran(), ["fetch"])

    def test_its_own_option_marks_a_job_as_successful(self):
        marked = self.tab("--mark-success=digest")

        self.assertEqual((marked.returncode, marked.stdout), (0, ""))
        self.assertEqual(marked.stderr.splitlines()[-1], "INFO hello from production: marked digest as a success")
        self.assertEqual(self.ran(), [])
        rows = self.sql("SELECT app_name, error_count, last_error::text, depends_on, ongoing, last_run = last_success,"
                        " to_char(next_run, 'HH24:MI'), next_run::date - last_run::date FROM crontabber")
        self.assertEqual(rows, [("digest", 0, "{}", ["fetch"], None, True, "00:00", 1)])
        self.assertEqual(self.sql("SELECT app_name, success IS NOT NULL, exc_type FROM crontabber_log"), [("digest", True, None)])

    def test_all_are_marked_in_order_and_the_next_tick_skips_them(self):
        self.configure("works.Daily|1d\nworks.Digest|1d|00:00\nworks.Fetch|12h\nworks.Sad|5m")
        self.tab("--job=sad")

        self.tab("-m", "all")

        self.assertEqual(self.sql("SELECT app_name FROM crontabber_log ORDER BY id"),
                         [("sad",), ("fetch",), ("sad",), ("digest",), ("daily",)])
        self.assertEqual(self.row("sad", "error_count", "last_error"), (0, {}))
        self.ran()
        self.assertEqual((self.tab().returncode, self.ran()), (0, []))

    def test_a_marked_backfill_continues_from_that_date(self):
        self.tab("--mark-success=all")
        marked = self.row("daily", "last_success")
        self.sql("UPDATE crontabber SET last_success = last_success - interval '3 days',"
                 " next_run = next_run - interval '3 days' WHERE app_name = 'daily'")

        self.tab()

        self.assertEqual(self.ran(), ["daily"] * 3)
        self.assertEqual(self.row("daily", "last_success"), marked)

    def test_its_own_errors_are_shown_like_any_other(self):
        marked = self.tab("--mark-success=nobody")

        self.assertEqual((marked.returncode, marked.stdout), (1, ""))
        self.assertEqual(marked.stderr.splitlines()[-1], "tab: there is no job 'nobody' to mark")

    def test_file_environment_and_command_line_override_the_defaults(self):
        cases = [
            ([], {}, "", "production", 600),
            ([], {}, "error_retry_time=900", "production", 900),
            ([], {"deployment": "test"}, "", "test", 600),
            (["--deployment=local"], {"deployment": "test"}, "", "local", 600),
        ]
        for arguments, env, extra, deployment, retry in cases:
            with self.subTest(arguments=arguments, env=env, extra=extra):
                self.empty_the_database()
                self.configure("works.Sad|1d", extra)

                tick = self.tab("--logging.stderr_error_logging_level=10", *arguments, **env)

                self.assertRegex(tick.stderr, rf"(?m)^DEBUG hello from {deployment}$")
                after = self.row("sad", "next_run - date_trunc('minute', last_run)").total_seconds()
                self.assertTrue(retry <= after <= retry + 60, after)

    def test_it_has_every_mode_of_crontabber_under_its_own_name(self):
        self.configure("works.Sad|1d")
        self.tab()

        self.assertEqual(self.tab("--version").stdout, "7.5\n")
        self.assertEqual(self.tab("--nagios").stdout, "CRITICAL - sad (Sad) | <class 'ValueError'> | No more tissues\n")
        self.assertEqual(self.tab("--configtest").returncode, 0)
        self.assertIn("App name:       sad\n", self.tab("--list").stdout)
        self.assertEqual(self.tab("--audit-ghosts").stdout, "")
        self.assertRegex(self.tab("--reset-job=works.Sad").stderr, "(?m)^INFO App reset$")

    def test_a_check_of_its_own_is_no_mode(self):
        tick, wrong = self.tab("--check"), self.tab("--check", "--nonsense")

        self.assertEqual((tick.returncode, self.ran()), (0, ["fetch", "digest", "daily"]))
        self.assertEqual((wrong.returncode, wrong.stdout), (1, ""))
        self.assertIn("--nonsense", wrong.stderr)

    def test_the_help_shows_its_own_options_and_those_of_the_jobs(self):
        told = self.tab("--help")
        dumped = self.tab("--admin.dump_conf=all.ini")

        self.assertEqual((told.returncode, dumped.returncode), (0, 0), told.stderr + dumped.stderr)
        for words in ("--mark-success", "--deployment", "--crontabber.class-Fetch.source"):
            self.assertIn(words, told.stdout)
        text = (self.folder / "all.ini").read_text()
        self.assertIn("TransactionExecutorWithLimitedBackoff", text)
        self.assertIn("works.Digest|1d|00:00", text)

    def test_an_application_that_changes_nothing_is_crontabber_under_another_name(self):
        self.configure("works.Fetch|1d")

        tick = self.tab(script="plain.py")

        self.assertEqual((tick.returncode, self.ran()), (0, ["fetch"]), tick.stderr)
        self.assertIn(" INFO - hello from staging\n", tick.stderr)

    def test_crontabbers_own_application_is_unchanged(self):
        self.configure("works.Fetch|1d")
        tell = "import tab; from crontabber.app import CronTabber as C; r = C.get_required_config();"
        tell += " print(r.crontabber.error_retry_time.default, repr(r.crontabber.jobs.default), 'deployment' in r)"

        told = subprocess.run([sys.executable, "-c", tell], env=self.environment(), cwd=self.folder, text=True,
                              capture_output=True, timeout=60, check=False)

        self.assertEqual(told.stdout, "300 '' False\n", told.stderr)
