"""PostgreSQL in a folder, with real processes that come and go, start all at once and get killed."""

import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import psycopg2

from crontabber.store.embedded import cluster, postmaster
from crontabber.store.embedded.programs import server_account
from crontabber.store.embedded.server import EmbeddedServer
from tests.integration.embedded_support import (
    EmbeddedTestCase,
    Process,
    servers_under,
    words,
)
from tests.support import PATIENCE_SECONDS, processes_under, wait_until


class TestComingAndGoing(EmbeddedTestCase):
    def test_nothing_is_created_before_the_first_connection(self) -> None:
        EmbeddedServer(str(self.new()))

        self.assertFalse(self.new().exists())

    def test_the_first_connection_starts_it_and_process_exit_stops_it(self) -> None:
        first = self.visit()
        self.assertEqual([], servers_under(self.root))
        second = self.visit()

        self.assertEqual((1, 2), (first[1], second[1]))
        self.assertNotEqual(first[0], second[0])

    def test_a_connection_left_open_at_exit_does_not_keep_it_running(self) -> None:
        self.visit("open")

        self.assertEqual([], servers_under(self.root, wait=True))

    def test_it_keeps_running_until_its_last_user_leaves(self) -> None:
        with self.staying() as (_, pid, _):
            self.assertEqual((pid, 2), self.visit())
            self.assertEqual((pid, 3), self.visit())

    def test_another_client_keeps_it_running_until_the_next_tick(self) -> None:
        server = EmbeddedServer(self.data_dir)
        server.start()
        stranger = psycopg2.connect(server.dsn)

        server.stop()

        with stranger.cursor() as cursor:
            cursor.execute("SELECT 1")
        stranger.close()
        self.visit()

    def test_it_waits_for_a_client_that_is_just_leaving(self) -> None:
        server = EmbeddedServer(self.data_dir)
        server.start()
        stranger = psycopg2.connect(server.dsn)
        backend = stranger.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        stranger.close()
        threading.Timer(0.05, os.kill, (backend, signal.SIGCONT)).start()

        server.stop()

        self.assertEqual([], servers_under(self.root, wait=True))

    def test_force_stops_it_even_with_other_clients(self) -> None:
        server = EmbeddedServer(self.data_dir)
        server.start()
        stranger = psycopg2.connect(server.dsn)

        server.stop(force=True)

        with self.assertRaises(psycopg2.OperationalError):
            stranger.cursor().execute("SELECT 1")

    def test_threads_of_one_process_share_one_use(self) -> None:
        with EmbeddedServer(self.data_dir) as server, ThreadPoolExecutor(4) as threads:
            for use in [threads.submit(server.start) for _ in range(8)]:
                use.result()

    def test_a_forked_child_does_not_stop_it_for_its_parent(self) -> None:
        code, out, err = self.client("fork")

        self.assertEqual((0, ""), (code, err))
        before, after = map(words, out.splitlines())
        self.assertEqual((before[0], 1, 2), (after[0], before[1], after[1]))

    def test_a_child_left_behind_delays_neither_the_job_nor_the_next_tick(self) -> None:
        code, out, err = self.client("linger")
        self.addCleanup(os.kill, int(out.split()[-1]), signal.SIGKILL)

        self.assertEqual((0, "", []), (code, err, servers_under(self.root, wait=True)))
        self.visit()

    def test_a_user_and_a_database_with_configured_names_are_created(self) -> None:
        names = ('dbname=it\'s "mine"', "user=Zoë")

        first = self.visit("exit", *names, "host=elsewhere", "port=1", "password=none")
        second = self.visit("exit", *names)

        self.assertEqual((1, 2), (first[1], second[1]))

    def test_eight_processes_create_one_cluster(self) -> None:
        self.crowd(8, at=self.new())

        self.assertEqual(9, self.visit(at=self.new())[1])

    def test_two_or_eight_concurrent_clients_never_lose_their_server(self) -> None:
        for number in (2, 8, 8):
            self.crowd(number)

        self.assertEqual(19, self.visit()[1])

    def crowd(self, number: int, at: Path | None = None) -> None:
        running = [self.start(at=at) for _ in range(number)]
        ends = [(process.communicate(timeout=PATIENCE_SECONDS)[1], process.returncode) for process in running]
        self.assertEqual([("", 0)] * number, ends)


class TestKills(EmbeddedTestCase):
    def test_after_kill_9_the_next_client_uses_and_stops_the_server(self) -> None:
        with self.staying() as (process, pid, _):
            process.kill()
            process.wait()

        self.assertEqual((pid, 2), self.visit())

    def test_after_an_abrupt_exit_the_next_process_uses_and_stops_the_server(self) -> None:
        self.assertEqual(self.visit("vanish")[0], self.visit()[0])

    def test_after_kill_9_of_the_postmaster_the_next_tick_has_lost_nothing(self) -> None:
        for visits in range(1, 7, 2):
            pid, seen = self.visit("vanish")
            os.kill(pid, signal.SIGKILL)

            self.assertEqual((visits, visits + 1), (seen, self.visit()[1]))

    def test_after_kill_9_of_the_postmaster_the_same_process_goes_on(self) -> None:
        with self.staying("again") as (process, pid, _):
            os.kill(pid, signal.SIGKILL)
            # A kept connection turns out to be lost only once its backend has noticed.
            wait_until(lambda: not processes_under(self.data_dir, "postgres"), "its backends did not end")
            out, err = process.communicate("\n", timeout=PATIENCE_SECONDS)

        self.assertEqual(("", 2), (err, words(out)[1]))

    def test_after_kill_9_of_both_the_next_tick_works(self) -> None:
        with self.staying() as (process, pid, _):
            os.kill(pid, signal.SIGKILL)
            process.kill()
            process.wait()

        self.assertEqual(2, self.visit()[1])

    def test_it_waits_for_the_children_of_a_killed_postmaster(self) -> None:
        pid, _ = self.visit("vanish")
        stragglers = [child for child in servers_under(self.root) if child != pid]
        send(signal.SIGSTOP, stragglers)  # All: some of them end by themselves.
        os.kill(pid, signal.SIGKILL)

        with self.start() as process:
            self.assertWaits(process)
            send(signal.SIGCONT, stragglers)
            out, err = process.communicate(timeout=PATIENCE_SECONDS)

        self.assertEqual(("", 2), (err, words(out)[1]))

    def test_a_pid_file_without_a_postmaster_is_ignored(self) -> None:
        pid_file = self.data_dir / postmaster.PID_FILE
        with as_server_user("sleep", "60") as stranger, as_server_user("true") as zombie:
            os.waitid(os.P_PID, zombie, os.WEXITED | os.WNOWAIT)
            cases = (
                ("a running process of the same user", f"{stranger}\n{self.data_dir}\n1\n5432\n.\n\n\nready\n"),
                ("a zombie of the same user", f"{zombie}\n{self.data_dir}\n1\n5432\n.\n\n\nready\n"),
                ("an empty file, after a power cut", ""),
            )
            for reason, text in cases:
                with self.subTest(reason):
                    for file in (pid_file, self.data_dir / ".s.PGSQL.5432.lock"):
                        file.write_text(text)
                        file.chmod(0o644)
                    self.visit()

    def test_a_killed_initdb_is_started_again(self) -> None:
        unfinished = self.new() / cluster.UNFINISHED
        process = self.start(at=self.new())
        wait_until((unfinished / "PG_VERSION").exists, "initdb has not begun")
        send(signal.SIGKILL, [process.pid, *processes_under(self.new())])
        process.communicate()
        self.assertTrue(unfinished.exists())

        self.assertEqual(1, self.visit(at=self.new())[1])
        self.assertFalse(unfinished.exists())

    def test_it_waits_for_an_initdb_whose_starter_was_killed(self) -> None:
        with self.start(at=self.new()) as starter:
            wait_until((self.new() / cluster.UNFINISHED / "PG_VERSION").exists, "initdb has not begun")
            starter.kill()
        orphans = processes_under(self.new(), "initdb")  # One, and perhaps a child that is about to run postgres.
        send(signal.SIGSTOP, orphans)

        with self.start(at=self.new()) as process:
            self.assertWaits(process)
            send(signal.SIGCONT, orphans)
            out, err = process.communicate(timeout=PATIENCE_SECONDS)

        self.assertEqual(("", 1), (err, words(out)[1]))

    def test_an_interrupted_move_of_a_new_cluster_is_completed(self) -> None:
        made = self.data_dir / cluster.FINISHED
        made.mkdir()
        shutil.chown(made, self.data_dir.stat().st_uid)
        for name in ("PG_VERSION", "base", "global", "pg_wal", "postgresql.conf"):
            (self.data_dir / name).rename(made / name)

        self.assertEqual(1, self.visit()[1])
        self.assertFalse(made.exists())

    def assertWaits(self, process: Process) -> None:
        with self.assertRaises(subprocess.TimeoutExpired):
            process.wait(0.7)


def send(signum: signal.Signals, pids: list[int]) -> None:
    """Send a signal to each process that has not ended meanwhile."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signum)


@contextmanager
def as_server_user(*command: str) -> Iterator[int]:
    """Start a command as the server's user; yield its process id, and reap it only at the end."""
    account = server_account()
    process = subprocess.Popen(command, user=account.uid if account.switched else None, cwd="/")
    try:
        yield process.pid
    finally:
        process.kill()
        process.wait()
