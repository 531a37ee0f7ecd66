"""PostgreSQL in a folder, with odd paths, other users, empty environments and bad disks."""

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg2

from crontabber.store.embedded import cluster, postmaster
from crontabber.store.embedded.programs import candidate_folders, find_programs, server_account
from crontabber.store.embedded.server import EmbeddedServer
from tests.integration.embedded_support import (
    AS_ROOT,
    EmbeddedTestCase,
    as_user,
    open_files,
    servers_under,
)
from tests.support import PATIENCE_SECONDS


class TestTheServerItself(EmbeddedTestCase):
    def test_it_keeps_none_of_its_starters_files_open(self) -> None:
        # cron waits until no process has its mail pipe open; so does communicate(), called by visit().
        ours, theirs = os.pipe()
        os.set_inheritable(theirs, True)
        pid, _ = self.visit("vanish", cwd=self.root, close_fds=False)

        self.assertEqual(set(), open_files(pid) & open_files(os.getpid()) - {"/dev/null"})
        self.assertIn(str(self.data_dir / cluster.LOG_FILE), open_files(pid))
        self.assertEqual(str(self.data_dir), os.readlink(f"/proc/{pid}/cwd"))
        self.assertNotEqual(os.getsid(0), os.getsid(pid))
        self.assertNotIn(b"PYTHONPATH", Path(f"/proc/{pid}/environ").read_bytes())
        self.visit()
        os.close(ours)
        os.close(theirs)

    def test_it_survives_ctrl_c_on_the_terminal_of_its_starter(self) -> None:
        with self.staying(start_new_session=True) as (starter, pid, _), self.staying(start_new_session=True):
            os.killpg(starter.pid, signal.SIGINT)
            starter.wait(PATIENCE_SECONDS)

            self.assertEqual((pid, 3), self.visit())

    def test_it_needs_no_environment(self) -> None:
        code, _, err = self.client(env={})

        self.assertEqual((0, ""), (code, err))

    def test_a_new_cluster_takes_over_the_time_zone(self) -> None:
        code, out, err = self.client(at=self.new(), env={"TZ": "Asia/Tokyo"})

        self.assertEqual((0, "", "Asia/Tokyo"), (code, err, out.split()[-1]))

    def test_it_works_at_any_path(self) -> None:
        for name in ("a b'c\"d%s$HOME`id`\\n;é", "long, " + 150 * "x"):
            with self.subTest(name):
                path = self.root / name
                self.addCleanup(forget_link, path)

                visits = [self.visit(at=path, occasion=name)[1] for _ in range(2)]

                self.assertEqual([1, 2], visits)

    def test_a_long_log_is_rotated(self) -> None:
        log = self.data_dir / cluster.LOG_FILE
        with log.open("a") as file:
            file.write("x" * postmaster.LONGEST_LOG_BYTES)

        self.visit()

        self.assertLess(log.stat().st_size, 10_000)
        self.assertGreater((self.data_dir / f"{cluster.LOG_FILE}.1").stat().st_size, postmaster.LONGEST_LOG_BYTES)

    def test_a_failed_start_is_reported_in_the_servers_own_words(self) -> None:
        settings = self.data_dir / "postgresql.conf"
        self.addCleanup(settings.write_text, settings.read_text())
        with settings.open("a") as file:
            file.write("nonsense = 1\n")

        code, out, err = self.client()

        self.assertEqual((1, ""), (code, out))
        self.assertRegex(
            err,
            rf"\Acrontabber: PostgreSQL did not start in {self.data_dir}: .* FATAL: .*contains errors\n"
            rf"Its log is {self.data_dir}/crontabber.log\n\Z",
        )

    def test_a_cluster_of_another_major_version_is_refused(self) -> None:
        version = self.data_dir / "PG_VERSION"
        ours = version.read_text().strip()
        self.addCleanup(version.write_text, f"{ours}\n")
        version.write_text("9.6\n")

        programs = find_programs(candidate_folders())
        self.assertRefused(
            self.client(),
            f"data_dir={self.data_dir} was created by PostgreSQL 9.6, but the programs in {programs} are PostgreSQL {ours}:",
            "move its data with pg_dump or pg_upgrade, or start with a new data_dir",
        )


@AS_ROOT
class TestUsers(EmbeddedTestCase):
    def test_root_hands_over_the_new_folder_and_changes_no_other(self) -> None:
        parent = self.root / "parent"
        parent.mkdir(mode=0o751)
        before = parent.stat()

        self.visit("exit", "run_as=nobody", at=parent / "data")

        made, after = (parent / "data").stat(), parent.stat()
        self.assertEqual((server_account("nobody").uid, 0o700), (made.st_uid, stat.S_IMODE(made.st_mode)))
        self.assertEqual((before.st_uid, before.st_mode, ["data"]), (after.st_uid, after.st_mode, os.listdir(parent)))

    def test_an_ordinary_user_needs_no_other_account(self) -> None:
        home = self.root / "home"
        home.mkdir(mode=0o700)
        shutil.chown(home, "nobody")

        def use() -> str:
            with EmbeddedServer(str(home / "data")):
                return f"{len(servers_under(home)) > 0}"

        self.assertEqual(["True", "True"], [as_user("nobody", use) for _ in range(2)])
        self.assertEqual("nobody", (home / "data").owner())

    def test_another_user_cannot_connect_even_if_the_folder_is_open(self) -> None:
        self.addCleanup(self.data_dir.chmod, 0o700)
        with EmbeddedServer(str(self.data_dir)) as server:
            for mode in (0o700, 0o755):
                with self.subTest(mode=oct(mode)):
                    self.data_dir.chmod(mode)

                    self.assertIn("Permission denied", as_user("daemon", lambda: str(psycopg2.connect(server.dsn))))

            self.data_dir.chmod(0o700)
            self.assertIn("connection object", as_user(server.account.name, lambda: str(psycopg2.connect(server.dsn))))

    def test_a_closed_parent_folder_is_named_and_left_closed(self) -> None:
        closed = self.root / "closed"
        closed.mkdir(mode=0o700)
        (closed / "inner").mkdir()

        result = self.client(at=closed / "inner" / "data")

        self.assertRefused(
            result,
            f"PostgreSQL runs as {server_account().name}, and this user cannot reach {closed}/inner/data"
            f" because {closed} is closed:",
            "open that folder (chmod o+x), choose another data_dir, or set run_as to another user",
        )
        self.assertEqual((0o700, []), (stat.S_IMODE(closed.stat().st_mode), os.listdir(closed / "inner")))

    def test_a_folder_of_another_user_is_refused(self) -> None:
        self.assertRefused(
            self.client("exit", "run_as=nobody"),
            f"data_dir={self.data_dir} does not belong to nobody, the user that PostgreSQL runs as:",
            "run crontabber as the owner, set run_as to the owner (root only), or choose a new data_dir",
        )


@AS_ROOT
class TestDisks(EmbeddedTestCase):
    def test_a_disk_too_small_for_a_new_cluster_is_reported(self) -> None:
        with self.disk("8m") as mounted:
            code, out, err = self.client(at=mounted / "data")

            self.assertEqual((1, ""), (code, out))
            self.assertRegex(err, r"\Acrontabber: initdb failed: .*No space left on device\n\Z")
            self.assertEqual(set(), set(os.listdir(mounted / "data")) - cluster.OUR_NAMES)

    def test_a_full_or_read_only_disk_is_reported(self) -> None:
        with self.disk("80m") as mounted:
            self.visit(at=mounted / "data")
            fill(mounted / "ballast")

            code, out, err = self.client(at=mounted / "data")

            self.assertEqual((1, ""), (code, out))
            self.assertRegex(err, r"\Acrontabber: (.*\n){1,4}\Z")
            self.assertIn("No space left on device", err)

            (mounted / "ballast").unlink()
            self.assertEqual(2, self.visit(at=mounted / "data")[1])
            mount("-o", "remount,ro", mounted)

            self.assertRefused(
                self.client(at=mounted / "data"),
                f"data_dir={mounted}/data cannot be used: [Errno 30] Read-only file system:"
                f" '{mounted}/data/crontabber.lock'",
            )
            self.assertRefused(
                self.client(at=mounted / "new"),
                f"data_dir={mounted}/new cannot be created in {mounted}: Read-only file system",
            )

    @contextmanager
    def disk(self, size: str) -> Iterator[Path]:
        mounted = self.root / "disk"
        mounted.mkdir(exist_ok=True)
        try:
            mount("-t", "tmpfs", "-o", f"size={size},mode=755", "tmpfs", mounted)
        except (subprocess.CalledProcessError, FileNotFoundError) as error:
            self.skipTest(f"cannot mount a small disk: {error}")
        try:
            yield mounted
        finally:
            servers_under(mounted, wait=True)
            subprocess.run(["umount", mounted], check=True)


def mount(*arguments: Any) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def fill(ballast: Path) -> None:
    with suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def forget_link(data_dir: Path) -> None:
    link = EmbeddedServer(str(data_dir)).socket_directory
    if link != str(data_dir):
        shutil.rmtree(os.path.dirname(link))
