"""The text of --audit-ghosts, compared as a whole."""

import unittest

from crontabber.commands.audit_ghosts import render_ghosts
from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.job import Job
from crontabber.rules.schedule import parse_schedule


class TestGhosts(unittest.TestCase):
    def test_a_ghost_is_stored_but_not_configured(self):
        job = Job("c", object, None, parse_schedule("1d", None))

        self.assertEqual(ConfiguredJobs([job]).ghosts(["b", "a", "c"]), ["a", "b"])

    def test_nothing_is_printed_without_ghosts(self):
        self.assertEqual(render_ghosts([]), "")

    def test_it_prints_a_heading_and_one_line_per_ghost(self):
        text = "Found the following in the state database but not configured here:\n\ta\n\tb\n"

        self.assertEqual(render_ghosts(["a", "b"]), text)

    def test_control_characters_in_a_name_are_escaped(self):
        self.assertTrue(render_ghosts(["a\x1b[31m\n\tb"]).endswith("\n\ta\\x1b[31m\\n\\tb\n"))
