"""--check: the first line and the exit code in every state, and output that a reader of the guidelines accepts."""

import io
import json
import os
import socket
import sys
import types
import unittest
from contextlib import redirect_stdout
from datetime import datetime, timedelta, timezone
from unittest import mock

from crontabber.mixins import as_backfill_cron_app
from crontabber.rules.measures import CRITICAL, NAMES, TICKS_TO_ALARM, TICKS_TO_WARN, WARNING
from tests.integration.mode_case import NOWHERE, ModeTestCase
from tests.integration.test_application import ApplicationTestCase
from tests.jobs import BasicJob
from tests.plugin_reader import read_plugin
from tests.support import ROOT

NOW = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
LIMIT = 10 * MINUTE + DAY / 4  # of a daily job
LOCK = "SELECT pg_advisory_lock(('x' || left(md5(current_schema() || '.' || %s), 16))::bit(64)::bigint)"
ERROR = {"type": "<class 'ValueError'>", "value": "No more tissues", "traceback": ""}
ELSEWHERE, DEAD = "elsewhere:7", f"{socket.gethostname()}:{2**22 + os.getpid()}"
CHAIN = {name: [before] for before, name in zip("abcd", "bcde", strict=True)}
ONE_JOB = {"foo": "1d"}


def ran(late=-HOUR, failed=0, **columns):
    """Return the row of a daily job that has run, and is due since `late`; it failed so often in a row."""
    columns.setdefault("last_success", NOW - DAY)
    return {
        "first_run": NOW - 9 * DAY, "last_run": NOW - DAY, "next_run": NOW - late, "error_count": failed,
        "last_error": json.dumps(ERROR if failed else {}), **columns,
    }  # fmt: skip


def ongoing(since, owner=None, **columns):
    """Return the row of a job that has been running for `since`."""
    return ran(since, ongoing=NOW - since, owner=owner, **columns)


class State(dict):
    """A state: rows by app_name, and other keys that `prepare` explains."""

    def __init__(self, why, exit_code, summary, rows=(), **more):
        super().__init__(more)
        self.why, self.exit_code, self.summary, self.rows = why, exit_code, summary, dict(rows)


FINE = {"foo": ran()}
STATES = [
    State("no tables, no tick", 2, "no tick yet", no_tables=True),
    State("tables, but no tick", 2, "no tick yet", tick=None),
    State("it never ran", 0, "1 job, 1 never ran"),
    State("its first run is still to come", 0, "1 job, 1 never ran", notes={"foo": ("first_slot", NOW + HOUR)}, jobs={"foo": "1d|13:00"}),
    State("no tick came for its first run", 1, "1 overdue: foo", notes={"foo": ("first_slot", NOW - 7 * HOUR)}, jobs={"foo": "1d|05:00"}),
    State("all is well", 0, "2 jobs", FINE | {"bar": ran()}, jobs={"foo": "1d", "bar": "1d"}),
    State("it has just become due", 0, "1 job", {"foo": ran(MINUTE)}),
    State("a second less than the limit", 0, "1 job", {"foo": ran(LIMIT - SECOND)}),
    State("a second more than the limit", 1, "1 overdue: foo", {"foo": ran(LIMIT + SECOND)}),
    State("overdue for eight days", 1, "1 overdue: foo", {"foo": ran(8 * DAY)}),
    State("a cron expression has no interval", 1, "1 overdue: foo", {"foo": ran(10 * MINUTE + SECOND)}, jobs={"foo": "0 3 * * *"}),
    State("the same, in time", 0, "1 job", {"foo": ran(10 * MINUTE - SECOND)}, jobs={"foo": "0 3 * * *"}),
    State("cron starts crontabber every hour", 0, "1 job", {"foo": ran(7 * HOUR)}, options={"tick_interval": "1h"}),
    State("it failed once", 2, "1 failing: foo", {"foo": ran(failed=1)}),
    State("it failed often, and is due", 2, "1 failing: foo", {"foo": ran(MINUTE, failed=9)}),
    State("a backfill job failed once", 2, "1 failing: back", {"back": ran(failed=1)}, jobs={"back": "1d"}),
    State("nobody retries it", 2, "1 failing, 1 overdue: foo", {"foo": ran(8 * DAY, failed=1)}),
    State("it is retried just now", 2, "1 failing: foo", {"foo": ongoing(MINUTE, ELSEWHERE, failed=2)}, locked="foo"),
    State("it failed as often as it may", 2, "1 gave up: foo", {"foo": ran(failed=3)}, max_errors=3),
    State("it raised GiveUp", 2, "1 gave up: foo", {"foo": ran(failed=1, last_error=json.dumps(ERROR | {"gave_up": True}))}),
    State("paused", 0, "1 job, 1 paused", {"foo": ran(8 * DAY)}, paused="foo"),
    State("paused because it fails", 0, "1 job, 1 paused", {"foo": ran(8 * DAY, failed=9)}, paused="foo"),
    State("held back by a pause", 0, "2 jobs, 1 held back, 1 paused", {"foo": ran(8 * DAY), "bar": ran(8 * DAY)},
          jobs={"foo": "1d", "bar": "1d"}, depends_on={"bar": ["foo"]}, paused="foo"),
    State("held back by a failure", 2, "1 failing: foo", {"foo": ran(failed=1), "bar": ran(8 * DAY)},
          jobs={"foo": "1d", "bar": "1d"}, depends_on={"bar": ["foo"]}),
    State("a chain of five", 2, "1 failing: a", {"a": ran(failed=1)} | {name: ran(8 * DAY) for name in "bcde"},
          jobs=dict.fromkeys("abcde", "1d"), depends_on=CHAIN),
    State("it waits for a job of another configuration", 0, "1 job, 1 held back", {"bar": ran(MINUTE)},
          jobs={"bar": "1d"}, depends_on={"bar": ["foo"]}),
    State("it waits for a job that nobody runs", 1, "1 overdue: bar", {"bar": ran(LIMIT + SECOND)},
          jobs={"bar": "1d"}, depends_on={"bar": ["foo"]}),
    State("ongoing, on this host", 0, "1 job, 1 ongoing", {"foo": ongoing(MINUTE, f"{socket.gethostname()}:{os.getppid()}")}, locked="foo"),
    State("ongoing, on another host", 0, "1 job, 1 ongoing", {"foo": ongoing(MINUTE, ELSEWHERE)}, locked="foo"),
    State("it hangs", 1, "1 overdue: foo", {"foo": ongoing(DAY + LIMIT + SECOND, ELSEWHERE)}, locked="foo"),
    State("it does not hang yet", 0, "1 job, 1 ongoing", {"foo": ongoing(DAY + LIMIT - SECOND, ELSEWHERE)}, locked="foo"),
    State("its process died on another host", 2, "1 failing: foo", {"foo": ongoing(MINUTE, ELSEWHERE)}),
    State("its process died on this host", 2, "1 failing: foo", {"foo": ongoing(MINUTE, DEAD)}),
    State("the original runs it", 0, "1 job, 1 ongoing", {"foo": ongoing(11 * HOUR)}),
    State("the original has died", 2, "1 failing, 1 overdue: foo", {"foo": ongoing(13 * HOUR)}),
    State("dates are outstanding", 0, "1 job", {"back": ran(2 * HOUR, last_success=NOW - 3 * DAY)}, jobs={"back": "1d"}),
    State("a clock was ahead", 1, "1 ahead of time: back", {"back": ran(-400 * DAY, last_success=NOW + 399 * DAY)}, jobs={"back": "1d"}),
    State("somebody has postponed it", 0, "1 job", {"foo": ran(-400 * DAY)}),
    State("cron missed two ticks", 0, "1 job", FINE, tick=14 * MINUTE),
    State("cron missed three ticks", 1, "no tick for 15m", FINE, tick=15 * MINUTE + SECOND),
    State("cron is dead", 2, "no tick for 30m", FINE, tick=30 * MINUTE + SECOND),
    State("a job keeps the next tick waiting", 0, "1 job, 1 ongoing", {"foo": ongoing(HOUR, ELSEWHERE)}, locked="foo", tick=HOUR),
    State("nobody can know of ticks", 0, "1 job", FINE, no_hosts=True),
    State("no jobs", 1, "no jobs are configured", jobs={}),
    State("some failures are allowed", 0, "1 job, 1 failing", {"foo": ran(failed=1)}, critical="failing=1"),
    State("some failures are only a warning", 1, "1 failing: foo", {"foo": ran(failed=1)}, critical="failing=1", warning="failing=0"),
    State("no failure is worth anything", 0, "1 job, 1 failing", {"foo": ran(failed=1)}, critical="failing="),
    State("pauses are not wanted", 1, "1 paused: foo", {"foo": ran()}, paused="foo", warning="paused=0"),
    State("a range that alerts within", 2, "1 job", FINE, critical="jobs=@1:5"),
    State("an old success", 1, "oldest success 1d ago: foo", FINE, warning="oldest_success=86399"),
    State("a long run", 2, "longest run 1h 1m: foo", {"foo": ongoing(HOUR + MINUTE, ELSEWHERE)}, locked="foo", critical="longest_run=3600"),
    State("many dates", 1, "3 outstanding dates: back", {"back": ran(2 * HOUR, last_success=NOW - 3 * DAY)}, jobs={"back": "1d"},
          warning="outstanding_dates=2"),
    State("an odd name", 2, "1 failing: a / b c", {"a | b\nc": ran(failed=1)}, jobs={"a | b\nc": "1d"}),
    State("many failures", 2, "12 failing: " + ", ".join("abcdefghij") + " and 2 more", {name: ran(failed=1) for name in "abcdefghijkl"},
          jobs=dict.fromkeys("abcdefghijkl", "1d")),
]  # fmt: skip


class TestStates(ApplicationTestCase):
    def setUp(self):
        super().setUp()
        self.module = sys.modules["states"] = types.ModuleType("states")
        self.addCleanup(sys.modules.pop, "states")
        self.other = self.connect()
        self.addCleanup(self.other.close)

    def test_each_state_has_its_line_and_its_exit_code(self):
        for state in STATES:
            with self.subTest(state.why):
                exit_code, text = self.check(state)

                output = read_plugin(text)
                self.assertEqual((exit_code, output.summary), (state.exit_code, state.summary), text)
                known = 2 if "no tick yet" in text else output.severity()
                self.assertEqual((exit_code, exit_code), (known, ["OK", "WARNING", "CRITICAL"].index(output.word)))

    def test_the_long_text_says_why(self):
        for why, lines in (
            ("overdue for eight days", ["overdue: foo: the next tick runs it"]),
            ("it failed once", ["failing: foo: failed once (ValueError); last error: No more tissues"]),
            ("it is retried just now", ["ongoing: foo: failed 2 times in a row (ValueError); it is already running since"
                                        " 2026-03-01 11:59 (elsewhere:7); last error: No more tissues"]),
            ("a chain of five", ["failing: a: failed once (ValueError); last error: No more tissues",
                                 *(f"held back: {name}: its dependency '{before}' {why}" for before, name, why in
                                   (("a", "b", "errored last time"), *((b, n, "has not run recently") for b, n in zip("bcd", "cde", strict=True))))]),
            ("a clock was ahead", [f"back is done up to {(NOW + 399 * DAY).astimezone():%Y-%m-%d %H:%M:%S %Z}, which is still to come: a clock was ahead,"
                                   " and it runs for no date before that. To run those that are still to come once more:"
                                   " --rewind=back --to=2026-03-02T12:00+00:00"]),
            ("somebody has postponed it", ["postponed: foo: its next run is planned for 2027-04-05 12:00, later than its schedule says"]),
            ("an odd name", ["failing: a / b c: failed once (ValueError); last error: No more tissues"]),
        ):  # fmt: skip
            with self.subTest(why):
                _, text = self.check(next(state for state in STATES if state.why == why))

                *details, last_tick = read_plugin(text).details
                self.assertEqual(details, lines)
                self.assertRegex(last_tick, r"\Alast tick: \d{4}-\d\d-\d\d \d\d:\d\d on here \(\d.*s ago; times in Etc/UTC\)\Z")

    def test_every_value_is_in_the_performance_data(self):
        state = State("", 2, "", {
            "foo": ran(failed=1), "bar": ran(8 * DAY), "back": ran(2 * HOUR, last_success=NOW - 3 * DAY),
            "run": ongoing(HOUR, ELSEWHERE),
        }, jobs={"foo": "1d", "bar": "1d", "back": "1d", "run": "1d", "new": "1d"}, depends_on={"bar": ["foo"]}, locked="run")  # fmt: skip

        _, text = self.check(state)

        data = {name: datum.value for name, datum in read_plugin(text).data.items()}
        self.assertEqual(data, {
            "jobs": 5, "broken": 0, "failing": 1, "gave_up": 0, "overdue": 0, "held_back": 1, "paused": 0, "ongoing": 1,
            "never_ran": 1, "ahead": 0, "outstanding_dates": 3, "oldest_success": 3 * 86400, "longest_run": 3600, "tick_age": 0,
        })  # fmt: skip
        self.assertIn(" failing=1;;0 ", text)
        self.assertIn(" oldest_success=259200s longest_run=3600s tick_age=0s;900;1800\n", text)

    def test_a_long_text_is_cut(self):
        names = [f"job-{number}" for number in range(500)]
        rows = {name: ran(failed=1, last_error=json.dumps(ERROR | {"value": "x" * 2000})) for name in names}

        _, text = self.check(State("", 2, "", rows, jobs=dict.fromkeys(names, "1d")))

        self.assertLess(len(text), 8192)
        details = read_plugin(text).details
        self.assertEqual((len(details), details[-1]), (21, "... and 481 more: see --status"))

    def check(self, state):
        """Make the state. Return the exit code and the text of a check at NOW."""
        self.prepare(state)
        jobs = state.get("jobs", ONE_JOB)
        setting = "\n".join(f"states.Job{number}|{schedule}" for number, schedule in enumerate(jobs.values()))
        options = {f"crontabber.{name}": value for name, value in state.get("options", {}).items()}
        tab = self.application(setting, **options)
        tab.config["check"] = True
        for name in ("warning", "critical"):
            tab.config[name] = state.get(name)
        with mock.patch("crontabber.app.utc_now", lambda: NOW), redirect_stdout(io.StringIO()) as stdout:
            exit_code = tab.main()
        return exit_code, stdout.getvalue()

    def prepare(self, state):
        """Make the classes, tables, rows, notes and locks.

        `jobs` has the schedule of each job; one whose name begins with `back` is a backfill job. `tick` is how long the
        last tick is ago; `locked` and `paused` name a job.
        """
        for number, name in enumerate(state.get("jobs", ONE_JOB)):
            members = {
                "app_name": name, "depends_on": state.get("depends_on", {}).get(name), "run": lambda self, *date: None,
                "__module__": "states", "policy": {"max_errors": state.get("max_errors", 0)},
            }  # fmt: skip
            job_class = type(f"Job{number}", (BasicJob,), members)
            setattr(self.module, f"Job{number}", as_backfill_cron_app(job_class) if name.startswith("back") else job_class)
        self.empty_the_database()
        if not state.get("no_tables"):
            self.application("").job_state_database.close()
            self.fill(state)

    def fill(self, state):
        for name, row in state.rows.items():
            columns = ", ".join(row)
            self.sql(f"INSERT INTO crontabber (app_name, {columns}) VALUES (%s{', %s' * len(row)})", [name, *row.values()])
        for name, (column, value) in state.get("notes", {}).items():
            self.sql(f"INSERT INTO crontabber_job (app_name, {column}) VALUES (%s, %s)", (name, value))
        if name := state.get("paused"):
            self.sql("INSERT INTO crontabber_job (app_name, paused_at) VALUES (%s, now())", (name,))
        if (age := state.get("tick", timedelta(0))) is not None:
            self.sql("INSERT INTO crontabber_host VALUES ('here', clock_timestamp() - %s, '1')", (age,))
        if state.get("no_hosts"):
            self.sql("DROP TABLE crontabber_host")
        with self.other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_all()")
            if name := state.get("locked"):
                cursor.execute(LOCK, (name,))


class TestCommand(ModeTestCase):
    """The real command: what can be wrong with a check itself."""

    def checked(self, *arguments, **env):
        """Return the exit code and what was printed; nothing may be on stderr."""
        process = self.crontabber("--check", *arguments, **env)
        self.assertEqual(process.stderr, "")
        return process.returncode, process.stdout

    def test_without_a_database_it_is_critical(self):
        self.ini("nightly.Foo|1d", connection=NOWHERE)

        exit_code, text = self.checked()

        self.assertEqual((exit_code, len(text.splitlines())), (2, 1))
        self.assertIn("state database: connection to server at", read_plugin(text).summary)

    def test_a_configuration_that_cannot_be_read_is_unknown(self):
        for arguments, said in (
            (["--crontabber.workers=x"], "crontabber.workers is 'x'"),
            (["--list-jobs"], "--list-jobs and --check cannot be combined: choose one"),
            (["--warning=faling=0"], "'faling=0' is not a threshold: expected NAME=RANGE, with one of jobs, broken,"),
            (["--critical=failing=2:1"], "'2:1' is not a range: expected one such as 10, 10:, ~:10, 10:20 or @10:20"),
            (["--crontabber.tick_interval=often"], "expected a duration such as 5m, more than 0"),
            (["--nonsense"], "--nonsense"),
        ):
            with self.subTest(arguments):
                self.ini("nightly.Foo|1d", connection=NOWHERE)

                exit_code, text = self.checked(*arguments)

                self.assertEqual((exit_code, len(text.splitlines())), (3, 1))
                output = read_plugin(text)
                self.assertEqual((output.word, output.data), ("UNKNOWN", {}))
                self.assertIn(said, output.summary)

    def test_it_prints_nothing_but_its_answer_whatever_a_job_module_prints(self):
        self.write_module("chatty", "import sys, nightly\nprint('hello')\nprint('hello', file=sys.stderr)\nclass Chatty(nightly.Foo):\n    app_name = 'chatty'\n")
        self.ini("chatty.Chatty|1d", extra="surprise=1")
        self.crontabber()

        exit_code, text = self.checked()

        self.assertEqual((exit_code, read_plugin(text).summary), (0, "1 job"))

    def test_a_broken_entry_is_critical_and_says_what_it_holds_back(self):
        self.ini("nightly.Foo|1x\nnightly.Bar|1d\nnightly.Gone|1d")
        self.crontabber()

        exit_code, text = self.checked()

        output = read_plugin(text)
        self.assertEqual((exit_code, output.summary, output.data["held_back"].value), (2, "2 broken: foo, nightly.Gone", 1))
        self.assertEqual([line[:60] for line in output.details[:3]], [
            "broken: jobs: nightly.Foo: '1x' is not a valid frequency: exp"[:60],
            "broken: jobs: nightly.Gone: module nightly has no class 'Gone'"[:60],
            "held back: bar: it depends on 'foo', whose entry in the setting"[:60],
        ])  # fmt: skip

    def test_a_role_that_may_only_select_sees_the_same(self):
        self.ini("nightly.Foo|1d\nnightly.Sad|1d")
        self.crontabber()
        expected = read_plugin(self.checked()[1])
        self.ini("nightly.Foo|1d\nnightly.Sad|1d", connection=self.reader())

        exit_code, text = self.checked()

        self.assertEqual((exit_code, read_plugin(text).summary), (2, expected.summary))
        self.assertIsNotNone(read_plugin(text).data["tick_age"].value)

    def test_a_role_that_may_not_read_the_heartbeats_is_told_how_it_may(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()
        self.ini("nightly.Foo|1d", connection=self.reader())
        self.sql("REVOKE ALL ON crontabber_host FROM crontabber_reader")

        exit_code, text = self.checked()

        output = read_plugin(text)
        self.assertEqual((exit_code, output.summary, output.data["tick_age"].value), (0, "1 job", None))
        self.assertIn("This role may not read the table crontabber_host: nothing tells whether cron still starts", text)
        self.sql("REVOKE ALL ON crontabber_job FROM crontabber_reader")
        said = self.crontabber("--status").stdout
        for table in ("crontabber_host", "crontabber_job"):
            self.assertIn(f"GRANT SELECT ON {table} TO crontabber_reader;\n", said)

    def test_what_the_next_tick_adds_is_not_reported_as_lacking(self):
        self.ini("nightly.Foo|1d\nnightly.Sad|1d")
        self.crontabber()
        self.sql("DROP TABLE crontabber_job, crontabber_host; ALTER TABLE crontabber DROP COLUMN owner")

        exit_code, text = self.checked()

        output = read_plugin(text)
        self.assertEqual((exit_code, output.summary), (2, "1 failing: sad"))
        self.assertEqual([line.partition(":")[0] for line in output.details], ["failing"])
        self.assertEqual(self.sql("SELECT to_regclass('crontabber_host')"), [(None,)])

    def test_as_json_it_has_the_verdict_the_measures_and_the_jobs(self):
        self.ini("nightly.Foo|1d\nnightly.Sad|1d")
        self.crontabber()

        exit_code, text = self.checked("--format=json", "--critical=failing=5", "--warning=failing=0")

        check = json.loads(text)["check"]
        self.assertEqual((exit_code, check["exit_code"], check["status"], check["summary"]), (1, 1, "warning", "1 failing: sad"))
        (failing,) = (measure for measure in check["measures"] if measure["name"] == "failing")
        self.assertEqual(failing, {
            "name": "failing", "value": 1, "unit": None, "warning": "0", "critical": "5", "status": "warning", "app_names": ["sad"],
        })  # fmt: skip
        self.assertEqual([(job["app_name"], job["state"]) for job in check["jobs"]], [("foo", "ok"), ("sad", "failing")])
        self.assertNotIn("tissues", text)

    def test_a_check_that_fails_is_json_too(self):
        for ini, exit_code, status in (({"connection": NOWHERE}, 2, "critical"), ({"workers": "x"}, 3, "unknown")):
            with self.subTest(status):
                self.ini("nightly.Foo|1d", **ini)

                code, text = self.checked("--format=json")

                check = json.loads(text)["check"]
                self.assertEqual((code, check["exit_code"], check["status"]), (exit_code, exit_code, status))


class TestPage(unittest.TestCase):
    def test_the_page_has_every_measure_and_its_thresholds(self):
        page = (ROOT / "docs/user/nagios.rst").read_text("utf-8")
        table = page.partition("Measure  ")[2].partition("\nThe states of jobs")[0]
        rows = [
            tuple(line[start:end].strip(" `") for start, end in ((0, 22), (24, 31), (33, 41)))
            for line in table.splitlines()
            if line.startswith("``")
        ]

        ours = [(name, WARNING.get(name, ""), CRITICAL.get(name, "")) for name in NAMES[:-1]]
        ours.append(("tick_age", f"{TICKS_TO_WARN} ticks", f"{TICKS_TO_ALARM} ticks"))
        self.assertEqual(rows, ours)
