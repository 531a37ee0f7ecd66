"""Debian's cron runs the wrapper every minute, its Nagios the checks, its node exporter serves the metrics, and its Icinga
reads our definitions: as the documentation sets them up."""

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
from tests.e2e.node_exporter import PROGRAM, NodeExporter
from tests.plugin_reader import read_plugin

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
# The jobs of a configuration -> what Nagios should show of --check: its state, its line, what is critical in the data.
CHECKED = {
    "jobs.states.Fine|1h": (0, "1 job", {}),
    "jobs.states.Late|1h": (2, "1 failing: late", {"failing": 1}),
    "jobs.states.Broken|1h": (2, "1 failing: broken", {"failing": 1}),
    "jobs.states.Gone|1h": (2, "1 broken: jobs.states.Gone", {"broken": 1}),
}
# ... and of --nagios.
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
        jobs = "[crontabber]\njobs='jobs.myapp.MyFirstApp|1m, jobs.seen.Seen|1m'\nprometheus_file=crontabber.prom\n"
        cls.machine.reader.settle_ini("crontabber.ini", jobs)
        # It has already run by hand, and with the frequency of that run it would now wait for minutes.
        cls.machine.reader.shell.run("crontabber --admin.conf=crontabber.ini --reset-job=my-first-app")
        (cls.machine.place / "my-first-app.log").unlink()
        crontab = cls.machine.own("crontab").replace("*/5 ", "* ")
        # The second line proves that mail would be noticed.
        wrong = f"* * * * * {cls.machine.place}/crontabber_wrapper.sh '--crontabber.jobs=nothing.There|1m'"
        cls.cron.start(f"{crontab}{wrong} --crontabber.prometheus_file=\n")

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
        errors = {f"crontabber {number} errors": shown for number, shown in enumerate(SHOWN.values())}
        checks = {f"crontabber {number}": check for number, check in enumerate(CHECKED.values())}
        wait_for(lambda: errors.items() <= daemon.services().items() and checks == self.checked(daemon), 60)

        self.assertEqual({name: daemon.services().get(name) for name in errors}, errors)
        self.assertEqual(self.checked(daemon), checks)

    def checked(self, daemon: NagiosDaemon) -> dict[str, tuple[int, str, dict[str, float | None]]]:
        """Return what Nagios shows of each --check: its state, its line, and which of its graph data are critical."""
        found = {}
        for name, (state, text) in daemon.services().items():
            if not name.endswith("errors"):
                output = read_plugin(text)
                critical = {label: datum.value for label, datum in output.data.items() if datum.severity() == 2}
                found[name] = (state, output.summary, critical)
        return found

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

    def test_4_the_node_exporter_serves_what_the_last_tick_has_written(self) -> None:
        if not shutil.which(PROGRAM):
            self.skipTest(f"needs {PROGRAM}: run tests/e2e/run.sh")
        exporter = NodeExporter(self.machine.place, self.machine.folder / "exporter.log")
        self.addCleanup(exporter.stop)
        wait_for(lambda: bool(exporter.samples()), 30)

        samples = exporter.samples()

        self.assertEqual(samples["node_textfile_scrape_error",], 0)
        self.assertEqual(samples["crontabber_job_state", "my-first-app", "ok"], 1)
        self.assertLess(time.time() - samples["crontabber_last_tick_timestamp_seconds",], 120)
        self.assertGreater(samples["crontabber_job_next_run_timestamp_seconds", "seen"], time.time() - 120)

    def test_5_icinga_accepts_the_definitions(self) -> None:
        if not shutil.which("icinga2"):
            self.skipTest("needs icinga2: run tests/e2e/run.sh")
        host = 'object CheckCommand "nothing" { command = [ "/bin/true" ] }\nobject Host NodeName { check_command = "nothing" }\n'
        configuration = self.machine.folder / "icinga2.conf"
        configuration.write_text(host + self.machine.own("icinga2/crontabber.conf"))

        command = ["icinga2", "daemon", "--validate", "--config", str(configuration), "--define", "NodeName=localhost"]
        checked = subprocess.run(command, text=True, capture_output=True, timeout=120, check=False)

        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)
        self.assertIn("Instantiated 1 Service.", checked.stdout)

    def grant_nagios(self) -> None:
        statements = "CREATE ROLE nagios LOGIN; GRANT SELECT ON crontabber, crontabber_job, crontabber_host TO nagios"
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
