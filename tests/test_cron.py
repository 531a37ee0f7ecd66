"""Cron expressions: which are valid, what they mean, and when it is time in zones whose clocks change."""

import unittest
from datetime import datetime, timedelta, timezone
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim

from crontabber.errors import FrequencyDefinitionError
from crontabber.rules.cron import NAMES, in_words, is_cron, is_slot, latest_slot, parse_cron, slots_after

UTC = timezone.utc
BERLIN = ZoneInfo("Europe/Berlin")
# Zones, and when their clocks change in 2024 and 2025. In Havana and Beirut, it is midnight.
CHANGES = {
    "Europe/Berlin": ["2024-03-31 01:00", "2024-10-27 01:00", "2025-03-30 01:00", "2025-10-26 01:00"],
    "America/New_York": ["2024-03-10 07:00", "2024-11-03 06:00", "2025-03-09 07:00", "2025-11-02 06:00"],
    "America/Havana": ["2024-03-10 05:00", "2024-11-03 05:00", "2025-03-09 05:00", "2025-11-02 05:00"],
    "Asia/Beirut": ["2024-03-30 22:00", "2024-10-26 21:00", "2025-03-29 22:00", "2025-10-25 21:00"],
    "Australia/Lord_Howe": ["2024-04-06 15:00", "2024-10-05 15:30", "2025-04-05 15:00", "2025-10-04 15:30"],
}
EXPRESSIONS = [
    "30 2 * * *", "15,45 2 * * *", "0 0 * * *", "30 0,1 * * 0", "*/20 * * * *", "30 * * * *", "*/30 1,2 * * *",
    "0 3 1 * MON-FRI",
]  # fmt: skip
MINUTE = timedelta(minutes=1)


def at(wall, zone=BERLIN, fold=0):
    return datetime.fromisoformat(wall).replace(tzinfo=zone, fold=fold)


class TestParsing(unittest.TestCase):
    def test_it_is_recognised_by_its_fields_or_its_name(self):
        for text, expected in (
            ("0 3 * * *", True), ("* * *", True), ("0 0 0 3 * *", True), ("@daily", True), ("@reboot", True),
            ("5m", False), ("5 m", False), ("03:00", False), ("", False), ("*", False),
        ):  # fmt: skip
            with self.subTest(text):
                self.assertIs(is_cron(text), expected)

    def test_five_fields_remain_as_they_are_and_names_become_five_fields(self):
        for text, expected in [
            ("0  3 * *\t1-5", "0 3 * * 1-5"), ("@Daily", "0 0 * * *"), *((text, text) for text in EXPRESSIONS),
            ("0 0 L * *", "0 0 L * *"), ("0 0 LW * *", "0 0 LW * *"), ("0 0 * jan-Mar fri#1", "0 0 * jan-Mar fri#1"),
            ("0 0 * * 5L", "0 0 * * 5L"), ("0 0 29 2 *", "0 0 29 2 *"), ("0 0 * 2 MON#5", "0 0 * 2 MON#5"),
        ]:  # fmt: skip
            with self.subTest(text):
                self.assertEqual(parse_cron(text), expected)

    def test_anything_else_is_refused(self):
        fields = "expected minute, hour, day of month, month and day of week"
        for text, message in [
            ("0 0 3 * * *", f"'0 0 3 * * *' has 6 fields: {fields}"),
            ("0 3 * *", f"'0 3 * *' has 4 fields: {fields}"),
            ("60 * * * *", "'60 * * * *' is not a valid cron expression: bad minute"),
            ("0 24 * * *", "'0 24 * * *' is not a valid cron expression: bad hour"),
            ("0 0 * * 8", "'0 0 * * 8' is not a valid cron expression: bad day-of-week"),
            ("0 0 5-1 * *", "'0 0 5-1 * *' is not a valid cron expression: bad day-of-month"),
            ("0 0 * JUN-x *", "'0 0 * JUN-x *' is not a valid cron expression: bad month"),
            ("*/0 * * * *", "'*/0 * * * *' is not a valid cron expression: bad minute"),
            ("every day at three", "'every day at three' has 4 fields: " + fields),
            ("0 0 30 2 *", "'0 0 30 2 *' is not a valid cron expression: bad day-of-month"),
            ("0 0 */30 2 MON#5", "'0 0 */30 2 MON#5' never comes"),
            ("@reboot", "unknown name '@reboot': expected one of @hourly, @daily, @weekly, @monthly, @yearly"),
        ]:
            with self.subTest(text), self.assertRaises(FrequencyDefinitionError) as caught:
                parse_cron(text)
            self.assertEqual(str(caught.exception), message)

    def test_a_number_of_thousands_of_digits_is_refused(self):
        with self.assertRaises(FrequencyDefinitionError):
            parse_cron(f"{'9' * 5000} * * * *")

    def test_words_say_what_it_means(self):
        for expression, words in [
            ("0 3 * * 1-5", "At 03:00 on Monday through Friday"),
            (NAMES["@monthly"], "At 00:00 on the first day of every month"),
            ("*/5 * * * *", "Every fifth minute of every hour"),
            ("0 0 * * 5#1", "At 00:00 on the first Friday of the month"),
        ]:
            with self.subTest(expression):
                self.assertEqual(in_words(expression), words)


class TestSlots(unittest.TestCase):
    # Each line: expression, moment, what the clocks in Berlin show at the next slots, reason.
    def test_the_slots_are_those_after_a_moment(self):
        table = [
            ("0 3 * * *", at("2024-03-05 02:59:59"), ["03-05 03:00 +01", "03-06 03:00 +01"], "today's is still to come"),
            ("0 3 * * *", at("2024-03-05 03:00"), ["03-06 03:00 +01"], "not the one at the moment itself"),
            ("0 3 * * *", at("2024-03-05 02:59:59.999999"), ["03-05 03:00 +01"], "microseconds before it"),
            ("0 8 * * MON-FRI", at("2024-03-08 09:00"), ["03-11 08:00 +01"], "over the weekend"),
            ("0 0 L 2 *", at("2024-01-01 00:00"), ["02-29 00:00 +01"], "a leap year"),
            ("30 2 * * *", at("2024-03-30 12:00"), ["03-31 03:00 +02", "04-01 02:30 +02"], "in the gap: at its end"),
            ("15,45 2,3 * * *", at("2024-03-31 00:00"), ["03-31 03:00 +02", "03-31 03:15 +02", "03-31 03:45 +02"], "two in the gap: once"),
            ("30 2 * * *", at("2024-10-26 12:00"), ["10-27 02:30 +02", "10-28 02:30 +01"], "in the overlap: the first"),
            ("30 2 * * *", at("2024-10-27 02:10", fold=1), ["10-28 02:30 +01"], "in the second pass: it is over"),
            ("30 * * * *", at("2024-10-27 01:30"), ["10-27 02:30 +02", "10-27 02:30 +01", "10-27 03:30 +01"], "every hour: both"),
            ("30 * * * *", at("2024-03-31 01:30"), ["03-31 03:30 +02"], "every hour: none in the gap"),
        ]
        for expression, moment, expected, why in table:
            with self.subTest(why):
                slots = islice(slots_after(expression, moment, BERLIN), len(expected))
                self.assertEqual([f"{slot.astimezone(BERLIN):%m-%d %H:%M %z}"[:-2] for slot in slots], expected)

    def test_they_end_with_the_calendar(self):
        last = datetime(9999, 12, 31, 12, tzinfo=UTC)

        for zone in (UTC, BERLIN, ZoneInfo("Pacific/Apia")):
            for expression in EXPRESSIONS:
                with self.subTest(zone=zone, expression=expression):
                    self.assertLess(len(list(slots_after(expression, last, zone))), 50)

    def test_the_latest_slot_is_up_to_and_including_a_moment(self):
        for expression, moment, expected, why in [
            ("0 3 * * *", at("2024-03-05 03:00"), at("2024-03-05 03:00"), "at the moment itself"),
            ("0 3 * * *", at("2024-03-05 02:59"), at("2024-03-04 03:00"), "yesterday's"),
            ("30 2 * * *", at("2024-03-31 03:00"), at("2024-03-31 03:00"), "the end of the gap"),
            ("30 2 * * *", at("2024-10-27 02:10", fold=1), at("2024-10-27 02:30"), "the first pass of the overlap"),
            ("*/5 * * * *", at("2024-10-27 02:12", fold=1), at("2024-10-27 02:10", fold=1), "the second pass"),
        ]:
            with self.subTest(why):
                self.assertEqual(latest_slot(expression, moment, BERLIN), expected.astimezone(UTC))

    def test_a_slot_is_one_of_them(self):
        self.assertTrue(is_slot("30 2 * * *", at("2024-03-31 03:00"), BERLIN))
        self.assertFalse(is_slot("30 2 * * *", at("2024-04-01 03:00"), BERLIN))


class TestMinutes(unittest.TestCase):
    """The next slot of each minute, compared with the answers of one cronsim that counts through the whole time."""

    expressions = EXPRESSIONS

    def spans(self, changes):
        """Return from when to when to compare: the hours around two changes of the clocks."""
        return [(at(change, UTC) - timedelta(hours=2), at(change, UTC) + timedelta(hours=3)) for change in changes[:2]]

    def test_each_is_the_next_answer_of_cronsim(self):
        for name, changes in CHANGES.items():
            for expression in self.expressions:
                for start, end in self.spans(changes):
                    with self.subTest(zone=name, expression=expression, start=start):
                        self.compare(expression, ZoneInfo(name), start, end)

    def compare(self, expression, zone, start, end):
        answers = (answer.astimezone(UTC) for answer in CronSim(expression, start.astimezone(zone)))
        coming, now = next(answers), start
        while now < end:
            while coming <= now:
                coming = next(answers)
            self.assertEqual(next(slots_after(expression, now, zone)), coming, now)
            now += MINUTE
