"""Tables for people: aligned with any script, cut to the width of a terminal."""

import unittest
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from crontabber.datetimeutil import brief
from crontabber.output.table import cut, display_width, render_table

ROWS = [("JOB", "IN", "WHY"), ("夜間バッチ", "5m", "it is not due"), ("foo", "10h 5m", ""), ("משימה", "1d", "é e\u0301")]


class TestTable(unittest.TestCase):
    def test_columns_stay_aligned_with_wide_and_combining_characters(self):
        self.assertEqual(render_table(ROWS), [
            "JOB         IN      WHY",
            "夜間バッチ  5m      it is not due",
            "foo         10h 5m",
            "משימה       1d      é e\u0301",
        ])  # fmt: skip

    def test_a_long_name_loses_its_middle_and_a_long_reason_its_end(self):
        rows = [("JOB", "WHY"), ("a" * 150 + "z" * 150, "because " * 30)]

        lines = render_table(rows, 40, (0, 1))

        self.assertEqual([len(line) for line in lines[1:]], [40])
        self.assertRegex(lines[1], r"\Aa+…z+  because .*…\Z")

    def test_what_fits_is_not_cut(self):
        self.assertEqual(render_table([("a", "b"), ("c" * 30, "d")], 33, (0, 1)), ["a" + " " * 31 + "b", "c" * 30 + "  d"])

    @given(st.text(), st.integers(1, 40))
    def test_a_cut_text_takes_no_more_than_its_width(self, text, width):
        for at_end in (False, True):
            shown = cut(text, width, at_end)
            self.assertLessEqual(display_width(shown), width)
            self.assertTrue(shown == text or "…" in shown)


class TestBrief(unittest.TestCase):
    def test_it_says_how_long_in_a_few_characters(self):
        for seconds, text in (
            (-5, "0.0s"), (0.04, "0.0s"), (9.96, "10.0s"), (12.9, "12s"), (60, "1m"), (250, "4m 10s"), (600, "10m"), (3599, "59m"),
            (3600, "1h"), (5400, "1h 30m"), (86400, "1d"), (90000, "1d 1h"), (864000 + 60, "10d"),
        ):  # fmt: skip
            with self.subTest(seconds):
                self.assertEqual(brief(timedelta(seconds=seconds)), text)
