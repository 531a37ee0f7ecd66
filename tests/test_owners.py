"""Is the owner of a claim still running on this machine?"""

import os
import socket
import subprocess
import sys
import unittest
from datetime import datetime, timedelta, timezone

from crontabber.rules.job_state import JobState, claim_time
from crontabber.store import owners
from crontabber.store.owners import Verdict, is_running_here, judge, this_process

HOST = socket.gethostname()
HOUR = timedelta(hours=1)


@unittest.skipUnless(os.path.exists("/proc/self/stat"), "only Linux can tell")
class TestIsRunningHere(unittest.TestCase):
    def setUp(self):
        self.process = subprocess.Popen([sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"], stdin=-1, stdout=-1)
        self.addCleanup(self.process.communicate)
        self.process.stdout.readline()
        self.owner = f"{HOST}:{self.process.pid}"
        self.now = datetime.now(timezone.utc)

    def is_running(self, owner, since=None, now=None):
        return is_running_here(JobState("job", ongoing=since or self.now, owner=owner), now or self.now)

    def with_birth(self, owner, since=None):
        """Return the owner as this version writes it, with the birth of the process."""
        return f"{owner}/{birth_of(self.process.pid)}@{claim_time(since or self.now)}"

    def test_a_process_that_existed_at_the_claim_is_running(self):
        self.assertTrue(self.is_running(self.owner))
        self.assertTrue(self.is_running(self.with_birth(self.owner)))

    def test_its_birth_identifies_a_process_whatever_the_clock_says(self):
        for step in (-HOUR, HOUR, 10_000 * HOUR):
            with self.subTest(step):
                self.assertTrue(self.is_running(self.with_birth(self.owner), now=self.now + step))

    def test_a_process_that_started_later_does_not_count(self):
        self.assertFalse(self.is_running(self.owner, since=self.now - HOUR))
        for birth in ("0" * 8 + "-17", f"{birth_of(self.process.pid)}1"):
            with self.subTest(birth):
                self.assertFalse(self.is_running(f"{self.owner}/{birth}@{claim_time(self.now)}"))

    def test_a_dead_process_or_a_zombie_does_not_run(self):
        owners = self.owner, self.with_birth(self.owner)
        self.process.kill()
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        self.assertEqual([self.is_running(owner) for owner in owners], [False, False])
        self.process.wait()

        self.assertEqual([self.is_running(owner) for owner in owners], [False, False])

    def test_another_host_this_process_and_nonsense_do_not_count(self):
        # Process 2 belongs to the kernel, except in a container.
        for owner in (f"{HOST}:2", f"x{self.owner}", this_process(), f"{HOST}:", f"{HOST}:0", f"{HOST}:self", HOST, ""):
            with self.subTest(owner):
                self.assertFalse(self.is_running(owner))


def birth_of(pid):
    return owners._birth(owners._look(str(pid)))


class TestJudge(unittest.TestCase):
    def test_it_distinguishes_free_alive_and_dead_owners(self):
        now = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)
        young, old = now - HOUR, now - 12 * HOUR
        cases = [
            (None, True, True, Verdict.FREE),
            (JobState("no-run"), True, True, Verdict.FREE),
            # Judged by its owner, if there is one and session locks are reliable.
            (JobState("running", ongoing=young, owner="a:1"), True, True, Verdict.ALIVE),
            (JobState("ended", ongoing=young, owner="a:1"), True, False, Verdict.DEAD),
            (JobState("running-too-long", ongoing=old, owner="a:1"), True, True, Verdict.DEAD),
            # Otherwise judged by its age.
            (JobState("young-original", ongoing=young), True, False, Verdict.ALIVE),
            (JobState("old-original", ongoing=old), True, False, Verdict.DEAD),
            (JobState("young-without-locks", ongoing=young, owner="a:1"), False, False, Verdict.ALIVE),
            (JobState("old-without-locks", ongoing=old, owner="a:1"), False, True, Verdict.DEAD),
        ]
        for seen, session_locks, running, verdict in cases:
            with self.subTest(seen and seen.app_name):
                judged = judge(seen, now, 12 * HOUR, session_locks, lambda seen, now, running=running: running)
                self.assertEqual(judged, verdict)
