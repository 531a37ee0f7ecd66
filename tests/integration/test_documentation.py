"""A reader follows every example of README.md, docs/ and exampleapp/README.md: what they show is what happens."""

import re
import shutil
import unittest
from collections.abc import Callable

from crontabber.store.embedded.programs import candidate_folders
from tests.documents import DEVELOPER_PAGES, ROOT, USER_PAGES, Block, blocks_of, count_of_blocks
from tests.integration.reader_machine import Reader, new_database_name, new_folder
from tests.integration.sentry_receiver import SentryReceiver
from tests.support import connect, connection_options

# These start in an empty folder; the others where the quickstart ends.
FROM_NOTHING = ("README.md", "docs/user/introduction.rst")
# Developer pages may show these without running them, and files of the tests, which the tests run.
NO_COMMANDS = ("ini", "text", "json")
TESTED = "../../tests/"
APP_NAME = re.compile(r'^    app_name = "(.+)"$', re.MULTILINE)
RAN = "SELECT DISTINCT app_name FROM crontabber_log"


def may_create_databases() -> bool:
    with connect() as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user")
        return bool(cursor.fetchone()[0])


class TestBlocks(unittest.TestCase):
    def test_no_block_of_any_page_is_overlooked(self) -> None:
        for page in (*USER_PAGES, *DEVELOPER_PAGES):
            with self.subTest(page):
                self.assertEqual(len(blocks_of(page)), count_of_blocks(page))

    def test_every_block_runs_or_explains_why_not(self) -> None:
        for page in (*USER_PAGES, *DEVELOPER_PAGES):
            for block in blocks_of(page):
                with self.subTest(str(block)):
                    fine = block.kind in NO_COMMANDS or block.kind.startswith(TESTED)
                    is_run = _is_run(block) if page in USER_PAGES else fine
                    self.assertTrue(block.reason or is_run, f"{block} is not run, and no `not run: REASON` above says why")

    def test_every_python_block_is_run(self) -> None:
        for page in USER_PAGES:
            for block in blocks_of(page):
                if block.kind == "python":
                    with self.subTest(str(block)):
                        self.assertEqual((bool(block.caption), block.reason), (True, ""))


class TestPages(unittest.TestCase):
    """A test for each page, created below."""

    def follow(self, page: str) -> None:
        if not any(shutil.which("psql", path=folder) for folder in candidate_folders()):
            self.skipTest("psql is not on this machine")
        if not may_create_databases():
            self.skipTest("the role of the test server may not create databases")
        reader = self.reader()
        if page == "exampleapp/README.md":
            self.give_playground(reader)
        elif page not in FROM_NOTHING:
            reader.quickstart()
        blocks = [block for block in blocks_of(page) if not block.reason]
        wrong = [f"{block}{difference}" for block in blocks if (difference := reader.do(block))]
        if wrong:
            self.fail("\n".join(wrong))
        self.check_that_every_job_ran(reader, blocks)

    def reader(self) -> Reader:
        receiver = SentryReceiver()
        receiver.__enter__()
        self.addCleanup(receiver.__exit__)
        folder = new_folder()
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        database = new_database_name()
        self.addCleanup(self.drop, database, f"{database}_warehouse")
        place = folder / "cron"
        place.mkdir(0o755)
        reader = Reader(place, connection_options(), database, {"https://public:secret@sentry.example.org/14": receiver.dsn()})
        self.addCleanup(reader.shell.close)
        return reader

    def drop(self, *databases: str) -> None:
        connection = connect()
        with connection.cursor() as cursor:
            for database in databases:
                cursor.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")
        connection.close()

    def give_playground(self, reader: Reader) -> None:
        """Copy what exampleapp/run.sh needs of a checkout."""
        ignored = shutil.ignore_patterns("data", ".venv", "__pycache__")
        shutil.copytree(ROOT / "exampleapp", reader.folder / "exampleapp", ignore=ignored)
        for name in ("setup.py", "pyproject.toml", "test-requirements.txt"):
            shutil.copy(ROOT / name, reader.folder / name)

    def check_that_every_job_ran(self, reader: Reader, blocks: list[Block]) -> None:
        shown = {name for block in blocks if block.kind == "python" for name in APP_NAME.findall(block.text)}
        if not shown:
            return
        connection = connect(dbname=reader.database)
        self.addCleanup(connection.close)
        with connection.cursor() as cursor:
            cursor.execute(RAN)
            self.assertEqual(shown - {name for (name,) in cursor.fetchall()}, set(), "jobs that the page shows but does not run")


def _is_run(block: Block) -> bool:
    return block.kind in ("console", "sh", "cron", "ini") or (block.kind in ("python", "bash") and bool(block.caption))


def _test_of(page: str) -> Callable[[TestPages], None]:
    def test(self: TestPages) -> None:
        self.follow(page)

    test.__doc__ = f"what {page} shows is what happens"
    return test


for _page in USER_PAGES:
    if any(not block.reason for block in blocks_of(_page)):
        setattr(TestPages, "test_" + re.sub(r"\W", "_", _page), _test_of(_page))
