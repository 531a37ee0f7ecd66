"""The playground's one command: it sums up, continues where it stopped, and works in any folder."""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import psycopg2

from crontabber import __version__
from crontabber.store.embedded.server import EmbeddedServer
from tests.support import ROOT, skip_without_programs

AS_ROOT = unittest.skipUnless(os.geteuid() == 0, "needs root, as whom PostgreSQL does not run")
IN_VAR_TMP = re.compile(r"/var/tmp/crontabber-exampleapp-\d+-\d+")

# Replaces `python -m venv` and the pip in its environment, so that no registry is needed: the programs of the
# environment are those that run the tests.
INTERPRETER = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    mkdir -p "$3/bin" && ln -s "$0" "$3/bin/python"
elif [ "$1 $2" = "-m pip" ]; then
    printf '#!/bin/sh\\nexec "{python}" -m crontabber "$@"\\n' >"$(dirname "$0")/crontabber"
    chmod +x "$(dirname "$0")/crontabber"
else
    exec "{python}" "$@"
fi
"""
STATES = {
    "failing": ["broken", "hanging"],
    "never ran": ["office"],
    "ok": [
        "configured", "daily-report", "disk-space", "given-connection", "greeting", "one-transaction", "own-transactions",
        "reply",
    ],
    "held back": ["waiting"],
}  # fmt: skip


def states_shown(said: str) -> dict[str, list[str]]:
    """Return the names in each state of the table in the output."""
    states: dict[str, list[str]] = {}
    for line in said.partition("\nSTATE ")[2].partition("\n\n")[0].splitlines()[1:]:
        state, app_name, *_ = re.split(" {2,}", line)
        states.setdefault(state, []).append(app_name)
    return states


class TestPlayground(unittest.TestCase):
    def setUp(self) -> None:
        skip_without_programs()
        self.folder = Path(tempfile.mkdtemp(prefix="crontabber playground "))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder)
        self.checkout = self.folder / "a checkout"
        ignored = shutil.ignore_patterns("data", ".venv", "__pycache__")
        for name in ("exampleapp", "share"):
            shutil.copytree(ROOT / name, self.checkout / name, ignore=ignored)
        for name in ("setup.py", "pyproject.toml", "test-requirements.txt"):
            shutil.copy(ROOT / name, self.checkout)
        (self.checkout / "crontabber").symlink_to(ROOT / "crontabber")
        # So that nobody runs this at eight on a weekday in Berlin.
        configuration = self.checkout / "exampleapp/crontabber.ini"
        configuration.write_text(configuration.read_text().replace("|0 8 * * MON-FRI|", "|0 8 29 2 *|"))
        self.python = self.folder / "python"
        self.python.write_text(INTERPRETER.format(python=sys.executable))
        self.python.chmod(0o755)

    def test_it_shows_the_jobs_and_continues_the_next_time(self) -> None:
        first, second = self.play(), self.play()

        self.assertEqual([states_shown(said) for said in (first, second)], [STATES, STATES])
        self.assertEqual([len(re.findall(r"INFO - .* ran in ", said)) for said in (first, second)], [8, 0])

    def test_with_arguments_it_is_crontabber_in_the_playground(self) -> None:
        self.assertEqual(self.play("--version"), f"{__version__}\n")
        self.assertEqual(self.run_it("--job=nobody").returncode, 1)

    def test_a_held_back_job_is_shown_despite_an_earlier_success(self) -> None:
        jobs = self.checkout / "exampleapp/jobs/plain.py"
        broken = jobs.read_text()
        jobs.write_text(broken.replace('raise RuntimeError("this job fails on purpose")', "pass"))
        self.assertEqual({*states_shown(self.play())}, {"failing", "never ran", "ok"})

        jobs.write_text(broken)
        self.make_due("broken", "waiting")

        self.assertEqual(states_shown(self.play()), STATES)

    @AS_ROOT
    def test_root_in_a_closed_folder_uses_another_folder_and_names_it(self) -> None:
        self.folder.chmod(0o700)

        said = self.play()

        place = IN_VAR_TMP.search(said)
        assert place
        self.addCleanup(shutil.rmtree, place[0])
        self.assertIn(f"so the environment and the data are in {place[0]}\n", said)
        self.assertEqual(sorted(os.listdir(place[0])), [".venv", "data", "status.html"])
        self.assertEqual(states_shown(said), STATES)

    @AS_ROOT
    def test_a_folder_that_another_user_created_first_is_refused(self) -> None:
        self.folder.chmod(0o700)
        place = self.make_place()
        os.chown(place, pwd.getpwnam("nobody").pw_uid, -1)

        refused = self.run_it()

        self.assertEqual((refused.returncode, refused.stdout), (1, f"{place} belongs to another user: remove it first\n"))

    def make_place(self) -> str:
        here = self.checkout / "exampleapp"
        command = ["bash", "-c", '. "$0/environment.sh"; place_for "$0" crontabber-exampleapp', str(here)]
        place = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
        self.addCleanup(os.rmdir, place)
        return place

    def play(self, *arguments: str) -> str:
        done = self.run_it(*arguments)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def run_it(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return subprocess.run(
            [str(self.checkout / "exampleapp/run.sh"), *arguments], env=kept | {"PYTHON": str(self.python)}, cwd="/", text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=600, check=False,
        )  # fmt: skip

    def make_due(self, *app_names: str) -> None:
        with EmbeddedServer(self.checkout / "exampleapp/data") as server:
            connection = psycopg2.connect(server.dsn)
            with connection, connection.cursor() as cursor:
                cursor.execute("UPDATE crontabber SET next_run = now() WHERE app_name = ANY(%s)", (list(app_names),))
            connection.close()
