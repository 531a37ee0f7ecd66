"""Random histories of jobs that an operator pauses, reruns, marks, rewinds and reschedules: the docs promise each run."""

import gc
import io
import sys
import types
from contextlib import redirect_stdout
from datetime import datetime, time, timedelta, timezone
from unittest import mock
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crontabber.errors import CrontabberError
from crontabber.mixins import as_backfill_cron_app
from tests import control_model, date_model
from tests.integration.test_application import ApplicationTestCase
from tests.jobs import BasicJob

# Later than the server's clock: a tick goes by the later one of the two. In the night to the 26th, Berlin loses an hour.
BEGIN = datetime(2090, 3, 24, 12, 0, 30, tzinfo=timezone.utc)
ZONES = ["UTC", "Europe/Berlin", "America/New_York"]
DEPENDS_ON = {"dates": (), "plain": (), "child-dates": ("dates",), "child": ("plain", "child-dates")}
BACKFILLS = ("dates", "child-dates")
DAY = timedelta(days=1)
SCHEDULES = {
    "1d": (DAY, None, ""), "12h": (DAY / 2, None, ""), "1d|03:00": (DAY, time(3), ""), "1d|02:30": (DAY, time(2, 30), ""),
    "1d|23:58": (DAY, time(23, 58), ""), "0 3 * * 1-5": (timedelta(0), None, "0 3 * * 1-5"), "0 */6 * * *": (timedelta(0), None, "0 */6 * * *"),
}  # fmt: skip

names, backfills, entries = st.sampled_from(list(DEPENDS_ON)), st.sampled_from(BACKFILLS), st.sampled_from(list(SCHEDULES))
# What fails: the job, and which of its dates.
failing = st.dictionaries(names, st.integers(0, 2), max_size=2)
# A date is named by its day, or exactly: how many days ago, and which of that day's dates.
dates = st.tuples(st.integers(-1, 6), st.none() | st.integers(0, 3))
acts = st.one_of(
    st.tuples(st.just("tick"), failing),
    st.tuples(st.just("tick"), st.just({})),
    st.tuples(st.just("pause"), names),
    st.tuples(st.just("resume"), names),
    st.tuples(st.just("rerun"), names, dates, st.none() | dates, st.booleans(), failing),
    st.tuples(st.just("mark-success"), names, st.none() | dates),
    st.tuples(st.just("rewind"), backfills, dates),
    st.tuples(st.just("change"), names, entries),
)
apart = st.sampled_from([timedelta(minutes=5), timedelta(hours=1), timedelta(hours=7), DAY, 3 * DAY])
histories = st.lists(st.tuples(apart, acts), min_size=5, max_size=15)


class TestProperty(ApplicationTestCase):
    examples = 20

    def setUp(self):
        super().setUp()
        self.policy = {}
        module = sys.modules["controlled_jobs"] = types.ModuleType("controlled_jobs")
        self.addCleanup(sys.modules.pop, "controlled_jobs")
        for name in DEPENDS_ON:
            job_class = type(f"Job_{name.replace('-', '_')}", (BasicJob,), {
                "app_name": name, "depends_on": DEPENDS_ON[name], "policy": self.policy, "run": self.runner(name),
                "__module__": "controlled_jobs",
            })  # fmt: skip
            setattr(module, job_class.__name__, as_backfill_cron_app(job_class) if name in BACKFILLS else job_class)

    def runner(self, name):
        """Return the method `run` of a job: it notes its date, and fails if it is told to."""

        def run(job, date=None):
            number = sum(1 for each, *_ in self.runs if each == name)
            is_well = self.failing.get(name) != number
            self.runs.append((name, date and date.isoformat(), is_well))
            if not is_well:
                raise RuntimeError("as asked")

        return run

    def test_each_run_is_one_that_the_documentation_promises(self):
        @settings(max_examples=self.examples, deadline=None, suppress_health_check=list(HealthCheck))
        @given(st.sampled_from(ZONES), st.fixed_dictionaries(dict.fromkeys(DEPENDS_ON, entries)), histories)
        def check(zone, schedules, history):
            self.check(zone, schedules, history)
            gc.collect()  # with their connections

        check()

    def check(self, zone, schedules, history):
        self.empty_the_database()
        self.zone, self.entries, self.now = ZoneInfo(zone), dict(schedules), BEGIN
        self.policy["timezone"] = zone
        self.model = control_model.Crontab({name: self.job(name) for name in DEPENDS_ON}, DEPENDS_ON)
        last = [(timedelta(hours=8), ("tick", {}))] * 4
        for pause, (act, *arguments) in [(timedelta(0), ("tick", {})), *history, *last]:
            self.now += pause
            getattr(self, act.replace("-", "_"))(*arguments)

    def job(self, name):
        interval, at, cron = SCHEDULES[self.entries[name]]
        return date_model.Job(interval, at, self.zone, name in BACKFILLS, cron)

    def tick(self, failing):
        self.assert_runs(lambda: self.model.tick(self.now, failing), failing)

    def pause(self, name):
        self.assert_runs(lambda: self.model.paused.add(name), pause=name)

    def resume(self, name):
        self.assert_runs(lambda: self.model.paused.discard(name), resume=name)

    def rerun(self, name, date, last, also_dependents, failing):
        options, before = {"rerun": name, "also-dependents": also_dependents or None}, self.states()
        if name in BACKFILLS:
            options |= {"from": self.text(name, date), "to": self.text(name, last)} if last else {"date": self.text(name, date)}

        def promised():
            dates = self.range(name, date, last or date) if name in BACKFILLS else []
            return self.model.rerun(name, dates, also_dependents, self.now, failing)

        self.assert_runs(promised, failing, **options)
        self.assertEqual(self.states(), before)

    def mark_success(self, name, date):
        date = date if name in BACKFILLS else None
        text = date and self.text(name, date)
        self.assert_runs(lambda: self.model.mark(name, date and self.date(name, date), self.now), **{"mark-success": name, "date": text})

    def rewind(self, name, date):
        self.assert_runs(lambda: self.model.rewind(name, self.date(name, date)), rewind=name, to=self.text(name, date))

    def change(self, name, entry):
        self.entries[name] = entry
        self.model.jobs[name] = self.job(name)

    def assert_runs(self, promised, failing=None, **options):
        """Act, and compare what ran, and what the log says of it, with what the model promises. If it refuses, nothing changes."""
        self.runs, self.failing = [], failing or {}
        before, last = self.states(), self.sql("SELECT max(id) FROM crontabber_log")[0][0] if self.states() else 0
        try:
            expected = [(name, date and date.astimezone(self.zone).isoformat(), ok) for name, date, ok in promised() or []]
        except control_model.Refused:
            with self.assertRaises(CrontabberError):
                self.act(options)
            self.assertEqual((self.runs, self.states()), ([], before))
            return
        self.assertEqual((self.act(options), self.runs), (int("rerun" in options and not all(ok for *_, ok in expected)), expected))
        if "mark-success" not in options:
            logged = self.sql("SELECT app_name, slot, exc_type IS NULL FROM crontabber_log WHERE id > %s ORDER BY id", (last or 0,))
            dated = [(name, slot.astimezone(self.zone).isoformat() if name in BACKFILLS else None, ok) for name, slot, ok in logged]
            self.assertEqual(dated, expected)

    def act(self, options):
        """Run the command with these options. Return its exit code."""
        setting = "\n".join(f"controlled_jobs.Job_{name.replace('-', '_')}|{entry}" for name, entry in self.entries.items())
        tab = self.application(setting)
        for name, value in options.items():
            tab.config[name] = value
        tab.config["yes"] = bool(options)
        clock = [mock.patch(f"crontabber.{module}.utc_now", lambda: self.now) for module in ("app", "base")]
        with clock[0], clock[1], redirect_stdout(io.StringIO()):
            try:
                return tab.main()
            finally:
                if tab._job_state_database is not None:
                    tab._job_state_database.close()
                    tab._job_state_database = None

    def states(self):
        """Return what is stored of the jobs, but for `last_run`."""
        if self.sql("SELECT to_regclass('crontabber_job')") == [(None,)]:
            return []
        return self.sql(
            "SELECT app_name, next_run, first_run, last_success, error_count, ongoing, crontabber_job FROM crontabber"
            " FULL JOIN crontabber_job USING (app_name) ORDER BY app_name"
        )

    def range(self, name, first, last):
        """Return the dates from one that is named to another one."""
        begin, end = self.date(name, first), self.date(name, last)
        if not begin <= end <= self.now:
            raise control_model.Refused
        days = range((end - begin).days + 3)
        every = (date for number in days for date in self.model.dates_on(name, begin.astimezone(self.zone).date() + number * DAY))
        return [date for date in every if begin <= date <= end]

    def date(self, name, date):
        """Return the date that is meant."""
        found = self.dates_that_fit(name, date)
        if len(found) != 1:
            raise control_model.Refused
        return found[0]

    def dates_that_fit(self, name, date):
        days_ago, number = date
        found = self.model.dates_on(name, self.now.astimezone(self.zone).date() - days_ago * DAY)
        return found if number is None or not found else [found[number % len(found)]]

    def text(self, name, date):
        """Return the date as it is typed."""
        days_ago, number = date
        found = self.dates_that_fit(name, date)
        if number is None or not found:
            return str(self.now.astimezone(self.zone).date() - days_ago * DAY)
        return found[0].astimezone(self.zone).isoformat()
