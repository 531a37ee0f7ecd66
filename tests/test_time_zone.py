"""Which time zone does a PostgreSQL server mean by its `TimeZone`?"""

import unittest
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from crontabber.errors import StateDatabaseError
from crontabber.rules.time_zone import zone_named

WINTER = datetime(2024, 1, 15, 12, tzinfo=timezone.utc)
SUMMER = datetime(2024, 7, 15, 12, tzinfo=timezone.utc)


class TestZone(unittest.TestCase):
    def test_an_iana_name_is_that_zone(self):
        for name in ("UTC", "Etc/UTC", "Europe/Berlin", "Australia/Lord_Howe", "EST5EDT", "PST8PDT", "Etc/GMT+3"):
            with self.subTest(name):
                self.assertIs(zone_named(name), ZoneInfo(name))

    # The local times that PostgreSQL 18 shows for the two moments.
    def test_a_posix_zone_means_the_same_as_on_the_server(self):
        table = [
            ("<-03>+03", "09:00-03:00", "09:00-03:00", "SET TIME ZONE INTERVAL '-03:00'"),
            ("<+05:30>-05:30", "17:30+05:30", "17:30+05:30", "SET TIME ZONE 5.5"),
            ("<-07>+07", "05:00-07:00", "05:00-07:00", "SET TIME ZONE -7"),
            ("PST8PDT,M3.2.0,M11.1.0", "04:00-08:00", "05:00-07:00", "the second Sunday in March, the first in November"),
            ("PST8PDT,J60,300", "04:00-08:00", "05:00-07:00", "days of the year"),
            ("CET-1CEST,M3.5.0,M10.5.0/3", "13:00+01:00", "14:00+02:00", "the last Sundays"),
            ("EET-2EEST", "14:00+02:00", "15:00+03:00", "no rules: those of the USA apply"),
            ("EST5EDT4", "07:00-05:00", "08:00-04:00", "the same with its own offset"),
            ("AEST-10AEDT,M10.1.0,M4.1.0/3", "23:00+11:00", "22:00+10:00", "the southern hemisphere"),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "10:00-02:00", "11:00-01:00", "a change on the day before"),
            ("IST-1GMT0,M10.5.0,M3.5.0/1", "12:00+00:00", "13:00+01:00", "winter time is the exception, summer time the rule"),
            ("FOOBARBAZ3", "09:00-03:00", "09:00-03:00", "a long name"),
            ("X5", "07:00-05:00", "07:00-05:00", "a short name"),
        ]  # fmt: skip
        for name, winter, summer, why in table:
            with self.subTest(name, why=why):
                zone = zone_named(name)
                shown = [moment.astimezone(zone).isoformat(timespec="minutes")[11:] for moment in (WINTER, SUMMER)]
                self.assertEqual(shown, [winter, summer])

    def test_a_posix_zone_changes_when_the_equivalent_named_zone_does(self):
        posix, named = zone_named("CET-1CEST,M3.5.0,M10.5.0/3"), ZoneInfo("Europe/Berlin")
        moments = [WINTER + timedelta(minutes=30) * step for step in range(48 * 366)]

        differing = [m for m in moments if m.astimezone(posix).utcoffset() != m.astimezone(named).utcoffset()]

        self.assertEqual(differing, [])

    def test_an_unknown_name_is_an_error_with_advice(self):
        names = (
            "", "Foo", "Europe", "Europe/Nowhere", "../UTC", "/etc/localtime", "a\0b", "Europe/\udc80", "AAA3BBB,foo",
            "<a3", "XXX-25", "XXX-24", "3", "<-03>+03\n",
        )  # fmt: skip
        for name in names:
            with self.subTest(name):
                with self.assertRaises(StateDatabaseError) as caught:
                    zone_named(name)
                self.assertEqual(
                    str(caught.exception),
                    f"state database: its time zone {name!r} is unknown on this machine: run pip install --upgrade tzdata, or"
                    " set TimeZone to a name such as Europe/Berlin or UTC, in postgresql.conf or with ALTER DATABASE",
                )

    @given(st.integers(-15 * 60, 15 * 60))
    @settings(deadline=None)
    def test_every_fixed_offset_is_a_zone(self, minutes):
        hours, rest = divmod(abs(minutes), 60)
        text, posix_sign = f"{hours:02}:{rest:02}", "-" if minutes > 0 else "+"

        zone = zone_named(f"<{'+' if minutes > 0 else '-'}{text}>{posix_sign}{text}")

        self.assertEqual(WINTER.astimezone(zone).utcoffset(), timedelta(minutes=minutes))
        self.assertEqual(SUMMER.astimezone(zone).utcoffset(), timedelta(minutes=minutes))
