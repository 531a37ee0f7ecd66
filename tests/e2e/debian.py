"""Debian's cron runs the wrapper every minute, and its Nagios the check, as the documentation sets them up."""

import json
import os
import pwd
import shutil
import subprocess
import time
import unittest
from collections.abc import Callable

from tests.e2e.cron_daemon import CronDaemon
from tests.e2e.machine import USER, Machine
from tests.e2e.nagios_daemon import NagiosDaemon

MINUTES = 3
PATIENCE_SECONDS = 60 * (MINUTES + 1)
# After the date and the time.
NO_MODULE = (
    "UTC ERROR - command line: jobs: nothing.There: no module named 'nothing' (is PYTHONPATH right?);"
    " until this is fixed, it does not run\n"
)
SEEN = """
import json, os
from crontabber.base import BaseCronApp


class Seen(BaseCronApp):
    app_name = "seen"

    def run(self):
        with open("seen.json", "w") as file:
            json.dump({"environment": dict(os.environ), "uid": os.getuid(), "cwd": os.getcwd()}, file)
"""
STATES = """
from crontabber.base import BaseCronApp
from crontabber.mixins import as_backfill_cron_app


class Fine(BaseCronApp):
    app_name = "fine"

    def run(self):
        pass


@as_backfill_cron_app
class Late(BaseCronApp):
    app_name = "late"

    def run(self, date):
        raise ConnectionError("their server is down")


class Broken(BaseCronApp):
    app_name = "broken"

    def run(self):
        raise ValueError("a & b | $c")
"""
# The jobs of a configuration -> what Nagios should show.
SHOWN = {
    "jobs.states.Fine|1h": (0, "OK - All systems nominal"),
    "jobs.states.Late|1h": (1, "WARNING - late (Late) | <class 'ConnectionError'> | their server is down"),
    "jobs.states.Broken|1h": (2, "CRITICAL - broken (Broken) | <class 'ValueError'> | a & b | $c"),
    "jobs.states.Gone|1h": (2, "CRITICAL - jobs: jobs.states.Gone: module jobs.states has no class 'Gone'"),
}


def why_not() -> str:
    """Return why these tests cannot run here; "" if they can."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [name for name in ("cron", "nagios4", "useradd", "unshare") if not shutil.which(name)]
    if missing:
        return f"needs {' and '.join(missing)}: run tests/e2e/run.sh"
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode:
        return "needs the right to mount"
    return ""


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.5)


class TestDebian(unittest.TestCase):
    """One machine: Nagios checks while cron is at work."""

    maxDiff = None
    machine: Machine
    cron: CronDaemon
    reason: str | None

    @classmethod
    def setUpClass(cls) -> None:
        if why := why_not():
            raise unittest.SkipTest(why)
        cls.machine = Machine()
        cls.cron = CronDaemon(USER, cls.machine.folder)
        try:
            cls.reason = cls.machine.start()
            if not cls.reason:
                cls.start_cron()
        except BaseException:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls) -> None:
        cls.cron.stop()
        cls.machine.stop()

    @classmethod
    def start_cron(cls) -> None:
        cls.machine.reader.save("jobs/seen.py", SEEN)
        jobs = "[crontabber]\njobs='jobs.myapp.MyFirstApp|1m, jobs.seen.Seen|1m'\n"
        cls.machine.reader.settle_ini("crontabber.ini", jobs)
        # It has already run by hand, and with the frequency of that run it would now wait for minutes.
        cls.machine.reader.shell.run("crontabber --admin.conf=crontabber.ini --reset-job=my-first-app")
        (cls.machine.place / "my-first-app.log").unlink()
        crontab = cls.machine.own("crontab").replace("*/5 ", "* ")
        # The second line proves that mail would be noticed.
        wrong = f"* * * * * {cls.machine.place}/crontabber_wrapper.sh '--crontabber.jobs=nothing.There|1m'\n"
        cls.cron.start(crontab + wrong)

    def setUp(self) -> None:
        if self.reason:
            self.skipTest(self.reason)

    def test_1_nagios_shows_the_line_and_the_state_of_each_configuration(self) -> None:
        self.machine.reader.save("jobs/states.py", STATES)
        self.machine.reader.settle_ini("states.ini", (self.machine.place / "crontabber.ini").read_text())
        every = ", ".join(jobs for jobs in SHOWN if "Gone" not in jobs)
        self.machine.reader.settle_ini("states.ini", f"[crontabber]\njobs='{every}'\n")
        exit_code, output = self.machine.reader.shell.run("crontabber --admin.conf=states.ini")
        self.assertEqual(exit_code, 0, output)
        self.grant_nagios()
        daemon = NagiosDaemon(self.machine.folder)
        self.addCleanup(daemon.stop)

        daemon.start("".join(self.definitions(number, jobs) for number, jobs in enumerate(SHOWN)))
        expected = {f"crontabber {number}": shown for number, shown in enumerate(SHOWN.values())}
        wait_for(lambda: daemon.services() == expected, 60)

        self.assertEqual(daemon.services(), expected)

    def test_2_cron_runs_the_wrapper_every_minute_and_has_nothing_to_mail(self) -> None:
        log = self.machine.place / "my-first-app.log"
        wait_for(lambda: log.exists() and len(log.read_text().splitlines()) >= MINUTES, PATIENCE_SECONDS)
        wait_for(lambda: len(self.cron.mails()) >= MINUTES, 30)

        lines, mails = log.read_text().splitlines(), self.cron.mails()

        minutes = [line.split()[3][:5] for line in lines]
        self.assertEqual(len(set(minutes)), len(lines), "one run a minute")
        self.assertGreaterEqual(len(lines), MINUTES)
        self.assertEqual({mail.partition("\n\n")[2].split(" ", 2)[2] for mail in mails}, {NO_MODULE})
        self.assertEqual([mail for mail in mails if "\nTo: root\n" not in mail], [], "MAILTO says who gets it")

    def test_3_the_job_gets_its_environment_from_cron_and_the_wrapper(self) -> None:
        place, user = str(self.machine.place), pwd.getpwnam(USER)
        seen = json.loads((self.machine.place / "seen.json").read_text())

        for name in ("PWD", "OLDPWD", "SHLVL", "_", "LANG", "LC_CTYPE"):
            seen["environment"].pop(name, None)
        self.assertEqual(
            seen,
            {
                "uid": user.pw_uid,
                "cwd": place,
                "environment": {
                    "HOME": user.pw_dir, "LOGNAME": USER, "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "MAILTO": "root",
                    "PYTHONPATH": place,
                },
            },
        )  # fmt: skip

    def grant_nagios(self) -> None:
        statements = "CREATE ROLE nagios LOGIN; GRANT SELECT ON crontabber TO nagios"
        exit_code, output = self.machine.reader.shell.run(f'psql {self.machine.reader.database} -qc "{statements}"')
        self.assertEqual(exit_code, 0, output)

    def definitions(self, number: int, jobs: str) -> str:
        """Configure these jobs in a folder for Nagios's database user. Return the definitions of exampleapp/ for it."""
        place = self.machine.folder / f"cron{number}"
        place.mkdir()
        for name in ("venv", "jobs", "crontabber_wrapper.sh"):
            source = self.machine.place / name
            shutil.copy(source, place) if source.is_file() else (place / name).symlink_to(source)
        (place / "crontabber.ini").write_text((self.machine.place / "crontabber.ini").read_text())
        changes = f"[resource]\n[[postgresql]]\nuser=nagios\n[crontabber]\njobs='{jobs}'\n"
        self.machine.reader.settle_ini(f"../{place.name}/crontabber.ini", changes)
        text = self.machine.own("nagios/crontabber.cfg", place).replace("check_crontabber", f"check_crontabber_{number}")
        return text.replace("service_description     crontabber", f"service_description     crontabber {number}")
