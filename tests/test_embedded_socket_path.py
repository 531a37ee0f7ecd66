"""Every data folder gets a path for its socket, the same one each time."""

import os
import shutil
import tempfile
import unittest
from pathlib import Path

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded.socket_path import LONGEST_SOCKET_PATH_BYTES, SOCKET_NAME, socket_directory


class TestSocketDirectory(unittest.TestCase):
    def link_to(self, folder: str) -> Path:
        link = Path(socket_directory(folder))
        self.addCleanup(shutil.rmtree, link.parent, ignore_errors=True)
        return link

    def test_a_short_plain_path_is_used_as_it_is(self) -> None:
        longest = "/" + "x" * (LONGEST_SOCKET_PATH_BYTES - len(SOCKET_NAME) - 2)
        for folder in ("/srv/data", '/srv/it\'s 100% "mine"', longest):
            with self.subTest(folder):
                self.assertEqual(folder, socket_directory(folder))

    def test_any_other_path_is_reached_through_a_private_link(self) -> None:
        cases = (
            ("one byte too long", "/" + "x" * (LONGEST_SOCKET_PATH_BYTES - len(SOCKET_NAME) - 1)),
            ("too long in bytes, not in characters", "/" + "é" * 50),
            ("to libpq, a comma ends a host name", "/srv/a,b"),
        )
        for reason, folder in cases:
            with self.subTest(reason):
                link = self.link_to(folder)

                self.assertEqual(folder, os.readlink(link))
                self.assertEqual(0o40700, link.parent.stat().st_mode)
                self.assertLessEqual(len(os.fsencode(link / SOCKET_NAME)), LONGEST_SOCKET_PATH_BYTES)
                self.assertEqual(str(link), socket_directory(folder), "another process finds the same link")

    def test_a_link_directory_open_to_others_is_refused(self) -> None:
        link = self.link_to("/srv/a,b,c")
        link.parent.chmod(0o755)

        with self.assertRaises(EmbeddedServerError) as raised:
            socket_directory("/srv/a,b,c")
        self.assertEqual(
            f"{link.parent} is not a private directory of this user: remove it, or choose a data_dir with a shorter path",
            str(raised.exception),
        )

    def test_a_link_that_points_elsewhere_is_refused(self) -> None:
        link = self.link_to("/srv/a,b,d")
        link.unlink()
        link.symlink_to("/srv/other")

        with self.assertRaises(EmbeddedServerError) as raised:
            socket_directory("/srv/a,b,d")
        self.assertEqual(f"{link} does not point to data_dir=/srv/a,b,d: remove that link", str(raised.exception))

    def test_a_long_temporary_directory_is_not_used(self) -> None:
        self.addCleanup(setattr, tempfile, "tempdir", tempfile.tempdir)
        tempfile.tempdir = "/" + "y" * 90

        self.assertEqual("/tmp", str(self.link_to("/srv/a,b,e").parent.parent))
