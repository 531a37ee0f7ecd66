"""The line of --nagios, compared as a whole."""

import unittest
from datetime import datetime, timezone

from crontabber.commands.nagios import Verdict, WatchedJob, critical, judge, unknown
from crontabber.rules.job_state import JobState

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)
ERROR = {"type": "<class 'ValueError'>", "value": "No more tissues", "traceback": '  File "jobs.py", line 3, in run\n'}


class TestNagios(unittest.TestCase):
    FOO = WatchedJob("foo", "FooJob", is_backfill=False)
    BACKFILL = WatchedJob("back", "BackJob", is_backfill=True)

    def test_the_errors_decide_the_verdict(self):
        foo = "foo (FooJob) | <class 'ValueError'> | No more tissues"
        back = "back (BackJob) | <class 'ValueError'> | No more tissues"
        cases = [
            ({}, Verdict(0, "OK - All systems nominal"), "nothing has run yet"),
            ({"foo": 0, "back": 0}, Verdict(0, "OK - All systems nominal"), "no errors"),
            ({"foo": 1}, Verdict(2, f"CRITICAL - {foo}"), "any error of an ordinary job"),
            ({"back": 1}, Verdict(1, f"WARNING - {back}"), "the first error of a backfill job"),
            ({"back": 2}, Verdict(2, f"CRITICAL - {back}"), "its second error"),
            ({"foo": 3, "back": 1}, Verdict(2, f"CRITICAL - {foo}; {back}"), "both, the worse one first"),
            ({"ghost": 9}, Verdict(0, "OK - All systems nominal"), "a job that is not configured does not count"),
        ]
        for errors, verdict, why in cases:
            states = {n: JobState(n, error_count=e, last_error=ERROR if e else {}) for n, e in errors.items()}
            with self.subTest(why):
                self.assertEqual(judge([self.BACKFILL, self.FOO], states), verdict)

    def test_it_is_one_line_for_any_error_text(self):
        error = {"type": "T", "value": "a|b\nc\x1b[31m\x00  d\u2028e"}

        verdict = judge([self.FOO], {"foo": JobState("foo", error_count=1, last_error=error)})

        self.assertEqual(verdict.line, "CRITICAL - foo (FooJob) | T | a|b c [31m d e")

    def test_an_error_without_text_keeps_its_field(self):
        states = {n: JobState(n, error_count=1, last_error={"type": "T", "value": ""}) for n in ("foo", "bar")}

        verdict = judge([self.FOO, WatchedJob("bar", "Bar", is_backfill=False)], states)

        self.assertEqual(verdict.line, "CRITICAL - foo (FooJob) | T | ; bar (Bar) | T | ")

    def test_a_job_gets_at_most_1000_characters(self):
        error = {"type": "T", "value": "x" * 1_000_000}

        verdict = judge([self.FOO], {"foo": JobState("foo", error_count=1, last_error=error)})

        start = "foo (FooJob) | T | "
        self.assertEqual(verdict.line, f"CRITICAL - {start}{'x' * (999 - len(start))}…")

    def test_an_impossible_check_is_critical_or_unknown(self):
        self.assertEqual(critical("no\nserver"), Verdict(2, "CRITICAL - no server"))
        self.assertEqual(unknown("bad\nsetting"), Verdict(3, "UNKNOWN - bad setting"))
