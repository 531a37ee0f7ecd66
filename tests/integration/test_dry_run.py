"""Whatever --dry-run says is what the tick then does, and it changes nothing."""

import gc
import io
import json
import os
import socket
import sys
import types
from contextlib import contextmanager, redirect_stdout
from datetime import datetime, timedelta, timezone
from itertools import groupby
from unittest import mock

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crontabber.mixins import as_backfill_cron_app
from crontabber.rules.job_state import claim_time
from tests.integration.mode_case import ModeTestCase
from tests.integration.test_application import ApplicationTestCase
from tests.jobs import BasicJob

# Later than the server's clock: a tick goes by the later one of the two.
NOW = datetime(2090, 3, 1, 12, 2, 30, tzinfo=timezone.utc)
NAMES = ["a", "b", "c", "d", "e"]
SCHEDULES = ["1d", "12h", "1d|03:00", "1d|23:58", "7d|12:00", "1d|12:02"]
TABLES = ("crontabber", "crontabber_job", "crontabber_log")
LOCK = "SELECT pg_advisory_lock(('x' || left(md5(current_schema() || '.' || %s), 16))::bit(64)::bigint)"

offsets = st.sampled_from([timedelta(days=-3), timedelta(minutes=-1), timedelta(0), timedelta(minutes=1), timedelta(days=2)])


@st.composite
def rows(draw):
    """Return the values of a job's row, or None for a job that has none."""
    if draw(st.integers(0, 4)) == 0:
        return None
    ago = draw(st.sampled_from([timedelta(days=4), timedelta(hours=13), timedelta(days=-300)]))
    row = {
        "next_run": draw(st.sampled_from([None, *(NOW + offset for offset in offsets.elements)])),
        "last_run": NOW - ago, "first_run": NOW - timedelta(days=500), "last_success": draw(st.sampled_from([None, NOW - abs(ago)])),
        "error_count": draw(st.sampled_from([0, 0, 0, 1, 3])), "ongoing": None, "owner": None,
    }  # fmt: skip
    if draw(st.integers(0, 3)) == 0:
        row["ongoing"] = NOW - timedelta(minutes=draw(st.sampled_from([1, 2000])))
        row["owner"] = draw(st.sampled_from([None, f"{socket.gethostname()}:{2**22 + os.getpid()}"]))
        if row["owner"] and draw(st.booleans()):
            row["owner"] += f"@{claim_time(row['ongoing'])}"
    return row


@st.composite
def situations(draw):
    """Return for each job: its schedule, dependencies, row, whether it is a backfill job, paused, locked."""
    return {
        name: (
            draw(st.sampled_from(SCHEDULES)), draw(st.lists(st.sampled_from([*NAMES[:position], "foreign"]), max_size=2, unique=True)),
            draw(rows()), draw(st.booleans()), draw(st.integers(0, 6)) == 0, draw(st.booleans()),
        )
        for position, name in enumerate(NAMES)
    }  # fmt: skip


class TestProperty(ApplicationTestCase):
    examples = 12

    def setUp(self):
        super().setUp()
        self.module = sys.modules["planned_jobs"] = types.ModuleType("planned_jobs")
        self.addCleanup(sys.modules.pop, "planned_jobs")
        with self.at_noon():
            self.application("tests.jobs.FooJob|1d").run_all()
        self.elsewhere = self.connect()
        self.addCleanup(self.elsewhere.close)

    def test_the_tick_does_what_the_dry_run_says(self):
        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(situations())
        def check(situation):
            self.check(situation)
            gc.collect()  # with their connections

        check()

    def check(self, situation):
        jobs = self.prepare(situation)
        before = self.contents()

        foretold = self.dry_run(jobs)

        self.assertEqual(self.contents(), before)
        with self.at_noon():
            self.application(jobs).run_all()
        runs = self.sql("SELECT app_name FROM crontabber_log WHERE exc_type IS NULL ORDER BY id")
        deaths = self.sql("SELECT app_name FROM crontabber_log WHERE exc_type IS NOT NULL ORDER BY id")
        self.assertEqual([(name, len(list(group))) for (name,), group in groupby(runs)], [
            (step["app_name"], number) for step in foretold if step["runs"] and (number := self.number_of_runs(step, situation))
        ])  # fmt: skip
        self.assertEqual([name for name, in deaths], [step["app_name"] for step in foretold if step["owner_died"]])

    def number_of_runs(self, step, situation):
        """Return how many rows the log gets: a backfill job without `next_run` may have no date."""
        is_backfill = situation[step["app_name"]][3]
        return (step["outstanding"] or {"number": 0})["number"] if is_backfill else 1

    def prepare(self, situation):
        """Make the jobs and the rows. Return the setting."""
        self.sql(f"TRUNCATE {', '.join(TABLES)}")
        with self.elsewhere.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock_all()")
            for name, (_, depends_on, row, is_backfill, is_paused, is_locked) in situation.items():
                policy = {"max_errors": 3}
                job_class = type(f"Job_{name}", (BasicJob,), {
                    "app_name": name, "depends_on": depends_on, "policy": policy, "run": lambda self, *date: None, "__module__": "planned_jobs",
                })  # fmt: skip
                setattr(self.module, job_class.__name__, as_backfill_cron_app(job_class) if is_backfill else job_class)
                if row:
                    self.sql(f"INSERT INTO crontabber (app_name, {', '.join(row)}, last_error) VALUES (%s{', %s' * len(row)}, '{{}}')", [name, *row.values()])
                    if row["ongoing"] and row["owner"] and is_locked:
                        cursor.execute(LOCK, (name,))
                if is_paused:
                    self.sql("INSERT INTO crontabber_job (app_name, paused_at) VALUES (%s, now())", (name,))
        return "\n".join(f"planned_jobs.Job_{name}|{schedule}" for name, (schedule, *_) in situation.items())

    def dry_run(self, jobs):
        tab = self.application(jobs)
        tab.config["dry-run"], tab.config["format"] = True, "json"
        with self.at_noon(), redirect_stdout(io.StringIO()) as stdout:
            self.assertEqual(tab.main(), 0)
        return json.loads(stdout.getvalue())["steps"]

    @contextmanager
    def at_noon(self):
        with mock.patch("crontabber.app.utc_now", lambda: NOW), mock.patch("crontabber.base.utc_now", lambda: NOW):
            yield

    def contents(self):
        return [self.sql(f"SELECT * FROM {table} ORDER BY app_name") for table in TABLES[:2]]


class TestDryRun(ModeTestCase):
    def test_it_says_in_order_what_a_tick_would_do(self):
        self.ini("nightly.Foo|1d\nnightly.Bar|1d\nnightly.Back|1d\nnightly.SadChild|1d")

        dry = self.crontabber("--dry-run")

        self.assertEqual((dry.returncode, dry.stderr, self.ran()), (0, "", []))
        self.assertRegex(dry.stdout, (
            r"\Aback would run for \d{4}-\d\d-\d\d \d\d:\d\d\nfoo would run\n"
            r"sad-child would not run: its dependency 'sad' has not run yet, and is not configured here\nbar would run\n\Z"
        ))  # fmt: skip
        self.assertEqual(self.sql("SELECT to_regclass('crontabber')"), [(None,)])

    def test_it_says_which_dates_catchup_skips(self):
        for catchup, dates in (("2", "2 dates, {1} 00:00 to {0} 00:00"), ("latest", "{0} 00:00")):
            with self.subTest(catchup):
                self.ini("nightly.Back|1d|00:00", extra=f"[[policy]]\ncatchup={catchup}")
                self.crontabber()
                newest = self.row("back", "last_success")
                self.sql("UPDATE crontabber SET last_success = last_success - interval '5 days', next_run = now() - interval '5 days'")
                newer, older, oldest = (newest - timedelta(days=each) for each in (1, 2, 4))
                last_skipped = older if catchup == "2" else newer

                dry, explained = self.crontabber("--dry-run"), self.crontabber("--explain=back")

                said = dates.format(newest.date(), newer.date())
                skips = f"{oldest.date()} 00:00 to {last_skipped.date()} 00:00"
                self.assertEqual(dry.stdout, f"back would run for {said}; it would skip those from {skips}\n")
                self.assertRegex(explained.stdout, rf"skipped, by catchup=[12]: those up to {last_skipped.date()} 00:00\n")
                self.ran()
                tick = self.crontabber()
                self.assertIn(f"back skips its dates from {oldest.date()} 00:00:00", tick.stderr)
                self.assertEqual(len(self.ran()), 2 if catchup == "2" else 1)

    def test_it_says_what_is_next_if_nothing_is_due(self):
        self.ini("nightly.Foo|1d")
        self.crontabber()

        dry = self.crontabber("--dry-run")

        self.assertRegex(dry.stdout, r"\ANothing would run: nothing is due. Next: foo at \d{4}-\d\d-\d\d \d\d:\d\d \(Etc/UTC\)\n\Z")

    def test_it_answers_for_job_and_force_too(self):
        self.ini("nightly.Foo|1d\nnightly.Bar|1d\nnightly.Back|1d")
        self.crontabber()
        self.due("bar")
        self.sql("UPDATE crontabber SET error_count = 1 WHERE app_name = 'foo'")
        self.ran()

        for arguments, answer in (
            (("--job=bar",), "bar would not run: its dependency 'foo' errored last time\n"),
            (("--job=nightly.Bar", "--force"), "bar would run\n"),
            (("--job=back",), "back is a backfill job: --job does not run it\n"),
        ):
            with self.subTest(arguments):
                self.assert_said(self.crontabber("--dry-run", *arguments), 0, answer)
        self.assertEqual(self.ran(), [])

    def test_a_role_that_may_only_select_can_use_it(self):
        self.ini("nightly.Foo|1d\nnightly.Back|1d")
        self.crontabber()
        self.due("foo")
        self.ini("nightly.Foo|1d\nnightly.Back|1d", connection=self.reader())

        self.assert_said(self.crontabber("--dry-run"), 0, "foo would run\n")
