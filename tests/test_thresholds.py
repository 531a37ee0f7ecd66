"""Ranges and thresholds: the examples of the monitoring plugins' guidelines, and what a reader that follows them says."""

import unittest

from hypothesis import given
from hypothesis import strategies as st

from crontabber.errors import ConfigurationError
from crontabber.rules.thresholds import parse_range, parse_thresholds
from tests.plugin_reader import alerts

RANGES = [
    # range, values that alert, values that do not
    ("10", [-1, -0.1, 10.1, 11], [0, 10]),
    ("10:", [9.9, -5], [10, 10**9]),
    ("~:10", [10.1], [10, -(10**9)]),
    ("10:20", [9.9, 20.1], [10, 20]),
    ("@10:20", [10, 15, 20], [9.9, 20.1]),
    ("@10", [0, 5, 10], [-1, 11]),
    ("0", [1, -1], [0]),
    ("0:", [-1], [0, 5]),
    ("~:", [], [-5, 5]),
    ("-5:-1", [0, -6], [-5, -1]),
    ("@~:0", [0, -7], [1]),
    ("1.5:2.5", [1.4, 2.6], [1.5, 2.5]),
]
NO_RANGES = ["", "@", ":", "x", "20:10", "10:20:30", "1,5", ":10", "~", "10 ", "--5", "1e3", "0x1", "٣", "@@1", "5%", "10s"]

numbers = st.integers(-50, 50).map(str) | st.decimals(-50, 50, places=2).map(str)


class TestRange(unittest.TestCase):
    def test_each_form_alerts_as_the_guidelines_say(self):
        for text, alerting, fine in RANGES:
            for value in (*alerting, *fine):
                with self.subTest(text, value=value):
                    self.assertEqual(parse_range(text).alerts(value), value in alerting)
                    self.assertEqual(alerts(text, value), value in alerting)

    def test_anything_else_is_refused(self):
        for text in NO_RANGES:
            with self.subTest(text), self.assertRaisesRegex(ConfigurationError, r" is not a range: expected one such as"):
                parse_range(text)

    @given(st.sampled_from(["", "@"]), numbers | st.sampled_from(["", "~"]), numbers | st.just(""), st.integers(-60, 60))
    def test_any_range_means_what_the_reader_says(self, inside, start, end, value):
        text = inside + (f"{start}:" if start else "") + end
        try:
            expected = alerts(text, value) if start or end else None
        except ValueError:
            expected = None

        if expected is None:
            self.assertRaises(ConfigurationError, parse_range, text)
        else:
            self.assertEqual(parse_range(text).alerts(value), expected)


class TestThresholds(unittest.TestCase):
    def test_names_and_ranges_are_separated_by_commas(self):
        found = parse_thresholds(" failing=0, tick_age = @10:20 ,overdue=,", ["failing", "tick_age", "overdue"])

        self.assertEqual(found, {"failing": parse_range("0"), "tick_age": parse_range("@10:20"), "overdue": None})
        self.assertEqual(parse_thresholds("", ["failing"]), {})

    def test_an_unknown_name_lists_the_known_ones(self):
        for text in ("faling=0", "failing", "0", "=0"):
            with self.subTest(text), self.assertRaises(ConfigurationError) as caught:
                parse_thresholds(text, ["failing", "jobs"])
            expected = f"'{text}' is not a threshold: expected NAME=RANGE, with one of failing, jobs"
            self.assertEqual(str(caught.exception), expected)
