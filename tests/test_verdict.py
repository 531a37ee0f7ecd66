"""Why a job does not run: every condition with its facts, and the words for it."""

import unittest
from datetime import datetime, timedelta, timezone

from crontabber.rules.job import Job
from crontabber.rules.job_state import JobState
from crontabber.rules.policy import DEFAULT, Policy
from crontabber.rules.schedule import parse_schedule
from crontabber.rules.tick import Tick
from crontabber.rules.verdict import NO_JUDGES, Judges, conditions, first_reason, unmet
from crontabber.rules.words import because

UTC = timezone.utc
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FINE = JobState("parent", next_run=NOW + HOUR, first_run=NOW - HOUR, last_run=NOW - HOUR, last_success=NOW - HOUR)
DUE = JobState("job", next_run=NOW - HOUR, last_run=NOW - HOUR, last_success=NOW - HOUR)
FAILED = {"type": "<class 'OSError'>", "value": "no such luck", "traceback": ""}


def job(depends_on=(), policy=DEFAULT, **fields):
    return Job("job", object, None, parse_schedule("1d", None), depends_on, policy, **fields)


def tick(*states, **unseen):
    return Tick(NOW, {state.app_name: state for state in states}, unseen, configured={"job": DEFAULT, "parent": DEFAULT})


def reasons(configured_job, facts, judges=NO_JUDGES):
    return list(unmet(conditions(configured_job, facts, NOW, UTC, judges)))


class TestReasons(unittest.TestCase):
    def test_each_state_gives_its_reason_and_its_words(self):
        child = job(("parent",))
        ongoing = tick(DUE)
        ongoing.ongoing["job"] = {"process": "host:1", "since": NOW - HOUR, "holds_lock": True}
        paused = DUE._replace(paused_at=NOW - HOUR, paused_by="me@host", pause_reason="the disk\nis full")
        table = [
            (job(), tick(DUE._replace(next_run=NOW + HOUR)), "not_due", "it is not due until"),
            (job(), tick(DUE._replace(next_run=NOW + HOUR, error_count=2)), "waiting_for_retry", "it waits for its retry until"),
            (job(), tick(DUE._replace(next_run=NOW + HOUR, last_error=FAILED)), "waiting_for_retry", "it waits for its retry"),
            (job(), ongoing, "ongoing", "it is already running since"),
            (job(broken_dependency="foo"), tick(DUE), "broken_entry",
             "it depends on 'foo', whose entry in the setting jobs is broken"),
            (job(), tick(paused), "paused", "it is paused since"),
            (job(policy=Policy(max_errors=2)), tick(DUE._replace(error_count=2)), "gave_up",
             "it gave up (it runs again after --resume or --reset-job, or with --job and --force)"),
            (child, tick(DUE), "dependency_never_ran", "its dependency 'parent' has not run yet"),
            (child, tick(DUE, JobState("parent", first_run=NOW)), "dependency_never_ran", "its dependency 'parent' has not"),
            (child, tick(DUE, FINE._replace(error_count=1)), "dependency_failed", "its dependency 'parent' errored last time"),
            (child, tick(DUE, FINE._replace(error_count=1, last_error={"gave_up": True})), "dependency_gave_up",
             "its dependency 'parent' gave up"),
            (child, tick(DUE, FINE._replace(next_run=NOW)), "dependency_stale", "its dependency 'parent' has not run recently"),
            (child, tick(DUE, FINE._replace(paused_at=NOW)), "dependency_paused", "its dependency 'parent' is paused"),
            (child, tick(DUE, parent=JobState("parent", paused_at=NOW)), "dependency_paused", "its dependency 'parent' is paused"),
            (job(("foreign",)), tick(DUE), "dependency_unconfigured",
             "its dependency 'foreign' has not run yet, and is not configured here"),
        ]  # fmt: skip
        for configured_job, facts, code, words in table:
            with self.subTest(code):
                found = reasons(configured_job, facts)

                self.assertEqual([reason.code for reason in found], [code])
                self.assertEqual(because(found[0])[: len(words)], words)
                self.assertEqual(found[0], first_reason(configured_job, facts, NOW, UTC))

    def test_nothing_holds_back_a_due_job_whose_dependencies_are_fine(self):
        succeeded = tick(DUE, FINE._replace(next_run=NOW - HOUR))
        succeeded.succeeded.add("parent")
        for facts, why in [
            (tick(DUE, FINE), "the next run of its dependency is ahead"),
            (succeeded, "its dependency has succeeded within this tick, whatever the clock says by now"),
            (tick(DUE, FINE._replace(app_name="foreign")), "a dependency of another crontabber counts like any other"),
        ]:
            with self.subTest(why):
                depends_on = tuple(name for name in facts.states if name != "job")
                self.assertIsNone(first_reason(job(depends_on), facts, NOW, UTC))

    def test_it_finds_every_reason_in_the_order_in_which_a_tick_asks(self):
        facts = tick(DUE._replace(next_run=NOW + HOUR, error_count=3, paused_at=NOW), FINE._replace(error_count=1))

        found = reasons(job(("parent", "other"), Policy(max_errors=3)), facts)

        self.assertEqual(
            [(reason.code, reason.facts.get("dependency")) for reason in found],
            [("waiting_for_retry", None), ("paused", None), ("gave_up", None), ("dependency_failed", "parent"),
             ("dependency_unconfigured", "other")],
        )  # fmt: skip

    def test_an_application_may_decide_whether_a_job_is_due_and_what_blocks_it(self):
        judges = Judges(is_due=lambda each: True, why_blocked=lambda each: "it rains")

        found = reasons(job(("parent",)), tick(DUE._replace(next_run=NOW + HOUR)), judges)

        self.assertEqual([(reason.code, because(reason)) for reason in found], [("application", "it rains")])

    def test_a_tick_asks_no_further_than_the_first_reason(self):
        def not_to_be_asked(each):
            raise AssertionError("a job that is not due was judged further")

        reason = first_reason(job(), tick(DUE._replace(next_run=NOW + HOUR)), NOW, UTC, Judges(why_blocked=not_to_be_asked))

        self.assertEqual(reason.code, "not_due")
