"""One tick after another, by real processes on a real server."""

import json
import re
import signal
from datetime import datetime, timedelta, timezone

from tests.integration.faulty_proxy import FaultyProxy
from tests.support import DatabaseTestCase, connection_options

JOBS = """
from configman import Namespace
from tests.jobs import Noting, note


class First(Noting):
    app_name = "first"


class Second(Noting):
    app_name = "second"
    depends_on = ("first",)


class Third(Noting):
    app_name = "third"
    depends_on = "second"


class Sad(Noting):
    app_name = "sad"

    def run(self):
        super().run()
        raise ValueError("No more tissues")


class SadChild(Noting):
    app_name = "sad-child"
    depends_on = ["sad"]


class Orphan(Noting):
    app_name = "orphan"
    depends_on = "elsewhere"


class Sleepy(Noting):
    app_name = "sleepy"

    def run(self):
        import time
        super().run()
        open("sleeping", "w").close()
        time.sleep(30)


def spelled(text):
    return [letter.upper() for letter in text]


class Configured(Noting):
    app_name = "configured"
    required_config = Namespace()
    required_config.add_option("greeting", default="from the code", doc="what to say: 100% of it")
    required_config.add_option("letters", default="ab", from_string_converter=spelled, doc="a converter of the job's own")

    def run(self):
        note("%s %r" % (self.config.greeting, self.config.letters))
"""


class TickTestCase(DatabaseTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("nightly", JOBS)


class TestTick(TickTestCase):
    def test_it_runs_what_is_due_in_order_and_nothing_the_second_time(self):
        self.ini("nightly.Third|1h\nnightly.Second|1d\nnightly.First|5m")

        first = self.crontabber()
        second = self.crontabber()

        self.assertEqual((first.returncode, second.returncode), (0, 0), first.stderr)
        self.assertEqual(self.ran(), ["first", "second", "third"])
        self.assertEqual((second.stdout, second.stderr), ("", ""))
        rows = self.sql("SELECT app_name, error_count, last_error::text, depends_on, ongoing, owner,"
                        " first_run = last_run, last_run <= last_success, next_run > now() FROM crontabber ORDER BY 1")
        self.assertEqual(rows, [
            ("first", 0, "{}", [], None, None, True, True, True),
            ("second", 0, "{}", ["first"], None, None, True, True, True),
            ("third", 0, "{}", ["second"], None, None, True, True, True),
        ])
        self.assertEqual(self.sql("SELECT app_name, success IS NOT NULL, exc_type FROM crontabber_log ORDER BY id"),
                         [("first", True, None), ("second", True, None), ("third", True, None)])

    def test_each_run_is_one_line_with_its_duration_and_next_run(self):
        self.ini("nightly.First|5m")
        self.crontabber()
        self.due("first")

        tick = self.crontabber()

        self.assertRegex(tick.stderr, r"\A[\d-]+ [\d:,]+ \S+ INFO - first ran in 0\.\d s; next run at [\d-]+ [\d:]+ \S+\n\Z")

    def test_all_times_in_the_log_are_in_the_zone_of_the_host_and_name_it(self):
        self.ini("nightly.First|5m")

        tick = self.crontabber(TZ="Asia/Tokyo")

        said = re.fullmatch(r"([\d-]+ [\d:]+),\d+ JST INFO - first ran in .* s; next run at (.*) JST", tick.stderr.splitlines()[-1])
        logged, next_run = (datetime.fromisoformat(f"{text}+09:00") for text in said.groups())
        self.assertEqual(self.row("first", "next_run"), next_run)
        self.assertLess(abs(logged - self.row("first", "last_run")), timedelta(minutes=1))

    def test_an_own_format_is_used_as_it_is_and_may_name_the_zone(self):
        self.ini("nightly.First|5m")
        self.crontabber()
        for form, said in (
            ("{asctime} {levelname} - {message}", r"\A[\d-]+ [\d:]+,\d+ INFO - first ran in "),
            ("%(zone)s %(levelname)s", r"\AUTC INFO\n\Z"),
        ):
            with self.subTest(form):
                self.due("first")

                tick = self.crontabber(f"--logging.stderr_line_format_string={form}", TZ="UTC")

                self.assertRegex(tick.stderr, said)

    def test_a_failure_is_recorded_logged_and_retried_and_holds_back_its_child(self):
        self.ini("nightly.SadChild|1d\nnightly.Sad|1d\nnightly.First|1d")
        before = datetime.now(timezone.utc)

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0)
        self.assertEqual(self.ran(), ["first", "sad"])
        error_count, last_error, last_success, next_run = self.row(
            "sad", "error_count", "last_error", "last_success", "next_run")
        self.assertEqual((error_count, last_error["type"], last_error["value"], last_success),
                         (1, "<class 'ValueError'>", "No more tissues", None))
        self.assertRegex(last_error["traceback"], r'\A  File ".*nightly.py", line \d+, in run')
        self.assertTrue(before + timedelta(minutes=4) <= next_run <= before + timedelta(minutes=6), next_run)
        self.assertIsNone(self.row("sad-child", "app_name"))
        self.assertIn("ERROR - sad failed", tick.stderr)
        self.assertIn("\n<class 'ValueError'>: No more tissues\n", tick.stderr)
        self.assertIn("sad-child is held back: its dependency 'sad' errored last time", tick.stderr)
        self.assertEqual(self.sql("SELECT exc_type, exc_value FROM crontabber_log WHERE app_name = 'sad'"),
                         [("<class 'ValueError'>", "ValueError('No more tissues')")])

    def test_failures_are_counted_until_a_success_clears_them(self):
        self.ini("nightly.Sad|1d")
        for count in (1, 2, 3):
            self.crontabber()
            self.assertEqual(self.row("sad", "error_count"), count)
            self.due("sad")
        self.write_module("nightly", JOBS.replace('raise ValueError("No more tissues")', "pass"))

        self.crontabber()

        self.assertEqual(self.row("sad", "error_count", "last_error"), (0, {}))

    def test_an_unconfigured_dependency_holds_back_a_job_until_it_has_run(self):
        self.ini("nightly.Orphan|1d")

        tick = self.crontabber()
        self.assertEqual((tick.returncode, self.ran()), (0, []))
        self.assertIn("WARNING - orphan is held back: its dependency 'elsewhere' has not run yet", tick.stderr)

        self.sql("INSERT INTO crontabber (app_name, last_run, last_success, next_run, error_count)"
                 " VALUES ('elsewhere', now(), now(), now() + interval '1 hour', 0)")
        self.crontabber()
        self.assertEqual(self.ran(), ["orphan"])

    def test_no_jobs_is_a_warning_and_not_a_fault(self):
        self.ini("")
        warning = "WARNING - No jobs are configured, so nothing runs: check --admin.conf, and that `jobs` is in [crontabber]\n"
        for mode, said in ((), warning), (("--configtest",), warning), (("--list-jobs",), "INFO - No jobs are configured.\n"):
            with self.subTest(mode):
                tick = self.crontabber(*mode)

                self.assertEqual((tick.returncode, tick.stdout, tick.stderr.split(" ", 3)[3]), (0, "", said))

    def test_jobs_that_the_file_format_turns_into_a_list_still_run(self):
        entries = ["nightly.First|1d", "nightly.Second|1d"]
        server = {"postgresql": connection_options()}
        (self.folder / "crontabber.json").write_text(json.dumps({"resource": server, "crontabber": {"jobs": entries}}))
        unquoted = self.ini("")
        unquoted.write_text(unquoted.read_text().replace("jobs=''''''", f"jobs={', '.join(entries)}"))
        for name in ("crontabber.ini", "crontabber.json"):
            with self.subTest(name):
                self.empty_the_database()

                tick = self.crontabber(ini=name)

                self.assertEqual((tick.returncode, self.ran()), (0, ["first", "second"]), tick.stderr)


class TestJobAndForce(TickTestCase):
    def test_job_runs_one_job_if_it_is_due(self):
        self.ini("nightly.First|1d\nnightly.Second|1d")

        for description in ("first", "nightly.First"):
            self.crontabber(f"--job={description}")

        self.assertEqual(self.ran(), ["first"])

    def test_force_runs_a_job_that_is_not_due_or_is_held_back(self):
        self.ini("nightly.First|1d\nnightly.SadChild|1d")
        self.crontabber("--job=first")

        self.crontabber("--job=first", "--force")
        self.crontabber("--job=sad-child", "--force")

        self.assertEqual(self.ran(), ["first", "first", "sad-child"])

    def test_an_unknown_job_is_an_error_that_names_the_nearest(self):
        self.ini("nightly.First|1d")

        tick = self.crontabber("--job=frist")

        self.assertEqual((tick.returncode, tick.stdout, tick.stderr),
                         (1, "", "crontabber: unknown job 'frist': did you mean first?\n"))


class TestOptions(TickTestCase):
    def test_the_later_source_wins_file_environment_command_line(self):
        jobs = "nightly.Configured|1d"
        option = "crontabber.class-Configured.greeting"
        section = "[[class-Configured]]\ngreeting=from the file\nletters=xy"
        cases = [
            (dict(extra=""), {}, [], "from the code ['A', 'B']"),
            (dict(extra=section), {}, [], "from the file ['X', 'Y']"),
            (dict(extra=section), {option: "from the environment"}, [], "from the environment ['X', 'Y']"),
            (dict(extra=section), {option: "from the environment"}, [f"--{option}=from the command line"],
             "from the command line ['X', 'Y']"),
        ]
        for file, env, arguments, wanted in cases:
            with self.subTest(wanted):
                self.ini(jobs, **file)
                tick = self.crontabber("--job=configured", "--force", *arguments, **env)
                self.assertEqual(self.ran(), [wanted], tick.stderr)

    def test_help_and_print_conf_work_with_such_jobs(self):
        self.ini("nightly.Configured|1d")

        told = self.crontabber("--help")
        printed = self.crontabber("--admin.print_conf=ini")

        self.assertEqual((told.returncode, printed.returncode), (0, 0), told.stderr + printed.stderr)
        self.assertIn("--crontabber.class-Configured.greeting\n    what to say: 100% of it\n", told.stdout)
        self.assertIn("#greeting=from the code\n", printed.stdout)


class TestStatements(TickTestCase):
    """Counted on their way to the server."""

    def traffic(self, jobs):
        with FaultyProxy(connection_options()) as proxy:
            self.ini(jobs, connection=proxy.options)
            tick = self.crontabber()
            self.assertEqual((tick.returncode, tick.stderr.count("ERROR")), (0, 0), tick.stderr)
        return proxy

    def test_an_idle_tick_takes_one_connection_and_at_most_4_statements(self):
        jobs = "nightly.First|1d\nnightly.Second|1d\nnightly.Third|1d"
        self.traffic(jobs)

        idle = self.traffic(jobs)

        self.assertEqual(idle.connections, 1)
        self.assertLessEqual(len(idle.statements), 4, idle.statements)

    def test_a_job_costs_at_most_8_statements(self):
        jobs = "nightly.First|1d\nnightly.Second|1d\nnightly.Third|1d"
        self.traffic(jobs)
        idle = len(self.traffic(jobs).statements)
        self.due("first", "second", "third")

        due = self.traffic(jobs)

        self.assertEqual(self.ran(), ["first", "second", "third"] * 2)
        self.assertLessEqual(len(due.statements) - idle, 3 * 8, due.statements)


class TestKill(TickTestCase):
    def test_after_a_kill_the_tick_names_the_owner_and_runs_the_job(self):
        self.ini("nightly.Sleepy|1d")
        process = self.start()
        self.wait_for("sleeping")
        owner = self.row("sleepy", "owner")
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.write_module("nightly", JOBS.replace("time.sleep(30)", "pass"))

        tick = self.crontabber()

        self.assertEqual(tick.returncode, 0)
        self.assertEqual(self.ran(), ["sleepy", "sleepy"])
        host, pid = owner.partition("/")[0].rsplit(":", 1)
        self.assertEqual(pid, str(process.pid))
        self.assertIn(f"WARNING - sleepy: process {pid} on {host}, which had been running it since ", tick.stderr)
        log = self.sql("SELECT exc_type, exc_value FROM crontabber_log ORDER BY id")
        self.assertEqual([bool(re.search("OwnerDiedError", row[0] or "")) for row in log], [True, False])
        self.assertIn(f"process {pid} on {host}", log[0][1])
        self.assertEqual(self.row("sleepy", "ongoing", "owner", "error_count"), (None, None, 0))
