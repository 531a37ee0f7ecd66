"""The policy of a job: what its parts mean, how they are written, and which source of it wins."""

from datetime import datetime, timedelta, timezone
from unittest import TestCase

from hypothesis import given
from hypothesis import strategies as st

from crontabber.errors import PolicyError
from crontabber.rules.job_state import Failure, JobState, Outcome, settled
from crontabber.rules.policy import DEFAULT, Policy, parse_duration, policy_of, policy_set_by

NOW = datetime(2026, 3, 5, 12, tzinfo=timezone.utc)
FAILURE = Failure("<class 'ValueError'>", "no", "...", "ValueError('no')")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


class TestDurations(TestCase):
    def test_a_duration_is_a_number_with_a_unit_or_of_seconds(self):
        for text, expected in [
            ("30s", timedelta(seconds=30)), ("5m", 5 * MINUTE), ("2h", 2 * HOUR), ("1d", DAY), (" 1.5 h ", 1.5 * HOUR),
            ("90", 90 * MINUTE / 60), (90, timedelta(seconds=90)), (0.5, timedelta(seconds=0.5)), (HOUR, HOUR), ("0", timedelta(0)),
        ]:  # fmt: skip
            with self.subTest(text):
                self.assertEqual(parse_duration(text), expected)

    def test_nothing_else_is_a_duration(self):
        for text in ("", "5x", "-1", "m", "1h30m", "3661d", "9" * 400, "1e3", None, [], True, -HOUR, float("nan"), float("inf")):
            with self.subTest(text), self.assertRaises(ValueError):
                parse_duration(text)


class TestSources(TestCase):
    def test_a_later_source_wins_over_an_earlier_one(self):
        policy = policy_of({"timeout": "1h", "max_errors": 3}, {"timeout": "5m"}, {})

        self.assertEqual(policy, DEFAULT._replace(timeout=5 * MINUTE, max_errors=3))

    def test_an_invalid_value_is_named_with_what_was_expected(self):
        for name, value, expected in [
            ("timeout", "5x", "policy: timeout is '5x': expected a duration such as 30s, 5m, 2h or 1d; 0 for none"),
            ("max_errors", "-1", "policy: max_errors is '-1': expected a whole number; 0 for no limit"),
            ("max_errors", True, "policy: max_errors is True: expected a whole number; 0 for no limit"),
            ("error_retry_factor", "0.5", "policy: error_retry_factor is '0.5': expected a number, 1 to 1000"),
            ("error_retry_factor", "nan", "policy: error_retry_factor is 'nan': expected a number, 1 to 1000"),
            ("kill_timeout", None, "policy: kill_timeout is None: expected a duration such as 30s, 5m, 2h or 1d"),
        ]:
            with self.subTest(name, value=value), self.assertRaises(PolicyError) as caught:
                policy_of({name: value})
            self.assertEqual(str(caught.exception), expected)

    def test_no_timeout_is_written_as_zero_or_none(self):
        for value in (None, 0, "0", "0s"):
            self.assertIsNone(policy_of({"timeout": "1h"}, {"timeout": value}).timeout)

    def test_an_attribute_of_the_jobs_own_is_left_alone(self):
        for attribute in ("strict", None, {}, {"retention": "30d"}, ["timeout"], property(lambda self: {"timeout": 1})):
            with self.subTest(attribute):
                self.assertEqual(policy_set_by(type("Job", (), {"policy": attribute})), {})

    def test_an_unknown_name_beside_a_known_one_is_an_error(self):
        for name, hint in (("max_error", "did you mean 'max_errors'?"), ("colour", "expected one of timeout, kill_timeout, ")):
            with self.subTest(name), self.assertRaisesRegex(PolicyError, f"unknown option '{name}': {hint}"):
                policy_set_by(type("Job", (), {"policy": {"timeout": 1, name: 1}}))


class TestRetries(TestCase):
    def test_the_wait_stays_the_same_without_a_factor(self):
        self.assertEqual({DEFAULT.retry_after(failures) for failures in (1, 2, 10, 10**6)}, {5 * MINUTE})

    def test_the_wait_grows_by_the_factor_up_to_the_longest(self):
        policy = Policy(error_retry_time=MINUTE, error_retry_factor=2, error_retry_max_time=HOUR)

        waits = [policy.retry_after(failures) / MINUTE for failures in (1, 2, 3, 6, 7, 10**9)]

        self.assertEqual(waits, [1, 2, 4, 32, 60, 60])

    def test_a_wait_that_is_longer_than_the_longest_stays_as_it_is(self):
        self.assertEqual(Policy(error_retry_time=2 * DAY).retry_after(3), 2 * DAY)

    @given(st.integers(0, 10**9), st.floats(1, 1000), st.integers(0, 10**6))
    def test_the_wait_never_shrinks_and_has_an_end(self, failures, factor, seconds):
        policy = Policy(error_retry_time=timedelta(seconds=seconds), error_retry_factor=factor)

        wait, following = policy.retry_after(failures), policy.retry_after(failures + 1)

        self.assertLessEqual(policy.error_retry_time, wait)
        self.assertLessEqual(wait, following)
        self.assertLessEqual(following, max(policy.error_retry_time, DAY))


class TestGivingUp(TestCase):
    def test_a_job_gives_up_after_that_many_failures_in_a_row(self):
        for max_errors, failures, expected in [(0, 10**6, False), (3, 2, False), (3, 3, True), (3, 4, True), (1, 0, False)]:
            with self.subTest(max_errors=max_errors, failures=failures):
                state = JobState("a", error_count=failures)
                self.assertEqual(Policy(max_errors=max_errors).gave_up(state), expected)

    def test_a_job_that_raised_give_up_has_given_up_at_once(self):
        state = settled(JobState("a"), Outcome(NOW, NOW, None, FAILURE, gave_up=True), NOW)

        self.assertTrue(DEFAULT.gave_up(state))
        self.assertFalse(DEFAULT.gave_up(settled(state, Outcome(NOW, NOW, NOW), NOW)))
        self.assertFalse(DEFAULT.gave_up(settled(state, Outcome(NOW, NOW, None, FAILURE), NOW)))

    def test_the_run_after_a_first_death_is_always_granted(self):
        for deaths, expected in ((1, False), (2, True)):
            state = JobState("a", error_count=5, last_error={"type": "...", "deaths": deaths})
            self.assertEqual(Policy(max_errors=5).gave_up(state), expected)

    def test_a_job_that_never_ran_has_not_given_up(self):
        self.assertFalse(Policy(max_errors=1).gave_up(None))


class TestPostponing(TestCase):
    def test_a_run_that_asks_for_another_time_is_not_a_failure_that_counts(self):
        before = JobState("a", error_count=2, last_error={"type": "other"})

        state = settled(before, Outcome(NOW, NOW, None, FAILURE, delay=HOUR), NOW + HOUR)

        self.assertEqual((state.error_count, state.last_error), (2, FAILURE.as_last_error()))
