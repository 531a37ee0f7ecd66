"""A hundred jobs for the tests of whole nights: eighty good ones, and among them one of each kind of bad ones."""

import asyncio
import locale
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg2

from crontabber.base import BaseCronApp
from crontabber.mixins import (
    as_single_postgres_transaction,
    using_postgres,
    with_postgres_connection_as_argument,
    with_subprocess,
)
from tests.jobs import Noting

MEGABYTE = 2**20


class Good(Noting):
    policy = {"timeout": "10m"}


@using_postgres()
@with_postgres_connection_as_argument()
class Connected(Good):
    def run(self, connection):
        connection.cursor().execute("SELECT 1")
        super().run()


@using_postgres()
@as_single_postgres_transaction()
class InOneTransaction(Good):
    def run(self, connection):
        connection.cursor().execute("INSERT INTO effects VALUES (%s)", (self.app_name,))
        super().run()


@with_subprocess
class WithAProgram(Good):
    def run(self):
        assert self.run_process("echo fine") == (0, "fine", "")
        super().run()


class Bad(BaseCronApp):
    """Misbehaves in its own way, until there is a file `cured`."""

    policy = {"timeout": 1, "kill_timeout": 0.3}

    def run(self):
        if not os.path.exists("cured"):
            self.misbehave()


class Exiting(Bad):
    def misbehave(self):
        os._exit(0)


class KillingItself(Bad):
    def misbehave(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Aborting(Bad):
    def misbehave(self):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.abort()


class SettingAlarms(Bad):
    """The default of SIGALRM ends a process."""

    def misbehave(self):
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        time.sleep(600)


class Sleeping(Bad):
    def misbehave(self):
        time.sleep(600)


class HoldingTheGil(Bad):
    def misbehave(self):
        sum(iter(int, 1))


@using_postgres()
@with_postgres_connection_as_argument()
class WaitingInLibpq(Bad):
    def run(self, connection):
        if not os.path.exists("cured"):
            connection.cursor().execute("SELECT pg_sleep(600)")


class BlockingSignals(Bad):
    def misbehave(self):
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        time.sleep(600)


class HandlingSignals(Bad):
    def misbehave(self):
        for signum in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(signum, lambda *args: None)
        while True:
            time.sleep(600)


class LeavingChildren(Bad):
    def misbehave(self):
        for _ in range(3):
            if not os.fork():
                time.sleep(600)
        subprocess.Popen(["sleep", "600"], start_new_session=True)
        time.sleep(600)


class Detaching(Bad):
    def misbehave(self):
        if not os.fork():
            os.setsid()
            if os.fork():
                os._exit(0)
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            time.sleep(600)
        time.sleep(600)


LEAKED = []


@using_postgres()
class Leaking(Bad):
    """Leaves ten connections open, one of them in a transaction that holds a lock."""

    def misbehave(self):
        dsn = self.config.database.database_class(self.config.database).dsn
        LEAKED.extend(psycopg2.connect(dsn) for _ in range(10))
        LEAKED[-1].cursor().execute("LOCK TABLE obstacle")


class Closing(Bad):
    """Afterwards, nothing is logged in this tick any more."""

    def misbehave(self):
        os.closerange(0, 256)


class ClosingStreams(Bad):
    def misbehave(self):
        sys.stdout.close()
        sys.stderr.close()
        os.close(1)


class FillingTheDisk(Bad):
    """Where the test could not mount a small disk, the size of a file is limited."""

    def misbehave(self):
        if not os.path.ismount(os.environ["TMPDIR"]):
            resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
        with Path(os.environ["TMPDIR"], "full").open("wb") as file:
            while True:
                file.write(bytes(MEGABYTE))


class Odd(asyncio.CancelledError):
    def __str__(self):
        raise ValueError("it has no text")

    __repr__ = __str__


class RaisingOddThings(Bad):
    def misbehave(self):
        raise Odd


class Printing(Bad):
    def misbehave(self):
        for _ in range(100):
            print("x" * MEGABYTE)


class EatingMemory(Bad):
    def misbehave(self):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + 200 * MEGABYTE
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))
        eaten = []
        while True:
            eaten.append(bytearray(10 * MEGABYTE))


class Recursing(Bad):
    def misbehave(self):
        self.misbehave()


class Moving(Bad):
    def misbehave(self):
        os.chdir("/")
        os.umask(0o777)
        os.environ["TZ"] = "Asia/Tokyo"
        time.tzset()
        locale.setlocale(locale.LC_ALL, "C.UTF-8")


GOOD = (Good, Connected, InOneTransaction, WithAProgram)
BAD = (
    Exiting, KillingItself, Aborting, SettingAlarms, Sleeping, HoldingTheGil, WaitingInLibpq, BlockingSignals,
    HandlingSignals, LeavingChildren, Detaching, Leaking, ClosingStreams, FillingTheDisk, RaisingOddThings, Printing,
    EatingMemory, Recursing, Moving, Closing,
)  # fmt: skip
# By app_name, in which a number comes first: the bad ones are everywhere among the good ones.
CLASSES = {}
for number in range(5 * len(BAD)):
    base = BAD[number // 5] if number % 5 == 2 else GOOD[number % 4]
    name = f"{number:02}-{base.__name__.lower()}"
    CLASSES[name] = globals()[f"Job{number:02}"] = type(f"Job{number:02}", (base,), {"app_name": name, "__module__": __name__})
