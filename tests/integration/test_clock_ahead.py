"""One tick ran with a clock that was a year ahead."""

from datetime import datetime, timedelta, timezone

from tests.integration.simulator import SimulatedCrontab

UTC = timezone.utc
DAY = timedelta(days=1)
NOON = datetime(2030, 3, 10, 12, 0, 5, tzinfo=UTC)
TICK = timedelta(minutes=5)


class TestClockAhead(SimulatedCrontab):
    def next_runs(self):
        return dict(self.sql("SELECT app_name, next_run FROM crontabber"))

    def a_year_ahead(self, jobs):
        """Run a tick, one with a clock that is a year ahead, and one with the right clock. Return what the last said."""
        self.ini(jobs)
        self.tick(NOON)
        self.tick(NOON + TICK + 365 * DAY)
        self.ran()
        return self.tick(NOON + 2 * TICK).stderr

    def test_plain_jobs_are_planned_anew_with_a_warning(self):
        said = self.a_year_ahead("timed.Five|5m\ntimed.Hourly|1h\ntimed.Nightly|1d|21:00\ntimed.Weekly|7d|03:00")

        self.assertEqual(self.ran(), [])
        self.assertEqual(self.next_runs(), {
            "five": datetime(2030, 3, 10, 12, 15, tzinfo=UTC),
            "hourly": datetime(2030, 3, 10, 13, 10, tzinfo=UTC),
            "nightly": datetime(2030, 3, 10, 21, 0, tzinfo=UTC),
            "weekly": datetime(2030, 3, 17, 3, 0, tzinfo=UTC),
        })  # fmt: skip
        self.assertRegex(
            said,
            r"WARNING - five last ran at 2031-03-10 12:05:\d\d UTC, which is still to come: a clock was ahead\."
            r" Its next run was planned for 2031-03-10 12:10:00 UTC, and is now for 2030-03-10 12:15:00 UTC\n",
        )
        self.assertEqual(said.count("a clock was ahead"), 4)

        self.assertNotIn("a clock was ahead", self.tick(NOON + 3 * TICK).stderr)
        self.assertEqual([name for name, _ in self.ran()], ["five"])

    def test_a_failure_in_the_future_is_retried_in_five_minutes(self):
        self.failing("five", "dates")
        self.a_year_ahead("timed.Five|5m\ntimed.Dates|1d|03:00")
        self.failing()

        self.tick(NOON + 4 * TICK)

        self.assertEqual([name for name, _ in self.ran()], ["dates", "five"])

    def test_a_cursor_in_the_future_is_reported_with_its_cure(self):
        said = self.a_year_ahead("timed.Dates|1d|21:00\ntimed.Five|5m")
        cure = "--rewind=dates --to=2030-03-10T21:00+00:00"

        self.assertIn(
            "WARNING - dates is done up to 2031-03-09 21:00:00 UTC, which is still to come: a clock was ahead, and it runs"
            f" for no date before that. To run those that are still to come once more: {cure}\n", said)  # fmt: skip

        self.crontabber(*cure.split(), "--yes")
        self.tick(NOON + 3 * TICK)
        self.assertEqual(self.next_runs()["dates"], datetime(2030, 3, 10, 21, tzinfo=UTC))
        self.ran()
        self.assertNotIn("a clock was ahead", self.tick(NOON + DAY).stderr)
        self.assertEqual([f"{moment:%Y-%m-%d}" for name, moment in self.ran() if name == "dates"], ["2030-03-10"])

    def test_a_first_date_that_failed_in_the_future_starts_anew(self):
        for entry, seen, dates in (
            ("1d|03:00", "2030-03-10 03:00:00", ["10 03:00", "11 03:00"]),
            ("1d|21:00", "2030-03-10 21:00:00", ["10 21:00", "11 21:00"]),
            ("1d", None, ["10 12:05", "11 12:05"]),
        ):
            with self.subTest(entry):
                self.sql("DROP TABLE IF EXISTS crontabber, crontabber_log, crontabber_job")
                self.failing("dates")
                self.ini("timed.Dates|" + entry)
                self.tick(NOON + 365 * DAY + DAY * 10 / 24)

                said = self.tick(NOON + TICK).stderr
                noted = self.sql("SELECT (first_slot AT TIME ZONE 'UTC')::text FROM crontabber_job")
                quiet = self.tick(NOON + 2 * TICK).stderr
                self.failing()
                self.tick(NOON + DAY + 12 * DAY / 24)

                self.assertRegex(said, r"dates first ran at 2031-03-10 22:00:\d\d UTC, which is still to come: a clock was ahead")
                self.assertNotIn("a clock was ahead", quiet)
                self.assertEqual(noted, [(seen,)] if seen else [])
                self.assertEqual([f"{moment:%d %H:%M}" for _, moment in self.ran()], dates)
                self.assertNotIn("a clock was ahead", self.tick(NOON + 2 * DAY).stderr)
                self.ran()

    def test_a_first_slot_in_the_future_is_noted_anew(self):
        self.ini("timed.Nightly|1d|21:00")
        self.tick(NOON + 365 * DAY)
        self.tick(NOON)

        self.assertEqual(self.sql("SELECT first_slot FROM crontabber_job"), [(datetime(2030, 3, 10, 21, tzinfo=UTC),)])

    def test_a_clock_that_is_behind_changes_no_plan(self):
        self.ini("timed.Five|5m")
        self.crontabber()
        before = self.next_runs()

        tick = self.tick(datetime.now(UTC) - 365 * DAY)

        self.assertIn("The clocks of this host and of the state database differ", tick.stderr)
        self.assertNotIn("a clock was ahead", tick.stderr)
        self.assertEqual(self.next_runs(), before)

    def test_a_job_that_was_postponed_by_hand_stays_postponed(self):
        self.ini("timed.Five|5m")
        self.tick(NOON)
        self.sql("UPDATE crontabber SET next_run = next_run + interval '1 year'")

        self.assertNotIn("a clock was ahead", self.tick(NOON + TICK).stderr)
        self.assertEqual(self.next_runs()["five"], datetime(2031, 3, 10, 12, 5, tzinfo=UTC))
