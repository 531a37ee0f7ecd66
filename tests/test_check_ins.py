"""How a job's schedule is written for Sentry, and its name for the services that watch it."""

from datetime import timedelta, timezone
from types import SimpleNamespace
from unittest import TestCase
from zoneinfo import ZoneInfo

from crontabber.rules.check_ins import monitor_config
from crontabber.rules.job import Job
from crontabber.rules.pings import slug
from crontabber.rules.policy import DEFAULT
from crontabber.rules.schedule import parse_schedule

BERLIN = ZoneInfo("Europe/Berlin")
MINUTE = timedelta(minutes=1)


def config_of(frequency, time=None, zone=BERLIN, **policy):
    return monitor_config(Job("foo", object, None, parse_schedule(frequency, time), policy=DEFAULT._replace(**policy)), zone, 5 * MINUTE)


class TestMonitorConfig(TestCase):
    def test_a_frequency_is_an_interval_in_its_largest_unit(self):
        for frequency, value, unit in (
            ("5m", 5, "minute"), ("90m", 90, "minute"), ("60m", 1, "hour"), ("36h", 36, "hour"), ("1d", 1, "day"),
            ("7d", 1, "week"), ("10d", 10, "day"), ("14d", 2, "week"),
        ):
            with self.subTest(frequency):
                config = config_of(frequency)
                self.assertEqual(config["schedule"], {"type": "interval", "value": value, "unit": unit})
                self.assertNotIn("timezone", config)

    def test_a_daily_time_is_a_crontab_in_its_zone(self):
        for zone, name in ((BERLIN, "Europe/Berlin"), (timezone.utc, "UTC")):
            config = config_of("1d", "03:07", zone)
            self.assertEqual((config["schedule"], config["timezone"]), ({"type": "crontab", "value": "7 3 * * *"}, name))

    def test_a_job_with_a_zone_of_its_own_keeps_it(self):
        job = Job("foo", object, None, parse_schedule("1d", "03:00"), zone=BERLIN)

        self.assertEqual(monitor_config(job, ZoneInfo("Asia/Tokyo"), 5 * MINUTE)["timezone"], "Europe/Berlin")

    def test_a_time_that_no_crontab_can_express_is_an_interval(self):
        for frequency, zone, value, unit in (("7d", BERLIN, 1, "week"), ("1d", timezone(timedelta(hours=3)), 1, "day")):
            self.assertEqual(config_of(frequency, "03:00", zone)["schedule"], {"type": "interval", "value": value, "unit": unit})

    def test_a_cron_expression_stays_as_it_is(self):
        schedule = SimpleNamespace(every=timedelta(0), at=None, cron="0 3 * * 1-5")

        config = monitor_config(Job("foo", object, None, schedule), BERLIN, 5 * MINUTE)

        self.assertEqual((config["schedule"], config["timezone"]), ({"type": "crontab", "value": "0 3 * * 1-5"}, "Europe/Berlin"))

    def test_a_run_may_start_at_the_next_tick_and_take_as_long_as_its_policy_allows(self):
        for timeout, longest in ((None, 1440), (5 * MINUTE, 6), (timedelta(days=300), 40320)):
            config = config_of("5m", timeout=timeout)
            self.assertEqual((config["checkin_margin"], config["max_runtime"]), (10, longest))


class TestSlug(TestCase):
    def test_a_name_becomes_what_the_services_accept(self):
        for name, expected in (
            ("foo", "foo"), ("Foo Bar.Baz", "foo-bar-baz"), ("a_b-c", "a_b-c"), ("42", "job-42"), ("é", "job"), ("x" * 60, "x" * 50),
            ("/../?x=1&y#z", "x-1-y-z"),
        ):
            with self.subTest(name):
                self.assertEqual(slug(name), expected)
