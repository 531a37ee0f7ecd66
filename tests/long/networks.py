"""A host whose network drops every packet for ten minutes, without a word to either end; restarts of the server."""

import os
import subprocess
import sys
import time
import unittest
from typing import Any

from crontabber.store.second_look import SECOND_LOOK_SECONDS
from tests.integration import test_bad_networks
from tests.integration.faults import ELSEWHERE, TcpServerTestCase
from tests.support import wait_until

FIRST, NET = "first-host", f"10.213.{os.getpid() % 256}"
# A link address that nobody has: the packets leave, and nobody takes them in.
NOBODY = "02:00:00:00:00:99"


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


class TestVanishedHost(TcpServerTestCase):
    seconds = 600
    address = f"{NET}.1"
    namespace = f"crontabber-{os.getpid()}"
    link = f"ct{os.getpid()}"

    @classmethod
    def setUpClass(cls) -> None:
        try:
            ip("netns", "add", cls.namespace)
            ip("link", "add", cls.link, "type", "veth", "peer", "name", "eth0", "netns", cls.namespace)
        except (OSError, subprocess.CalledProcessError) as error:
            raise unittest.SkipTest(f"needs root and network namespaces: {error}") from error
        ip("addr", "add", f"{NET}.1/24", "dev", cls.link)
        ip("link", "set", cls.link, "up")
        ip("-n", cls.namespace, "addr", "add", f"{NET}.2/24", "dev", "eth0")
        ip("-n", cls.namespace, "link", "set", "eth0", "up")
        super().setUpClass()

    @classmethod
    def tearDownClass(cls) -> None:
        super().tearDownClass()
        ip("netns", "del", cls.namespace)

    def configure(self, *entries: str, **options: Any) -> None:
        super().configure(*entries, **{"connection": self.tcp_options(), **options})

    def start_on_first_host(self, app_name: str) -> Any:
        program = [sys.executable, "-c", ELSEWHERE % (FIRST, SECOND_LOOK_SECONDS), f"--admin.conf={self.folder / 'crontabber.ini'}", f"--job={app_name}"]
        return self.start_program(["ip", "netns", "exec", self.namespace, *program])

    def drop_every_packet(self) -> None:
        ip("neigh", "replace", f"{NET}.2", "lladdr", NOBODY, "nud", "permanent", "dev", self.link)
        ip("-n", self.namespace, "neigh", "replace", f"{NET}.1", "lladdr", NOBODY, "nud", "permanent", "dev", "eth0")

    def heal(self) -> None:
        ip("neigh", "del", f"{NET}.2", "dev", self.link)
        ip("-n", self.namespace, "neigh", "del", f"{NET}.1", "dev", "eth0")

    def test_another_host_runs_its_jobs_and_each_result_is_stored_once(self) -> None:
        self.sql("CREATE TABLE effects (date timestamptz)")
        self.configure("Patient|1d", "InOneTransaction|1d")
        owners = {name: self.start_on_first_host(name) for name in ("patient", "in-one-transaction")}
        self.wait_for("running")
        wait_until(lambda: len((self.folder / "running").read_text().split()) == 2, "they did not start")
        self.drop_every_packet()
        began, taken_over, ended = time.monotonic(), 0.0, dict.fromkeys(owners, 0.0)
        self.give("enough")
        other: Any = None

        while not taken_over or not all(ended.values()):
            self.assertLess(time.monotonic() - began, self.seconds, (taken_over, ended))
            other = self.start_elsewhere("other-host", SECOND_LOOK_SECONDS) if other is None or other.poll() is not None else other
            time.sleep(1)
            if not taken_over and self.successes() == ["in-one-transaction", "patient"]:
                taken_over = time.monotonic() - began
            for name, owner in owners.items():
                if not ended[name] and owner.poll() is not None:
                    ended[name] = time.monotonic() - began
        time.sleep(max(0, began + self.seconds - time.monotonic()))
        self.heal()
        self.end_of(other)
        time.sleep(5)

        print(f"taken over after {taken_over:.0f} s; the first host's processes ended after", ended)
        self.assertEqual(self.successes(), ["in-one-transaction", "patient"])
        died = ["<class 'crontabber.errors.OwnerDiedError'>"]
        self.assertEqual([self.errors_logged(name) for name in owners], [died, died])
        self.assertEqual(self.sql("SELECT count(*) FROM effects"), [(1,)])
        for owner in owners.values():
            end = self.end_of(owner)
            self.assertEqual(end.returncode, 1, end.stderr)
            self.assertIn("could not store its result, which was: ", end.stderr)
        self.assertLess(taken_over, 130)
        self.assertLess(ended["patient"], 120)
        self.assertLess(ended["in-one-transaction"], 200)
        self.assert_at_rest()

    def successes(self) -> list[str]:
        rows = self.sql("SELECT app_name FROM crontabber_log WHERE success IS NOT NULL ORDER BY 1")
        return [app_name for (app_name,) in rows]


class TestRestart(test_bad_networks.TestRestart):
    """With the real waits; the job has run for just long enough to be watched."""

    seconds_before = 10.0

    def start_in_haste(self, host: str = "here", patience: float = 0, second_look: float = 0) -> Any:
        return self.start_elsewhere(host, SECOND_LOOK_SECONDS)


class TestRestartAtTheStart(TestRestart):
    seconds_before = 0.0
