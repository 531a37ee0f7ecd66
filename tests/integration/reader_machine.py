"""A reader who follows a page, on a terminal, in an empty folder, with the test database.

What a page cannot know is substituted before an example runs (`Reader.own`): the folder replaces /home/me/cron, the test
server and a new database replace those that the page names. What differs from run to run is removed from both the page
and the output before they are compared (`normalised`).
"""

import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from configobj import ConfigObj

import crontabber
from crontabber.store.embedded.programs import candidate_folders
from tests.documents import ROOT, Block, Command, blocks_of, commands_in, crontab_lines
from tests.integration.terminal_shell import PATIENCE_SECONDS, Shell

HOME = "/home/me/cron"
CRON_ENVIRONMENT = {"SHELL": "/bin/sh", "PATH": "/usr/bin:/bin", "LOGNAME": "me", "LANG": "C"}

AMOUNT = r"\d+ (?:(?:milli)?second|minute|hour|day|week|month|year)s?"
# What differs from run to run, and what replaces it in a comparison.
RULES = (
    (r"\b\w+@[\w.-]+", "WHO"),
    (r"\x1b\[[\d;]*m", ""),  # colours of a terminal
    (r"\n *[~^]+(?=\n)", ""),  # marks below a line of a traceback, in Pythons that print them
    (r"\d{4}-\d\d-\d\d( \d\d:\d\d(:\d\d([.,]\d+)?( (UTC|[A-Z]{2,4}T|[+-]\d\d(\d\d)?)(?=\W))?)?)?", "TIME"),
    (r"\b\w+day$|\bweek \d\d", "DAY"),
    (rf"\((in |was )?{AMOUNT}(?:, {AMOUNT})?( ago)?\)", r"(\1DURATION\2)"),
    (r"\d+(\.\d+)? (milli)?seconds?\b|\d+(\.\d+)? m?s\b|\d+\.\d+s\b", "DURATION"),
    (r"(?<=\w)=\d+s\b", "=DURATION"),  # of performance data
    (r", DURATION ago", ""),  # not there within the first second
    (rf"(?<=  ){re.escape(socket.gethostname())}(?=  )|(?<= on ){re.escape(socket.gethostname())}(?= \()", "host"),
    (r"  +", "  "),  # columns are padded to their content
    (r"\bline \d+", "line N"),
    (r"Reference: \w+|identifier: \w+", "Reference: ID"),
)
# Installs from the environment that runs the tests, so that no registry is needed. test_installation installs for real.
VENV = """#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
    {python} -m venv --without-pip "$3"
    for site in "$3"/lib/python*/site-packages; do cp {pip} "$site"; done
    printf '#!/bin/sh\\nexec "%s" -m pip "$@"\\n' "$(readlink -f "$3")/bin/python" >"$3/bin/pip"
    chmod +x "$3/bin/pip"
    exit
fi
exec {python} "$@"
"""
PIP = """
import sys
from pathlib import Path

assert sys.argv[1] == "install", sys.argv
Path(__file__).with_name("environment.pth").write_text("\\n".join({paths}))
if not Path(sys.prefix, "share").exists():
    Path(sys.prefix, "share").symlink_to({share!r})
command = Path(sys.prefix, "bin/crontabber")
command.write_text(f"#!{{sys.executable}}\\nfrom crontabber.app import local_main\\nlocal_main()\\n")
command.chmod(0o755)
"""
PIPS_ENVIRONMENT = ("PIP_", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "SSL_CERT_", "REQUESTS_CA_BUNDLE")
# The commands of the quickstart; the other pages start where it ends.
QUICKSTART = (
    "python3 -m venv venv",
    ". venv/bin/activate",
    "pip install ~/crontabber",
    "createdb crontabber",
    "crontabber --admin.dump_conf=crontabber.ini",
    "mkdir jobs",
    "touch jobs/__init__.py",
    "export PYTHONPATH=.",
)
# Creates the tables without running a job.
TABLES = "crontabber --admin.conf=crontabber.ini --reset-job=my-first-app"


class Reader:
    """`server` is how to reach a PostgreSQL where `database` can be created; `replacements` are further substitutions."""

    def __init__(
        self, folder: Path, server: Mapping[str, str], database: str, replacements: Mapping[str, str] | None = None,
        user: str | None = None, home: str | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.server, self.database, self.warehouse = folder, server, database, f"{database}_warehouse"
        self.replacements = {
            HOME: str(folder),
            "host=db.example.org": f"host={server['host']}",
            "host=localhost": f"host={server['host']}",
            "port=5432": f"port={server.get('port', '')}",
            "user=myusername": f"user={server['user']}",
            "password=mypassword": f"password={server.get('password', '')}",
            "createdb warehouse": f"createdb {self.warehouse}",
            "=warehouse": f"={self.warehouse}",
            "createdb crontabber": f"createdb {database}",
            "psql crontabber": f"psql {database}",
            "dbname=crontabber": f"dbname={database}",
        } | dict(replacements or {})
        self.programs = folder.parent / "programs"
        self.shell = Shell(folder, self._environment(home or str(folder)), user)

    def own(self, text: str) -> str:
        """Return `text` from a page, adapted to this machine."""
        for theirs, ours in self.replacements.items():
            text = text.replace(theirs, ours)
        return text

    def quickstart(self) -> None:
        for command in QUICKSTART:
            self.type(Command(command, ""))
        for block in blocks_of("docs/user/introduction.rst"):
            if block.kind in ("python", "ini"):
                self.do(block)
        self.type(Command(TABLES, None))
        shutil.copy(ROOT / "exampleapp/crontabber_wrapper.sh", self.folder)

    def do(self, block: Block) -> str:
        """Follow a block; return what differs from what it shows, "" if nothing does."""
        if block.kind in ("console", "sh"):
            commands = commands_in(block)
            follow = [*(command.text for command in commands[1:]), ""]
            return "".join(self.type(command, then == "echo $?") for command, then in zip(commands, follow, strict=True))
        if block.kind == "cron":
            return "".join(self.as_cron(line) for line in crontab_lines(block))
        if block.kind == "ini" and (not block.caption or block.caption.startswith("in ")):
            self.settle_ini(block.caption.removeprefix("in ") or "crontabber.ini", self.own(block.text))
        else:
            self.save(block.caption, self.own(block.text))
        return ""

    def type(self, command: Command, code_is_shown: bool = False) -> str:
        """Run a command; return what is wrong: output or a failure that the page does not show."""
        exit_code, output = self.shell.run(self.own(command.text))
        printed = output.replace(str(self.folder), HOME)
        printed = printed.replace(self.warehouse, "warehouse").replace(self.database, "crontabber")
        if command.output is not None and normalised(printed) != normalised(command.output):
            return f"\n$ {command.text}\n--- the page shows\n{command.output}--- it printed\n{printed}"
        return f"\n$ {command.text}\n{printed}exit code {exit_code}" if exit_code and not code_is_shown else ""

    def as_cron(self, line: str) -> str:
        """Run a crontab line as cron does; return what is wrong: any output, which cron would mail."""
        command = self.own(line).split(None, 5)[5]
        environment = CRON_ENVIRONMENT | {"HOME": str(self.folder)} | _libpq(self.server)
        process = subprocess.run(
            ["/bin/sh", "-c", command], env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
        mail = process.stdout + (f"exit code {process.returncode}" if process.returncode else "")
        return f"\n{line}\n--- would be mailed\n{mail}" if mail else ""

    def save(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    def settle_ini(self, name: str, fragment: str) -> None:
        """Merge the settings of `fragment` into the file, as a reader would with an editor."""
        path = self.folder / name
        settings = ConfigObj(str(path), interpolation=False, write_empty_values=True)
        settings.merge(ConfigObj(fragment.splitlines(), interpolation=False))
        settings.write()

    def _environment(self, home: str) -> dict[str, str]:
        self.programs.mkdir(exist_ok=True)
        paths = [Path(crontabber.__file__).parent.parent, *(path for path in sys.path if path.endswith("-packages"))]
        script(self.programs / "pip.py", PIP.format(paths=[str(path) for path in paths], share=str(ROOT / "share")))
        script(self.programs / "python3", VENV.format(python=shlex.quote(sys.executable), pip=self.programs / "pip.py"))
        path = [str(self.programs), *map(str, candidate_folders()), "/usr/bin", "/bin"]
        # How pip reaches its registry from here.
        inherited = {name: value for name, value in os.environ.items() if name.startswith(PIPS_ENVIRONMENT)}
        own = {"HOME": home, "PATH": os.pathsep.join(path), "LANG": "C.UTF-8", "TERM": "dumb"}
        return inherited | own | _libpq(self.server)


def normalised(text: str) -> str:
    for pattern, replacement in RULES:
        text = re.sub(pattern, replacement, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip()


def script(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o755)


def new_folder() -> Path:
    """Create a folder that other users may enter: PostgreSQL's programs never run as root."""
    folder = Path(tempfile.mkdtemp(prefix="crontabber-docs-"))
    folder.chmod(0o755)
    return folder


def new_database_name() -> str:
    return f"test_docs_{os.getpid()}_{time.monotonic_ns()}"


def _libpq(server: Mapping[str, str]) -> dict[str, str]:
    return {f"PG{name.upper()}": value for name, value in server.items() if name != "dbname"}
