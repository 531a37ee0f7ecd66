"""Which folders the embedded PostgreSQL accepts as its own, and what it says about the others."""

import os
import tempfile
import unittest
from pathlib import Path

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded.cluster import (
    FINISHED,
    GATE_FILE,
    UNFINISHED,
    absolute_folder,
    has_cluster,
    prepare_folder,
)
from crontabber.store.embedded.programs import ServerAccount

OURSELVES = ServerAccount("me", os.geteuid(), os.getegid(), switched=False)
OTHER = ServerAccount("other", os.geteuid() + 1, os.getegid(), switched=False)


class TestAbsoluteFolder(unittest.TestCase):
    def test_every_spelling_of_a_folder_gives_the_same_name(self) -> None:
        home, here = os.path.realpath(os.path.expanduser("~")), os.path.realpath(os.getcwd())
        cases = (
            ("/srv/data", "/srv/data", "an absolute path stays as it is"),
            ("/srv//./x/../data/", "/srv/data", "except for its detours"),
            ("~/data", f"{home}/data", "our user's home"),
            ("data", f"{here}/data", "relative to the current directory"),
            ("$HOME/%s", f"{here}/$HOME/%s", "nothing else is replaced"),
        )
        for text, path, reason in cases:
            with self.subTest(reason):
                self.assertEqual(path, absolute_folder(text))

    def test_a_missing_or_unusable_name_is_refused(self) -> None:
        needed = "data_dir is not set: the embedded PostgreSQL needs a new or empty folder for its data"
        line_end = "data_dir='a\\nb': PostgreSQL cannot use a folder with a line break in its name"
        for text, message in (("", needed), (" ", needed), ("a\nb", line_end)):
            with self.subTest(text=text), self.assertRaises(EmbeddedServerError) as raised:
                absolute_folder(text)
            self.assertEqual(message, str(raised.exception))

    def test_a_relative_name_needs_a_current_directory(self) -> None:
        self.addCleanup(os.chdir, os.getcwd())
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)

        with self.assertRaises(EmbeddedServerError) as raised:
            absolute_folder("data")
        self.assertEqual(
            "data_dir=data is relative, but the current directory no longer exists: use an absolute path",
            str(raised.exception),
        )


class TestPrepareFolder(unittest.TestCase):
    def setUp(self) -> None:
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name, "data")

    def assertAccepted(self) -> None:
        prepare_folder(str(self.folder), OURSELVES)
        self.assertEqual(0o40700, self.folder.stat().st_mode)

    def assertRefused(self, message: str, account: ServerAccount = OURSELVES) -> None:
        with self.assertRaises(EmbeddedServerError) as raised:
            prepare_folder(str(self.folder), account)
        self.assertEqual(f"data_dir={self.folder}{message}", str(raised.exception))

    def test_a_new_folder_is_private_and_nothing_is_left_next_to_it(self) -> None:
        self.assertAccepted()

        self.assertEqual([self.folder], list(self.folder.parent.iterdir()))
        self.assertFalse(has_cluster(str(self.folder)))

    def test_an_empty_folder_and_a_complete_or_unfinished_cluster_are_accepted(self) -> None:
        for left in ((), ("PG_VERSION", "base"), (GATE_FILE, UNFINISHED), (GATE_FILE, "base", FINISHED)):
            with self.subTest(left=left):
                self.folder.mkdir(mode=0o700, exist_ok=True)
                for name in left:
                    (self.folder / name).mkdir(exist_ok=True)

                self.assertAccepted()

    def test_a_folder_with_other_files_is_refused_whatever_its_owner(self) -> None:
        self.folder.mkdir(mode=0o700)
        (self.folder / "thesis.tex").touch()

        for account in (OURSELVES, OTHER):
            with self.subTest(account=account):
                self.assertRefused(" is not empty, but holds no PostgreSQL data: choose a folder that is new or empty", account)

    def test_a_file_is_refused(self) -> None:
        self.folder.touch()

        self.assertRefused(" is not a folder: choose one that is new or empty")

    def test_a_missing_parent_is_not_created(self) -> None:
        self.folder = self.folder / "deep" / "data"

        self.assertRefused(f": the folder {self.folder.parent} does not exist: create it first")

    def test_a_folder_open_to_others_is_refused_and_not_changed(self) -> None:
        self.folder.mkdir()
        for mode in (0o755, 0o750, 0o701):
            with self.subTest(mode=oct(mode)):
                self.folder.chmod(mode)

                self.assertRefused(" is open to other users: close it with chmod 700, or choose a new data_dir")
                self.assertEqual(0o40000 + mode, self.folder.stat().st_mode)

    def test_a_folder_of_another_user_is_refused(self) -> None:
        self.folder.mkdir(mode=0o700)

        self.assertRefused(
            " does not belong to other, the user that PostgreSQL runs as:\n"
            "run crontabber as the owner, set run_as to the owner (root only), or choose a new data_dir",
            OTHER,
        )
