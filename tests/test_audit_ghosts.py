"""--audit-ghosts, compared as a whole text."""

import unittest

from crontabber.commands.audit_ghosts import render_ghosts


class TestGhosts(unittest.TestCase):
    def test_nothing_where_there_are_none(self):
        self.assertEqual(render_ghosts(["a"], ["a", "b"]), "")

    def test_a_heading_and_a_line_each(self):
        self.assertEqual(
            render_ghosts(["b", "a", "c"], ["c"]), "Ghosts: in the state database, but not configured here\n\ta\n\tb\n"
        )
