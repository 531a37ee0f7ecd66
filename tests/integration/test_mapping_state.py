"""A state class that is only a mapping, as the original allowed."""

from tests.integration.mode_case import ModeTestCase

STATE = '''
import json
import os

from configman import RequiredConfig

import datetime

FILE = "state.json"


class State(RequiredConfig, dict):
    """Keeps everything in a file."""

    def __init__(self, config):
        super().__init__()
        if os.path.exists(FILE):
            with open(FILE) as file:
                super().update(json.load(file, object_hook=self._times))

    @staticmethod
    def _times(information):
        return {
            key: datetime.datetime.fromisoformat(value) if key in ("next_run", "first_run", "last_run", "last_success", "ongoing") and value else value
            for key, value in information.items()
        }

    def __setitem__(self, app_name, information):
        super().__setitem__(app_name, information)
        self._save()

    def pop(self, app_name):
        super().pop(app_name)
        self._save()

    def _save(self):
        with open(FILE, "w") as file:
            json.dump(self, file, default=str)
'''
WARNING = (
    "WARNING - State is only a mapping: jobs run without claims and without a history, and times of day are in UTC."
    " Never run two crontabbers on it at once\n"
)


class TestMappingState(ModeTestCase):
    def setUp(self):
        super().setUp()
        self.write_module("mapping", STATE)
        self.ini("nightly.Foo|1d\nnightly.Bar|1d\nnightly.Sad|1d\nnightly.Back|1d", job_state_db_class="mapping.State")

    def edit(self, program):
        code = f"import datetime, crontabber, mapping; s = mapping.State(None)\n{program}"
        self.assertEqual(self.start_program([*self.command()[:1], "-c", code]).wait(30), 0)

    def test_jobs_run_and_wait_and_are_reported_as_usual(self):
        first = self.crontabber()
        ran = self.ran()
        second = self.crontabber()

        self.assertEqual((first.returncode, second.returncode), (0, 0), first.stderr)
        self.assertEqual(ran, ["back the first time", "foo the first time", "sad the first time", "bar the first time"])
        self.assertEqual(self.ran(), [])
        self.assertEqual(first.stderr.count(WARNING), 1)
        self.assert_said(self.crontabber("--nagios"), 2, "CRITICAL - sad (Sad) | <class 'ValueError'> | No more tissues\n")
        self.assertIn("\nError!!         (1 times)\n", self.crontabber("--list-jobs").stdout)
        self.assertIn("App reset", self.crontabber("--reset-job=sad").stderr)
        self.assert_said(self.crontabber("--nagios"), 0, "OK - All systems nominal\n")
        self.ini("nightly.Foo|1d", job_state_db_class="mapping.State")
        self.assertIn("\tbar\n", self.crontabber("--audit-ghosts").stdout)

    def test_a_missed_date_of_a_backfill_job_is_filled_in(self):
        self.crontabber()
        self.ran()
        self.edit(
            "s['back'].update({key: s['back'][key] - datetime.timedelta(days=2) for key in ('next_run', 'last_success')});"
            " s['back'] = s['back']"
        )

        self.crontabber()

        self.assertEqual(self.ran(), ["back again", "back again"])

    def test_an_ongoing_job_is_left_alone_until_it_is_too_old(self):
        self.crontabber()
        self.ran()
        for hours, exit_code, ran in ((1, 3, []), (13, 0, ["foo again"])):
            with self.subTest(hours=hours):
                self.edit(
                    "now = datetime.datetime.now(datetime.timezone.utc);"
                    f" s['foo'].update(next_run=now, ongoing=now - datetime.timedelta(hours={hours})); s['foo'] = s['foo']"
                )

                tick = self.crontabber()

                self.assertEqual((tick.returncode, self.ran()), (exit_code, ran), tick.stderr)
