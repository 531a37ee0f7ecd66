"""--configtest: what it finds beyond broken entries, through the real command and without a database."""

import re

from tests.integration.mode_case import NOWHERE, ModeTestCase

JOBS = """
from configman import Namespace
from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app, using_postgres, with_postgres_connection_as_argument
from nightly import Noting


class Runless(BaseCronApp):
    app_name = "runless"


@as_backfill_cron_app
class Dateless(BaseCronApp):
    app_name = "dateless"

    def run(self):
        pass


class Misspelt(Noting):
    app_name = "misspelt"
    depend_on = "foo"


class Hopeful(Noting):
    app_name = "hopeful"
    depends_on = ["fooo", "zebra"]


@using_postgres()
@with_postgres_connection_as_argument()
class Configured(Noting):
    app_name = "configured"
    required_config = Namespace()
    required_config.add_option("api_url", doc="no default")
    required_config.add_option("colour", default="red")
    required_config.namespace("mail")
    required_config.mail.add_option("sender", default=None)
"""


class TestFaultsOfClasses(ModeTestCase):
    maxDiff = None

    def setUp(self):
        super().setUp()
        self.write_module("checked", JOBS)

    def configtest(self, jobs, extra=""):
        """Return the exit code, the lines about faults and the warnings."""
        self.ini(jobs, extra, connection=NOWHERE)
        tested = self.crontabber("--configtest")
        lines = tested.stderr.splitlines()
        faults = [line for line in lines if line.startswith("crontabber: ")]
        warnings = [re.sub(r"\A\S+ \S+ \S+ WARNING - ", "", line) for line in lines if " WARNING - " in line]
        self.assertEqual((tested.stdout, len(faults) + len(warnings)), ("", len(lines)), lines)
        return tested.returncode, faults, warnings

    def test_a_run_that_is_missing_or_cannot_be_called_is_a_fault(self):
        self.assertEqual(self.configtest("checked.Runless|1d\nchecked.Dateless|1d\nnightly.Foo|1d"), (2, [
            "crontabber: jobs: checked.Runless has no run(): write def run(self)",
            "crontabber: jobs: checked.Dateless: its run() cannot be called (too many positional arguments): write def run(self, date)",
        ], []))  # fmt: skip

    def test_such_a_job_fails_at_night_but_stops_nothing_else(self):
        self.ini("checked.Dateless|1d\nnightly.Foo|1d")

        self.assertEqual((self.crontabber().returncode, self.ran()), (0, ["foo the first time"]))
        self.assertEqual(self.row("dateless", "error_count"), 1)

    def test_each_fault_of_a_broken_entry_is_named(self):
        code, faults, _ = self.configtest("checked.Runless|1x\nnowhere.Job|1d\nnightly.Foo|1d")

        self.assertEqual((code, len(faults)), (3, 3), faults)
        for words in ("'1x'", "nowhere.Job", "has no run()"):
            self.assertEqual(sum(words in fault for fault in faults), 1, words)

    def test_a_misspelt_attribute_is_a_warning(self):
        self.assertEqual(self.configtest("checked.Misspelt|1d\nnightly.Foo|1d"), (0, [], [
            "checked.Misspelt: crontabber does not read 'depend_on' (did you mean depends_on?)"
        ]))  # fmt: skip

    def test_an_unknown_dependency_is_a_warning_with_the_nearest_name(self):
        held = "hopeful is held back until another crontabber on the same database has run"
        code, faults, warnings = self.configtest("checked.Hopeful|1d\nnightly.Foo|1d")

        self.assertEqual((code, faults, warnings), (0, [], [
            f"hopeful depends on 'fooo', which is not configured here (did you mean foo?): {held} 'fooo'",
            f"hopeful depends on 'zebra', which is not configured here: {held} 'zebra'",
        ]))  # fmt: skip

    def test_a_dependency_that_may_be_a_broken_entry_is_no_warning(self):
        for entry in ("gone.Foo|1d", "nightly.Foo|1x"):
            with self.subTest(entry):
                code, _, warnings = self.configtest(f"{entry}\nnightly.Bar|1d")
                self.assertEqual((code, warnings), (1, []))

    def test_an_option_without_default_that_is_set_nowhere_is_a_warning(self):
        self.assertEqual(self.configtest("checked.Configured|1d"), (0, [], [
            "checked.Configured: crontabber.class-Configured.api_url has no default and is not set, so it is None",
            "checked.Configured: crontabber.class-Configured.mail.sender has no default and is not set, so it is None",
        ]))  # fmt: skip
        options = "[[class-Configured]]\napi_url=http://x\n[[[mail]]]\nsender=me"
        self.assertEqual(self.configtest("checked.Configured|1d", options), (0, [], []))

    def test_an_option_that_nothing_asks_for_is_a_warning_with_the_nearest_name(self):
        options = "[[class-Configured]]\napi_url=x\ncolor=blue\nshoe_size=44\n[[[mail]]]\nsender=me\n[[[post]]]\nstamp=1"
        prefix = f"{self.folder}/crontabber.ini: unknown option crontabber.class-Configured"

        self.assertEqual(self.configtest("checked.Configured|1d", options), (0, [], [
            f"{prefix}.color (did you mean crontabber.class-Configured.colour?), ignored",
            f"{prefix}.post.stamp, ignored",
            f"{prefix}.shoe_size, ignored",
        ]))  # fmt: skip
