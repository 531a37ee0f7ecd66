"""How a schedule is parsed, when a job is due, and when it runs next: tables of named cases."""

import unittest
from datetime import datetime, time, timedelta, timezone
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from crontabber.errors import FrequencyDefinitionError, TimeDefinitionError
from crontabber.rules.job_state import JobState
from crontabber.rules.schedule import (
    NEVER,
    Schedule,
    check_time,
    convert_frequency,
    is_due,
    next_run_after_failure,
    next_run_after_success,
    parse_frequency,
    parse_schedule,
    parse_time,
    slot_to_remember,
)

UTC = timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")
APIA = ZoneInfo("Pacific/Apia")
NUUK = ZoneInfo("America/Nuuk")
NOT_A_FREQUENCY = "%s is not a valid frequency: expected a positive whole number and m, h or d, for example 5m"
NOT_A_TIME = "%s is not a valid time: expected HH:MM, 00:00 to 23:59"


def at(text, zone=BERLIN):
    """Return `2024-03-05 21:00:03` in the zone as an instant: across zones, times in an overlap never compare equal."""
    return datetime.fromisoformat(text).replace(tzinfo=zone).astimezone(UTC)


def state(next_run=None, **columns):
    return JobState("job", next_run=next_run, **columns)


class TestFrequency(unittest.TestCase):
    def test_it_is_a_whole_number_of_minutes_hours_or_days(self):
        table = {
            "1m": timedelta(minutes=1),
            "5m": timedelta(minutes=5),
            "90m": timedelta(minutes=90),
            "12h": timedelta(hours=12),
            "1d": timedelta(days=1),
            "10d": timedelta(days=10),
            "007d": timedelta(days=7),
            "999999999d": timedelta(days=999999999),
        }
        for text, every in table.items():
            with self.subTest(text):
                self.assertEqual(parse_frequency(text), every)
                self.assertEqual(convert_frequency(text), every // timedelta(seconds=1))

    def test_anything_else_is_refused(self):
        table = {
            "": "empty",
            "3e": "unknown unit",
            "0m": "a job would run again at once",
            "00d": "the same",
            "-5m": "negative",
            "+5m": "a sign",
            "5": "no unit",
            "m": "no number",
            "1d2h": "two frequencies",
            "1.5h": "not a whole number",
            "1_0m": "10 as Python can write it",
            "d1": "the unit before the number",
            "5M": "a capital letter",
            "5 m": "space",
            " 5m": "space",
            "5m\n": "a line end",
            "５m": "a full-width digit",
            "٥m": "an Arabic digit",
            "²m": "a digit for str.isdigit",
        }
        for text, why in table.items():
            with self.subTest(text, why=why):
                with self.assertRaises(FrequencyDefinitionError) as caught:
                    parse_frequency(text)
                self.assertEqual(str(caught.exception), NOT_A_FREQUENCY % repr(text))
                self.assertRaises(FrequencyDefinitionError, convert_frequency, text)

    def test_a_frequency_beyond_the_range_of_python_is_too_long(self):
        table = {
            "99999999999d": "'99999999999d'",
            "1000000000d": "'1000000000d'",
            "9" * 5000 + "m": "'" + 40 * "9" + "'...",
        }
        for text, shown in table.items():
            with self.subTest(text[:40]):
                with self.assertRaises(FrequencyDefinitionError) as caught:
                    parse_frequency(text)
                self.assertEqual(
                    str(caught.exception), f"the frequency {shown} is too long: at most 999999999d"
                )


class TestTimeOfDay(unittest.TestCase):
    def test_it_is_hours_and_minutes_on_a_24_hour_clock(self):
        table = {
            "00:00": time(0, 0),
            "03:00": time(3, 0),
            "1:45": time(1, 45),
            "0:00": time(0, 0),
            "19:09": time(19, 9),
            "23:59": time(23, 59),
        }
        for text, expected in table.items():
            with self.subTest(text):
                self.assertEqual(parse_time(text), expected)
                self.assertIsNone(check_time(text))

    def test_anything_else_is_refused(self):
        table = {
            "": "empty",
            "24:00": "the next day",
            "12:60": "the next hour",
            "-1:00": "a sign",
            "noon": "a word",
            "12": "no minutes",
            "12:": "no minutes",
            ":30": "no hours",
            "12:5": "one digit of the minutes",
            "012:05": "three digits",
            "12:00:99": "seconds",
            "12:00:00": "seconds",
            "12.30": "no colon",
            "3:00pm": "a 12-hour clock",
            " 3:00": "space",
            "3:00\n": "a line end",
            "０3:00": "a full-width digit",
            "03：00": "a full-width colon",
            "7" * 99: "a long text",
        }
        for text, why in table.items():
            with self.subTest(text, why=why):
                shown = repr(text) if len(text) < 99 else "'" + 40 * "7" + "'..."
                for function in (parse_time, check_time):
                    with self.assertRaises(TimeDefinitionError) as caught:
                        function(text)
                    self.assertEqual(str(caught.exception), NOT_A_TIME % shown)

    @given(st.text(alphabet="0123456789:０x ", max_size=6))
    @settings(deadline=None)
    def test_an_accepted_text_is_read_back_unchanged(self, text):
        try:
            taken = parse_time(text)
        except TimeDefinitionError:
            return
        self.assertEqual(f"{taken:%H:%M}", text.zfill(5))


class TestSchedule(unittest.TestCase):
    def test_it_is_read_from_the_two_parts_of_an_entry(self):
        table = [
            ("5m", None, Schedule(timedelta(minutes=5))),
            ("5m", "", Schedule(timedelta(minutes=5))),
            ("7d", "3:00", Schedule(timedelta(days=7), time(3, 0))),
            ("24h", "03:00", Schedule(timedelta(days=1), time(3, 0))),
        ]
        for frequency, time_, expected in table:
            with self.subTest(frequency, time=time_):
                self.assertEqual(parse_schedule(frequency, time_), expected)

    def test_a_time_of_day_needs_whole_days(self):
        for frequency in ("5m", "12h", "25h", "1441m"):
            with self.subTest(frequency):
                with self.assertRaises(TimeDefinitionError) as caught:
                    parse_schedule(frequency, "03:00")
                self.assertEqual(
                    str(caught.exception),
                    f"{frequency} at 03:00: a time needs a frequency of whole days, for example 1d",
                )

    def test_an_invalid_part_is_reported_before_an_invalid_combination(self):
        self.assertRaisesRegex(FrequencyDefinitionError, "'7x' is not a valid frequency", parse_schedule, "7x", "noon")
        self.assertRaisesRegex(TimeDefinitionError, "'noon' is not a valid time", parse_schedule, "5m", "noon")


class TestDue(unittest.TestCase):
    def test_a_first_run_waits_only_for_its_time_of_day(self):
        table = [
            ("5m", None, "2024-03-05 10:00:00", True, "nothing to wait for"),
            ("1d", "21:00", "2024-03-05 20:59:59", False, "its time has not come"),
            ("1d", "21:00", "2024-03-05 21:00:00", True, "it has"),
            ("7d", "03:00", "2024-03-05 23:55:00", True, "it has, on this date"),
            ("1d", "23:58", "2024-03-06 00:00:04", True, "no tick comes between 23:58 and midnight"),
            ("1d", "23:30", "2024-03-06 00:00:04", False, "that was yesterday: six ticks came before midnight"),
            ("1d", "02:30", "2024-03-31 01:55:00", False, "in the night of the gap its time has not come"),
            ("1d", "02:30", "2024-03-31 03:00:00", True, "the end of the gap"),
        ]
        for frequency, time_, now, due, why in table:
            with self.subTest(why, now=now):
                schedule = parse_schedule(frequency, time_)
                self.assertEqual(is_due(schedule, None, at(now), BERLIN), due)
                self.assertEqual(is_due(schedule, state(error_count=1), at(now), BERLIN), due)

    def test_later_runs_are_due_from_their_next_run_on(self):
        planned = state(datetime(2024, 3, 5, 20, 0, tzinfo=UTC))
        for time_ in (None, "03:00"):
            schedule = parse_schedule("1d", time_)
            for now, due in (("20:59:59.999999", False), ("21:00:00", True), ("23:00:00", True)):
                with self.subTest(now, time=time_):
                    self.assertEqual(is_due(schedule, planned, at(f"2024-03-05 {now}"), BERLIN), due)

    def test_times_are_compared_as_instants_even_within_one_zone(self):
        first_quarter_to_three = datetime(2024, 10, 27, 2, 45, tzinfo=BERLIN)
        second_half_past_two = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1)

        self.assertFalse(is_due(parse_schedule("1h", ""), state(second_half_past_two), first_quarter_to_three, BERLIN))


class TestNextRunWithoutATime(unittest.TestCase):
    def test_a_success_keeps_or_resets_the_phase(self):
        table = [
            ("5m", None, "12:00:20", "12:05", "the first run sets the phase: the minute of now and the interval"),
            ("5m", "12:00", "12:00:00", "12:05", "on time"),
            ("5m", "12:00", "12:00:55", "12:05", "cron was late: the phase is kept"),
            ("5m", "12:00", "12:02:29", "12:05", "an earlier job was slow: kept"),
            ("5m", "12:00", "12:02:30", "12:07", "late by half the interval: the phase is reset"),
            ("5m", "12:00", "12:25:10", "12:30", "down for a while: reset, and only one run"),
            ("5m", "12:00", "11:58:10", "12:03", "forced early: reset"),
            ("1h", "12:00", "12:29:59", "13:00", "late by less than half: kept"),
            ("1h", "12:00", "12:40:00", "13:40", "late by more: reset"),
            ("1d", "12:00", "23:59:00", "12:00+1", "late by less than half of a day: kept"),
            ("5m", "12:00:41.500", "12:01:10", "12:05", "a row of the original, with seconds: whole minutes from now on"),
        ]  # fmt: skip
        for frequency, due, started, expected, why in table:
            with self.subTest(why):
                before = state(at(f"2024-03-05 {due}")) if due else None
                expected, _, days = expected.partition("+")
                next_run = at(f"2024-03-05 {expected}") + timedelta(days=int(days or 0))
                for forced in (False, True):
                    self.assertEqual(
                        next_run_after_success(
                            parse_schedule(frequency, ""), before, at(f"2024-03-05 {started}"), BERLIN, forced
                        ),
                        next_run,
                    )

    def test_a_new_phase_follows_the_start_of_the_tick(self):
        table = [
            ("12:00:55", "12:02:25", "12:05", "an earlier job took 90 s: the very next tick runs it again"),
            ("12:00:55", "12:03:25", "12:08", "half an interval or more after its tick: from its own start"),
        ]
        for tick_started, started, expected, why in table:
            with self.subTest(why):
                self.assertEqual(
                    next_run_after_success(
                        parse_schedule("5m", ""), None, at(f"2024-03-05 {started}"), BERLIN, False,
                        at(f"2024-03-05 {tick_started}"),
                    ),
                    at(f"2024-03-05 {expected}"),
                )  # fmt: skip

    def test_an_interval_keeps_its_length_when_the_clocks_change(self):
        due = at("2024-03-30 12:00")

        next_run = next_run_after_success(parse_schedule("1d", ""), state(due), due, BERLIN)

        self.assertEqual(next_run, at("2024-03-31 13:00"))

    def test_a_next_run_beyond_the_end_of_time_is_never(self):
        for frequency, time_ in (("999999999d", ""), ("999999999d", "03:00"), ("9999999h", "")):
            for before in (None, state(at("2024-03-05 03:00"))):
                with self.subTest(frequency, time=time_, before=before):
                    schedule = parse_schedule(frequency, time_)
                    now = at("2024-03-05 03:00")
                    expected = now.astimezone(UTC) + timedelta(hours=9999999) if frequency.endswith("h") else NEVER
                    self.assertEqual(next_run_after_success(schedule, before, now, BERLIN), expected)
                    self.assertEqual(next_run_after_success(schedule, before, now, BERLIN, True), expected)

    def test_never_is_a_valid_time_in_every_zone(self):
        for hours in (-23, 23):
            self.assertEqual(NEVER.astimezone(timezone(timedelta(hours=hours))), NEVER)


class TestNextRunWithATime(unittest.TestCase):
    # 5 March 2024 is a Tuesday. Each line: frequency, state before, start, forced, next run, reason.
    def test_a_success_leads_to_the_next_slot(self):
        tuesday = "2024-03-05 21:00"
        failing = {"error_count": 3, "last_error": {"type": "x"}}
        later = {"last_error": {"type": "RetryLater"}}
        table = [
            ("1d", None, tuesday + ":03", False, "2024-03-06 21:00", "the first run, on time"),
            ("1d", None, "2024-03-05 23:30", False, "2024-03-06 21:00", "the first run, later on the day"),
            ("1d", None, "2024-03-05 10:00", True, "2024-03-05 21:00", "a first run by force: the day's own is still to come"),
            ("7d", None, "2024-03-05 10:00", True, "2024-03-12 21:00", "with more days the date of the first run counts"),
            ("1d", {"next_run": tuesday}, tuesday + ":03", False, "2024-03-06 21:00", "on time"),
            ("1d", {"next_run": tuesday}, "2024-03-05 23:59", False, "2024-03-06 21:00", "late, on its day"),
            ("1d", {"next_run": tuesday}, "2024-03-06 10:00", False, "2024-03-06 21:00", "late, on the next day, which gets its own run, too"),
            ("1d", {"next_run": tuesday}, "2024-03-08 10:00", False, "2024-03-08 21:00", "down for days: one run, then that day's slot"),
            ("1d", {"next_run": tuesday}, "2024-03-05 10:00", True, tuesday, "forced early: no date loses its run"),
            ("1d", {"next_run": "2024-03-06 00:10", "last_success": "2024-03-04 21:00:03", **failing}, "2024-03-06 00:10:02", False, "2024-03-06 21:00", "it failed all evening and succeeds after midnight"),
            ("1d", {"next_run": "2024-03-05 21:10", "last_success": "2024-03-04 21:00:03", **failing}, "2024-03-05 21:10:02", False, "2024-03-06 21:00", "failed and retried"),
            ("2d", {"next_run": tuesday}, tuesday + ":03", False, "2024-03-07 21:00", "on time"),
            ("2d", {"next_run": tuesday}, "2024-03-06 10:00", False, "2024-03-07 21:00", "late: the days count from the slot"),
            ("7d", {"next_run": tuesday}, tuesday + ":03", False, "2024-03-12 21:00", "on time"),
            ("7d", {"next_run": tuesday}, "2024-03-07 10:00", False, "2024-03-12 21:00", "late by two days: it stays a Tuesday"),
            ("7d", {"next_run": tuesday}, "2024-03-14 10:00", False, "2024-03-19 21:00", "down for a week: two slots have passed, it runs once"),
            ("7d", {"next_run": tuesday}, "2024-03-12 20:30", False, "2024-03-12 21:00", "down until just before the next slot, which gets its run"),
            ("7d", {"next_run": tuesday}, "2024-03-07 10:00", True, "2024-03-14 21:00", "forced: the dates restart, on Thursdays from now on"),
            ("7d", {"next_run": tuesday}, "2024-02-29 10:00", True, "2024-03-07 21:00", "forced early: the same"),
            ("7d", {"next_run": "2024-03-05 21:05", "last_success": "2024-02-27 21:00:03", **failing}, "2024-03-05 21:05:01", False, "2024-03-12 21:00", "failed and retried: its Tuesday comes from the last success"),
            ("7d", {"next_run": "2024-03-06 00:10", "last_success": "2024-02-27 21:00:03", **failing}, "2024-03-06 00:10:01", False, "2024-03-12 21:00", "failed across midnight: still a Tuesday"),
            ("7d", {"next_run": "2024-03-09 00:10", "last_success": "2024-02-27 21:00:03", **failing}, "2024-03-09 00:10:01", False, "2024-03-12 21:00", "failed for days: the same"),
            ("7d", {"next_run": "2024-03-13 00:10", "last_success": "2024-02-27 21:00:03", **failing}, "2024-03-13 00:10:01", False, "2024-03-19 21:00", "failed for more than a week: it counts for the latest Tuesday"),
            ("7d", {"next_run": "2024-03-07 09:05", "first_run": tuesday + ":03", **failing}, "2024-03-07 09:05:01", False, "2024-03-12 21:00", "it had never succeeded: the first run counts"),
            ("7d", {"next_run": "2024-03-07 10:00", "last_success": "2024-02-27 21:00:03", **later}, "2024-03-07 10:00:01", False, "2024-03-12 21:00", "it had asked to run two days later: still a Tuesday"),
            ("7d", {"next_run": "2024-03-14 21:05", "last_success": "2024-03-07 10:00", **failing}, "2024-03-14 21:05:01", False, "2024-03-21 21:00", "forced on a Thursday morning, failed the next Thursday: it stays a Thursday"),
            ("7d", {"next_run": "2024-03-07 10:05", "last_success": "2024-03-05 21:00:03", **failing}, "2024-03-07 10:05:01", False, "2024-03-12 21:00", "a forced run failed, and is retried unforced: the plan stands"),
            ("7d", {"next_run": "2024-03-12 21:00"}, "2024-03-07 10:00", False, "2024-03-12 21:00", "recorded by hand ahead of its plan: the plan stands"),
            ("7d", {"next_run": tuesday + ":41.500"}, tuesday + ":55", False, "2024-03-12 21:00", "a row of the original, with seconds"),
            ("7d", {"next_run": "2024-03-05 22:00"}, "2024-03-05 22:00:03", False, "2024-03-12 21:00", "the original's 21:00 was in UTC: the server's zone from now on"),
            ("7d", {"next_run": "2024-03-05 19:00"}, "2024-03-05 19:00:03", False, "2024-03-12 21:00", "its time was 19:00 when this run was planned: only one run on that day"),
            ("30d", {"next_run": "2024-03-05 21:00"}, "2024-03-05 21:00:03", False, "2024-04-04 21:00", "calendar days: the change to summer time in between shifts nothing"),
        ]  # fmt: skip
        for frequency, before, started, forced, expected, why in table:
            with self.subTest(why, frequency=frequency, started=started):
                schedule = parse_schedule(frequency, "21:00")
                self.assertEqual(
                    next_run_after_success(schedule, _state_of(before), at(started), BERLIN, forced), at(expected)
                )

    def test_slots_keep_their_local_time_when_the_clocks_change(self):
        table = [
            (BERLIN, "1d", "02:30", "2024-03-30 02:30", "2024-03-31 03:00", "in the gap: its end"),
            (BERLIN, "1d", "02:30", "2024-03-31 03:00", "2024-04-01 02:30", "after the gap: the time as written"),
            (BERLIN, "7d", "02:30", "2024-03-31 03:00", "2024-04-07 02:30", "the same with more days"),
            (BERLIN, "1d", "02:30", "2024-10-26 02:30", "2024-10-27 02:30", "in the overlap: the first of the two"),
            (BERLIN, "1d", "02:30", "2024-10-27 02:30", "2024-10-28 02:30", "once only"),
            (BERLIN, "1d", "21:00", "2024-03-30 21:00", "2024-03-31 21:00", "a day of 23 hours"),
            (NUUK, "1d", "23:30", "2024-03-29 23:30", "2024-03-31 00:00", "the gap runs to midnight: its end is the next date"),
            (NUUK, "1d", "23:30", "2024-03-31 00:00", "2024-03-31 23:30", "which gets its own run, too"),
            (NUUK, "7d", "23:30", "2024-03-31 00:00", "2024-04-06 23:30", "and a Saturday stays a Saturday"),
            (APIA, "1d", "21:00", "2011-12-29 21:00", "2011-12-31 21:00", "30 December did not exist"),
            (APIA, "1d", "00:00", "2011-12-29 00:00", "2011-12-31 00:00", "the same at midnight"),
            (APIA, "7d", "21:00", "2011-12-23 21:00", "2011-12-31 00:00", "a week after the 23rd is the skipped date: its end"),
            (APIA, "7d", "21:00", "2011-12-31 00:00", "2012-01-06 21:00", "and a Friday stays a Friday"),
        ]  # fmt: skip
        for zone, frequency, time_, due, expected, why in table:
            with self.subTest(why):
                started = at(due, zone) + timedelta(seconds=3)
                schedule = parse_schedule(frequency, time_)
                next_run = next_run_after_success(schedule, state(at(due, zone)), started, zone)
                self.assertEqual(next_run, at(expected, zone))
                self.assertLess(started.astimezone(UTC), next_run)

    def test_a_jumping_clock_causes_no_second_run(self):
        planned = {"next_run": "2024-03-06 21:00", "last_success": "2024-03-05 21:00:03"}
        table = [
            ("1d", "21:00", "2024-03-05 20:00", None, "set back an hour after the run: it is not due again"),
            ("1d", "21:00", "2024-03-06 22:00", "2024-03-07 21:00", "set forward a day: it runs, and goes on from there"),
            ("7d", "21:00", "2024-03-06 22:00", "2024-03-13 21:00", "the same with more days"),
            ("5m", "", "2024-03-05 20:00", None, "back an hour: not before its time"),
            ("5m", "", "2024-03-07 22:01:10", "2024-03-07 22:06", "forward a day: late, so the phase is reset"),
        ]
        for frequency, time_, now, expected, why in table:
            with self.subTest(why, frequency=frequency):
                schedule, before = parse_schedule(frequency, time_), _state_of(planned)
                next_run = None
                if is_due(schedule, before, at(now), BERLIN):
                    next_run = next_run_after_success(schedule, before, at(now), BERLIN)
                self.assertEqual(next_run, expected and at(expected))

    def test_a_success_on_a_later_date_remembers_its_slot(self):
        tuesday = "2024-03-05 21:00"
        table = [
            ("7d", {"next_run": tuesday}, tuesday + ":03", False, None, "its own date is enough"),
            ("7d", {"next_run": tuesday}, "2024-03-07 10:00", False, tuesday, "late by two days"),
            ("7d", {"next_run": tuesday}, "2024-03-14 10:00", False, "2024-03-12 21:00", "the latest slot that has passed"),
            ("7d", {"next_run": tuesday}, "2024-03-07 10:00", True, None, "forced: its own date is the new one"),
            ("7d", None, "2024-03-07 10:00", True, None, "a first run: the same"),
            ("1d", {"next_run": tuesday}, "2024-03-07 10:00", False, None, "a daily job has a slot on every date"),
            ("7d", {"next_run": "2024-03-12 21:00"}, "2024-03-07 10:00", False, tuesday, "ahead of its plan: the slot before"),
        ]  # fmt: skip
        for frequency, before, started, forced, expected, why in table:
            with self.subTest(why):
                schedule = parse_schedule(frequency, "21:00")
                slot = slot_to_remember(schedule, _state_of(before), at(started), BERLIN, forced)
                self.assertEqual(slot, expected and at(expected))

    def test_a_job_without_a_time_has_no_slot_to_remember(self):
        self.assertIsNone(slot_to_remember(parse_schedule("7d", ""), None, at("2024-03-07 10:00"), BERLIN))


class TestNextRunAfterAFailure(unittest.TestCase):
    def test_it_is_now_plus_the_retry_time_in_whole_minutes(self):
        table = [
            ("12:00:20", timedelta(seconds=300), "12:05"),
            ("12:00:59.999", timedelta(seconds=300), "12:05"),
            ("12:00:20", timedelta(seconds=45), "12:01"),
            ("12:00:20", timedelta(0), "12:00"),
            ("22:30:00", timedelta(hours=1), "23:30"),
        ]
        for failed_at, retry_after, expected in table:
            with self.subTest(failed_at, retry_after=retry_after):
                self.assertEqual(
                    next_run_after_failure(at(f"2024-03-05 {failed_at}"), retry_after), at(f"2024-03-05 {expected}")
                )

    def test_a_retry_beyond_the_end_of_time_is_never(self):
        self.assertEqual(next_run_after_failure(at("2024-03-05 12:00"), timedelta.max), NEVER)


def _state_of(columns):
    if columns is None:
        return None
    return JobState("job", **{name: at(v) if isinstance(v, str) else v for name, v in columns.items()})
