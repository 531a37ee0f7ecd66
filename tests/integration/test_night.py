"""A night among jobs that die, hang and break things: the good ones run in every tick, and nothing is left behind."""

import os
import re
import signal
import subprocess
from collections import Counter
from contextlib import suppress
from pathlib import Path

from crontabber.process.descendants import descendants
from tests.integration import night_jobs
from tests.integration.faults import OUR_LOCKS, OUR_SESSIONS, FaultTestCase, seeded
from tests.support import processes_under, wait_until

LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} \S+ (\w+) - (.*)")
QUIET = "--logging.stderr_error_logging_level=30"
# Of one job in one tick.
MOST_LINES = 4


def send(signum, pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


class NightTestCase(FaultTestCase):
    ticks: int
    jobs: tuple[str, ...]
    longest_pause: float

    def setUp(self):
        super().setUp()
        self.numbers = seeded()
        self.sql("CREATE TABLE effects (app_name text); CREATE TABLE obstacle ()")
        self.good = {name for name in self.jobs if issubclass(night_jobs.CLASSES[name], night_jobs.Good)}
        # No job is retried within its tick.
        entries = [f"{night_jobs.__name__}.{night_jobs.CLASSES[name].__name__}|1h" for name in self.jobs]
        self.ini("\n".join(entries), error_retry_time=3600)
        self.temporary = self.folder / "temporary"
        self.temporary.mkdir()
        self.mount_a_small_disk()
        self.lines: Counter[str] = Counter()
        self.killed = 0

    def mount_a_small_disk(self):
        command = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(self.temporary)]
        with suppress(OSError):
            if not subprocess.run(command, capture_output=True, check=False).returncode:
                self.addCleanup(subprocess.run, ["umount", str(self.temporary)], check=True)

    # -- a tick

    def night(self, crontabbers):
        for number in range(self.ticks):
            if number:
                self.sql("UPDATE crontabber SET next_run = now() - interval '1 second'")
            self.tick(number, crontabbers, with_a_kill=number % 3 == 1)
        self.assert_cured()

    def tick(self, number, crontabbers, with_a_kill):
        processes = [self.start_quietly(which) for which in range(crontabbers)]
        interrupted = self.kill_one(processes) if with_a_kill else set()
        for process in processes:
            process.wait(300)
        mails = [(self.folder / f"mail-{which}").read_text() for which in range(crontabbers)]
        ran = Counter(self.ran())
        missing = self.good - set(ran)
        if crontabbers > 1 or not with_a_kill:
            self.assertLessEqual(missing, interrupted, (number, mails))
        self.assertEqual([name for name, times in ran.items() if times > 1 and name not in interrupted], [], number)
        self.assert_short(number, mails)
        self.assert_nothing_is_left(number, [process.returncode for process in processes], mails)

    def start_quietly(self, which):
        """Start a crontabber that writes what cron would mail into a file, and drops what its jobs print."""
        with (self.folder / f"mail-{which}").open("w") as mail:
            process = subprocess.Popen(
                self.command(QUIET), env=self.environment(TMPDIR=str(self.temporary)), cwd=self.folder,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=mail,
            )  # fmt: skip
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def kill_one(self, processes):
        """Kill a whole crontabber, or only the process that runs its jobs. Return the jobs that ran at that moment."""
        self.pause(self.numbers.uniform(0.2, self.longest_pause))
        victim = self.numbers.choice(processes)
        is_whole = self.numbers.random() < 0.5
        self.freeze(victim)
        children: list[int] = []
        while new := sorted({pid for pid, _ in descendants(victim.pid)} - set(children)):
            children += new
            send(signal.SIGSTOP, new)
            self.pause(0.1)  # A fork may be on its way.
        ongoing = {name for (name,) in self.sql("SELECT app_name FROM crontabber WHERE ongoing IS NOT NULL")}
        if is_whole:
            # Nobody is left who could end what the job has started.
            victim.kill()
            send(signal.SIGKILL, children)
        else:
            send(signal.SIGKILL, children[:1])
            send(signal.SIGCONT, children[1:])
            self.thaw(victim)
        self.killed += 1
        return ongoing

    # -- what has to hold

    def assert_short(self, number, mails):
        """Assert that there are few lines about each job, apart from the first traceback of a failure."""
        stories = Counter()
        for line in "".join(mails).splitlines():
            match = LOG_LINE.match(line)
            if match is None:
                self.lines["tracebacks"] += 1
                continue
            about = re.search("|".join(map(re.escape, self.jobs)), match[2])
            stories[about[0] if about else match[2]] += 1
            if "failed after" in match[2]:
                self.lines[f"failures of {about[0]}"] += 1
        self.lines["lines"] += sum(stories.values())
        self.assertEqual([story for story in stories.items() if story[1] > MOST_LINES], [], (number, mails))

    def assert_nothing_is_left(self, number, *details):
        try:
            wait_until(lambda: not processes_under(self.folder), "", 10)
        except AssertionError:
            left = [Path(f"/proc/{pid}/stat").read_text() for pid in processes_under(self.folder)]
            raise AssertionError(f"left by tick {number}: {left} {details}") from None
        wait_until(lambda: not self.sql(OUR_SESSIONS), "a session of a crontabber is still open")
        self.assertEqual(self.sql(OUR_LOCKS), [], number)
        known = {"temporary", "full", "cured", "crontabber.ini"} | {f"mail-{which}" for which in range(3)}
        self.assertEqual({path.name for path in self.folder.rglob("*")} - known, set(), number)

    def assert_cured(self):
        """Assert that a last tick, in which all behave, leaves every job at rest and without an error."""
        self.give("cured")
        self.sql("UPDATE crontabber SET next_run = now() - interval '1 second'")
        (self.folder / "ran.txt").unlink(missing_ok=True)
        self.assertEqual(self.start_quietly(0).wait(300), 0)
        self.ran()
        self.forget("cured")
        bad = self.sql("SELECT app_name, last_error FROM crontabber WHERE ongoing IS NOT NULL OR owner IS NOT NULL OR error_count > 0")
        self.assertEqual(bad, [])
        self.assertEqual(self.sql("SELECT count(*) FROM crontabber"), [(len(self.jobs),)])
        self.assert_nothing_is_left("the last tick")


class TestNight(NightTestCase):
    ticks = 3
    longest_pause = 2.0
    jobs = (
        "00-good", "01-connected", "02-exiting", "03-withaprogram", "37-blockingsignals", "38-inonetransaction",
        "48-good", "52-detaching", "54-inonetransaction", "55-withaprogram", "64-good", "97-closing",
    )  # fmt: skip

    def test_the_good_jobs_run_in_every_tick(self):
        self.night(crontabbers=2)
