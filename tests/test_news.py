"""Which failures are news, and so at a level that cron mails."""

import bisect
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

from crontabber.engine.run_log import code_of
from crontabber.rules.job_state import Failure, JobState, Outcome, settled
from crontabber.rules.news import is_news

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2026, 11, 27, 12, tzinfo=BERLIN)
OWN, LIBRARY = "/srv/jobs/", "/usr/lib/python3/"


def traceback(*places):
    return "\n".join(f'  File "{path}", line {line}, in run\n    something()' for path, line in places)


def failure(places=((f"{OWN}a.py", 7),), type="<class 'OSError'>"):
    return Failure(type, "no such luck", traceback(*places), "OSError('no such luck')")


def failed_with(failure, at=NOON, interrupted=False):
    return Outcome(at, at + timedelta(seconds=1), None, failure, interrupted)


def after(*outcomes):
    state = JobState("job")
    for outcome in outcomes:
        state = settled(state, outcome, NOON)
    return state


LATER = NOON + timedelta(minutes=5)
ONCE = after(failed_with(failure()))
SAME = failed_with(failure(), LATER)
GROUP = 'ExceptionGroup: two (2 sub-exceptions)\n  +-+---------------- 1 ----------------\n    | ' + traceback((f"{OWN}a.py", 9))


class TestIsNews(unittest.TestCase):
    def test_a_failure_is_news_if_it_differs_from_the_last_or_a_date_begins(self):
        deep = failure(((f"{OWN}a.py", 7), (f"{LIBRARY}socket.py", 833)))
        deeper = failure(((f"{OWN}a.py", 7), (f"{LIBRARY}socket.py", 833), (f"{LIBRARY}ssl.py", 1)))
        foreign = failure(((f"{LIBRARY}socket.py", 833),))
        cases = [
            (None, SAME, True, "the first run"),
            (after(Outcome(NOON, NOON, NOON)), SAME, True, "the first failure after a success"),
            (ONCE, SAME, False, "the same failure"),
            (after(failed_with(failure()), SAME), SAME, False, "the same failure, for the third time"),
            (after(failed_with(failure()), Outcome(NOON, NOON, NOON)), SAME, True, "the same failure after a success"),
            (ONCE, failed_with(failure(type="<class 'EOFError'>"), LATER), True, "another type"),
            (ONCE, failed_with(failure(((f"{OWN}a.py", 8),)), LATER), True, "another line"),
            (ONCE, failed_with(failure(((f"{OWN}b.py", 7),)), LATER), True, "another file"),
            (after(failed_with(deep)), failed_with(deeper, LATER), False, "another line of a library, from the same line of the job"),
            (after(failed_with(foreign)), failed_with(foreign, LATER), False, "no line of the job"),
            (after(failed_with(foreign)), failed_with(deep, LATER), True, "a line of the job instead of none"),
            (ONCE, failed_with(failure(())._replace(traceback=""), LATER), True, "no traceback at all"),
            (ONCE, failed_with(failure()._replace(traceback=GROUP), LATER), True, "another line, in a group"),
            (ONCE, failed_with(failure(), NOON + timedelta(hours=11, minutes=59)), False, "a minute before midnight of the zone"),
            (ONCE, failed_with(failure(), NOON + timedelta(hours=12)), True, "midnight of the zone"),
            (ONCE._replace(last_error={"value": "by hand"}), SAME, True, "an error that crontabber did not write"),
            (ONCE._replace(last_run=None), SAME, True, "a state that somebody wrote"),
        ]  # fmt: skip
        for before, outcome, news, why in cases:
            with self.subTest(why):
                self.assertEqual(is_news(before, outcome, BERLIN, OWN), news)

    def test_an_interruption_is_news_wherever_it_hits_unless_the_last_run_had_it(self):
        interrupted = [failed_with(failure(((f"{OWN}a.py", line),)), NOON, interrupted=True) for line in (7, 8)]

        self.assertTrue(is_news(after(failed_with(failure(type="<class 'ValueError'>"))), interrupted[1], BERLIN, OWN))
        self.assertFalse(is_news(after(interrupted[0]), interrupted[1], BERLIN, OWN))

    def test_a_failure_is_mailed_once_a_day_however_long_it_lasts(self):
        for zone in (timezone.utc, BERLIN):
            state, mailed, now = JobState("job"), [], NOON
            while now < NOON + timedelta(days=4):
                outcome = failed_with(failure(), now)
                if is_news(state, outcome, zone, OWN):
                    mailed.append(now)
                state, now = settled(state, outcome, now), now + timedelta(minutes=5)

            days = [moment.astimezone(zone).date() for moment in mailed]
            self.assertEqual((len(mailed), days), (5, sorted(set(days))))


class TestCodeOf(unittest.TestCase):
    def test_it_is_the_folder_of_a_package_or_the_file_of_a_module(self):
        here = str(Path(__file__).parent) + "/"
        for module, code, why in (
            ("tests.test_news", here, "a module of a package"),
            ("tests", here, "the package itself"),
            ("bisect", bisect.__file__, "a module without a package"),
            ("nowhere", "", "a module that was never imported: all code is the job's own"),
        ):
            with self.subTest(why):
                self.assertEqual(code_of(type("Job", (), {"__module__": module})), code)
