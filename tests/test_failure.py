"""Errors of jobs as text that can be stored."""

import sys
import unittest

from crontabber.engine.failure import LIMIT, failure_of


def raised(error):
    try:
        raise error
    except BaseException as caught:
        return caught


class WithoutStr(Exception):
    def __str__(self):
        raise RuntimeError("no str")

    __repr__ = __str__


class MetaWithoutRepr(type):
    def __repr__(cls):
        raise RuntimeError("no repr")


class WithoutRepr(Exception, metaclass=MetaWithoutRepr):
    pass


class TestFailureOf(unittest.TestCase):
    def test_it_has_the_repr_of_the_type_the_value_and_the_traceback(self):
        failure = failure_of(raised(ValueError("No more tissues")))

        self.assertEqual((failure.type, failure.value), ("<class 'ValueError'>", "No more tissues"))
        self.assertRegex(failure.traceback, r'^  File ".*test_failure.py", line \d+, in raised\n    raise error')
        self.assertNotIn("No more tissues", failure.traceback.splitlines()[-1])

    def test_the_traceback_of_a_cause_is_kept(self):
        try:
            try:
                1 / 0
            except ZeroDivisionError as error:
                raise ValueError("outer") from error
        except ValueError as error:
            text = failure_of(error).traceback

        self.assertIn("ZeroDivisionError: division by zero", text)
        self.assertIn("direct cause", text)

    def test_exceptions_that_cannot_be_printed_are_still_recorded(self):
        self.assertEqual(failure_of(raised(WithoutStr())).value, "<an exception whose str() raises>")
        self.assertEqual(failure_of(raised(WithoutRepr("x"))).type, "<an exception class whose repr() raises>")

    def test_characters_that_postgresql_refuses_are_escaped(self):
        self.assertEqual(failure_of(raised(ValueError("a\x00b\udc80c"))).value, "a\\x00b\\udc80c")

    def test_a_huge_message_is_cut_in_the_middle(self):
        failure = failure_of(raised(ValueError("<" + "x" * 10_000_000 + ">")))

        self.assertTrue(failure.value.startswith("<xxx") and failure.value.endswith("xxx>"))
        self.assertLess(len(failure.value), LIMIT + 100)
        self.assertLess(len(failure.traceback), LIMIT + 100)

    def test_a_deep_recursion_is_recorded(self):
        def sink(depth):
            if depth:
                sink(depth - 1)
            raise RecursionError("bottom")

        before = sys.getrecursionlimit()
        sys.setrecursionlimit(20_000)
        try:
            failure = failure_of(raised_by(sink, 5_000))
        finally:
            sys.setrecursionlimit(before)

        self.assertEqual(failure.value, "bottom")
        self.assertLess(len(failure.traceback), LIMIT + 100)

    def test_secrets_are_masked_everywhere(self):
        failure = failure_of(raised(ValueError("key hunter2")), lambda text: text.replace("hunter2", "****"))

        self.assertEqual(failure.value, "key ****")
        self.assertNotIn("hunter2", failure.traceback)

    def test_secrets_are_masked_before_the_text_is_cut(self):
        half = LIMIT // 2
        message = "x" * (half - 3) + "hunter2" + "y" * LIMIT

        failure = failure_of(raised(ValueError(message)), lambda text: text.replace("hunter2", "****"))

        self.assertNotIn("hun", failure.value)


def raised_by(function, *args):
    try:
        function(*args)
    except BaseException as error:
        return error
