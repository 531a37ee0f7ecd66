"""The text of --list-jobs, compared as a whole."""

import unittest
from datetime import datetime, timedelta, timezone

from crontabber.commands.list_jobs import ListedJob, render_job_list
from crontabber.rules.job_state import JobState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
ERROR = {"type": "<class 'ValueError'>", "value": "No more tissues", "traceback": '  File "jobs.py", line 3, in run\n'}


class TestJobList(unittest.TestCase):
    maxDiff = None

    def test_a_job_without_a_row_has_no_run_info(self):
        text = render_job_list([ListedJob("jobs.Foo", "foo", "7d", "03:00")], {}, NOW)

        self.assertEqual(
            text,
            "=== JOB ========================================================================\n"
            "Class:          jobs.Foo\n"
            "App name:       foo\n"
            "Frequency:      7d @ 03:00\n"
            "*NO PREVIOUS RUN INFO*\n",
        )

    def test_a_failed_and_ongoing_job_shows_its_start_and_its_error(self):
        state = JobState(
            "foo", next_run=NOW - timedelta(minutes=2), last_run=NOW - timedelta(minutes=5), error_count=2,
            last_error=ERROR, ongoing=NOW - timedelta(minutes=3),
        )  # fmt: skip

        text = render_job_list([ListedJob("jobs.Foo", "foo", "5m")], {"foo": state}, NOW)

        self.assertEqual(
            text,
            "=== JOB ========================================================================\n"
            "Class:          jobs.Foo\n"
            "App name:       foo\n"
            "Frequency:      5m\n"
            "Ongoing now!    Started 3 minutes ago\n"
            "Last run:       2026-03-01 11:55:00  (5 minutes ago)\n"
            "Last success:   no previous successful run\n"
            "Next run:       2026-03-01 11:58:00  (was 2 minutes ago)\n"
            "Error!!         (2 times)\n"
            "Traceback (most recent call last):\n"
            '  File "jobs.py", line 3, in run\n'
            "<class 'ValueError'>: No more tissues\n"
            "\n",
        )

    def test_a_job_without_errors_shows_only_its_times(self):
        state = JobState("foo", next_run=NOW + timedelta(seconds=3599), last_run=NOW - timedelta(minutes=5),
                         last_success=NOW - timedelta(minutes=5))  # fmt: skip

        text = render_job_list([ListedJob("jobs.Foo", "foo", "1h")], {"foo": state}, NOW)

        self.assertEqual(
            text.splitlines()[4:],
            [
                "Last run:       2026-03-01 11:55:00  (5 minutes ago)",
                "Last success:   2026-03-01 11:55:00  (5 minutes ago)",
                "Next run:       2026-03-01 12:59:59  (in 59 minutes, 59 seconds)",
                "",
            ],
        )

    def test_a_success_may_lie_in_the_future(self):
        state = JobState("foo", last_run=NOW, last_success=NOW + timedelta(hours=15))

        text = render_job_list([ListedJob("jobs.Foo", "foo", "1h")], {"foo": state}, NOW)

        self.assertEqual(
            text.splitlines()[4:6],
            ["Last run:       2026-03-01 12:00:00  (0 seconds ago)", "Last success:   2026-03-02 03:00:00  (in 15 hours)"],
        )

    def test_empty_columns_are_shown_as_none(self):
        text = render_job_list([ListedJob("jobs.Foo", "foo", "1h")], {"foo": JobState("foo")}, NOW)

        self.assertEqual(
            text.splitlines()[4:],
            ["Last run:       none", "Last success:   no previous successful run", "Next run:       none", ""],
        )
