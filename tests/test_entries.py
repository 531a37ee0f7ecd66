"""The text of the `jobs` setting, split into entries and their parts."""

import os
import random
import re
import unittest

from crontabber.config.entries import get_extra_as_options, line_splitter, pipe_splitter
from crontabber.errors import JobDescriptionError


def old_line_splitter(text):
    """Split as version 1.0 did, which had no cron expressions."""
    lines = [line for line in text.strip().strip("'\"").splitlines() if not line.lstrip().startswith("#")]
    return [entry.strip() for entry in re.split(r"[\n,;]", "\n".join(lines)) if entry.strip()]


def old_extra(entry):
    """Return frequency and time as version 1.0 did; None for an entry that it refused."""
    parts = [part.strip() for part in entry.split("|")]
    if not 2 <= len(parts) <= 3 or not parts[1]:
        return None
    frequency, time = parts[1], parts[2] if len(parts) == 3 else ""
    return ("1d", frequency) if ":" in frequency and not time else (frequency, time)


def extra(entry):
    try:
        options = get_extra_as_options(entry)
    except JobDescriptionError:
        return None
    return tuple(option.default for option in options.values())


class TestSplitting(unittest.TestCase):
    def test_entries_are_separated_by_newlines_commas_and_semicolons(self):
        text = "\n  a.B|5m ,c.D|1d|03:00;\n\n# e.F|1d, g.H|2d\n  # i.J|1m\n k.L|1h\n"

        self.assertEqual(line_splitter(text), ["a.B|5m", "c.D|1d|03:00", "k.L|1h"])

    def test_the_class_comes_before_the_first_bar(self):
        self.assertEqual(pipe_splitter(" a.B | 5m"), "a.B")

    def test_the_rest_of_an_entry_becomes_options(self):
        cases = {
            "a.B|5m": ("5m", ""),
            "a.B | 7d | 03:00": ("7d", "03:00"),
            "a.B|03:00": ("1d", "03:00"),
            "a.B | 0 3 * * 1,2 ": ("0 3 * * 1,2", ""),
            "a.B|@daily": ("@daily", ""),
        }
        for entry, expected in cases.items():
            with self.subTest(entry):
                options = get_extra_as_options(entry)
                self.assertEqual((options.frequency.default, options.time.default), expected)

    def test_a_malformed_entry_is_refused(self):
        for entry in (
            "a.B", "a.B|", "a.B| |03:00", "a.B|1d|03:00|x", "a.B|1d|03:00|", "a.B|1d||UTC", "a.B|03:00|x", "a.B|0 3 * * *|03:00",
            "a.B|0 3 * * *|UTC|x", "a.B|1d|03:00|UTC|x",
        ):
            with self.subTest(entry), self.assertRaises(JobDescriptionError) as caught:
                get_extra_as_options(entry)
            self.assertIn(repr(entry), str(caught.exception))



    def test_a_comma_within_a_cron_expression_does_not_separate(self):
        for text, expected in [
            ("a.B|0 3 * * 1,2,c.D|5m", ["a.B|0 3 * * 1,2", "c.D|5m"]),
            ("a.B|0,30 8,18 1,15 1,7 1,*/2", ["a.B|0,30 8,18 1,15 1,7 1,*/2"]),
            ("a.B|0 0 1,15-20,L * *, c.D|5m", ["a.B|0 0 1,15-20,L * *", "c.D|5m"]),
            ("a.B|0 0 * jan,Feb mon,TUE|Europe/Berlin,c.D|5m", ["a.B|0 0 * jan,Feb mon,TUE|Europe/Berlin", "c.D|5m"]),
            ("a.B|0 0 * * 5#1,5#3;c.D|0 0 * * 1L,5L\ne.F|5m", ["a.B|0 0 * * 5#1,5#3", "c.D|0 0 * * 1L,5L", "e.F|5m"]),
            ("a.B|0 0 * * MON,\nTUE.C|5m", ["a.B|0 0 * * MON", "TUE.C|5m"]),
            ("a.B|5m,mon.C|5m,SUNNY.D|5m,L.E|1h,jan_.F|1h", ["a.B|5m", "mon.C|5m", "SUNNY.D|5m", "L.E|1h", "jan_.F|1h"]),
        ]:
            with self.subTest(text):
                self.assertEqual(line_splitter(text), expected)

    def test_a_zone_follows_a_time_of_day_or_a_cron_expression(self):
        for entry, expected in [
            ("a.B|1d|03:00|Europe/Berlin", ("1d", "03:00", "Europe/Berlin")),
            ("a.B|03:00 | Europe/Berlin", ("1d", "03:00", "Europe/Berlin")),
            ("a.B|0 3 * * 1-5|UTC", ("0 3 * * 1-5", "", "UTC")),
            ("a.B|@daily|America/New_York", ("@daily", "", "America/New_York")),
            ("a.B|1d|Europe/Berlin", ("1d", "Europe/Berlin")),
        ]:
            with self.subTest(entry):
                self.assertEqual(extra(entry), expected)

    def test_an_unknown_zone_is_refused_with_the_nearest_name(self):
        for zone, hint in [
            ("Europe/Berln", "did you mean 'Europe/Berlin'?"), ("america/new york", "did you mean 'America/New_York'?"),
            ("x", "expected a name such as Europe/Berlin or UTC"), ("../x", "expected a name such as Europe/Berlin or UTC"),
        ]:  # fmt: skip
            with self.subTest(zone), self.assertRaises(JobDescriptionError) as caught:
                get_extra_as_options(f"a.B|03:00|{zone}")
            self.assertEqual(str(caught.exception), f"jobs: 'a.B|03:00|{zone}': unknown time zone {zone!r}: {hint}")


class TestOldEntries(unittest.TestCase):
    """Whatever version 1.0 accepted still means the same."""

    number = 200

    def test_they_are_split_and_parsed_as_before(self):
        seed = int(os.environ.get("CRONTABBER_TEST_SEED", random.randrange(2**32)))
        print(f"CRONTABBER_TEST_SEED={seed}")
        chance = random.Random(seed)
        for text in [*CASES_OF_VERSION_1_0, *(a_setting(chance) for _ in range(self.number))]:
            with self.subTest(text):
                entries = old_line_splitter(text)
                self.assertEqual(line_splitter(text), entries)
                for entry in entries:
                    self.assertEqual((pipe_splitter(entry), extra(entry)), (entry.split("|")[0].strip(), old_extra(entry)))


CASES_OF_VERSION_1_0 = [
    "\n  a.B|5m ,c.D|1d|03:00;\n\n# e.F|1d, g.H|2d\n  # i.J|1m\n k.L|1h\n", " a.B | 5m", "a.B|5m", "a.B | 7d | 03:00",
    "a.B|03:00", "a.B", "a.B|", "a.B| |03:00", "", "'a.B|1h'", '"a.B|1h,\nc.D|2h"', "Lonely|1d", "a.B|3e", "a.B|1h|03:00",
    "tests.jobs.FooJob|1h, tests.jobs.BarJob|1d|03:00", "tests.nowhere.Foo|1d\ntests.jobs.FooJob|3e\nLonely|1d",
]  # fmt: skip


def a_setting(chance):
    """Return a setting with comments, blanks, empty and malformed entries."""
    lines = [chance.choice([an_entry, an_entry, an_entry, a_comment])(chance) for _ in range(chance.randint(0, 8))]
    return "".join(line + chance.choice([",", ", ", ";", "\n", " ,\n", "\n\n"]) for line in lines)


def an_entry(chance):
    names = ["jobs", "mon", "MON", "Jan", "l", "L", "LW", "sunny", "_1", "j2", "décembre"]
    path = ".".join(chance.choice(names) for _ in range(chance.randint(2, 3)))
    frequency = chance.choice(["5m", "12h", "7d", "1d", "03:00", "1:45", "0d", "5 m", "x", "", "-1d", "1.5h"])
    time = chance.choice(["", "", "|03:00", "|23:59", "|3:00", "|", "|25:00", "|x" if ":" not in frequency else ""])
    blank = chance.choice(["", " ", "\t"])
    return f"{blank}{path}{blank}|{blank}{frequency}{time}{blank}"


def a_comment(chance):
    return f"\n# {an_entry(chance)}\n"
