"""What a supervisor knows about one of its children, and the pipes between them."""

import os
import time
from typing import Any, NamedTuple

from crontabber.process.descendants import Process
from crontabber.process.reports import IDLE, Reporter, Reports
from crontabber.process.signals import TIMEOUT_SIGNAL


class Run(NamedTuple):
    """A run that a child has reported. `facts` are for the child that follows if this one is killed; `timeout` and
    `kill_timeout` are seconds; `others` are the processes that existed before the run."""

    facts: dict[str, Any]
    timeout: float | None
    kill_timeout: float
    others: frozenset[Process]


class Child:
    """A child. Its `run` is the last that it has reported, and `deadline` when that has to end; 0 if it need not."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pid = 0
        self.run: Run | None = None
        self.has_killed = self.is_idle = False
        self.deadline = self._last_deadline = 0.0
        reader, self._writer = os.pipe()
        self.reports = Reports(reader)
        self._words, self._mouth = os.pipe()
        # The connections of the child: all, and those from before the run.
        self._backends: list[list[Any]] = []
        self._lasting = 0

    def reporter(self, has_siblings: bool) -> Reporter:
        """Return the child's ends of the pipes, in the child."""
        os.close(self._mouth)
        os.close(self.reports.descriptor)
        return Reporter(self._writer, self._words, self.number if has_siblings else 0)

    def close(self) -> None:
        for descriptor in (self.reports.descriptor, self._writer, self._words, self._mouth):
            os.close(descriptor)

    def say(self, word: bytes) -> None:
        """Say something that the child hears when it is idle."""
        self.is_idle = False
        os.write(self._mouth, word)

    def hear(self) -> int:
        """Take in what the child has reported. Return how many jobs others may run."""
        return max((self._note(message) for message in self.reports.read()), default=0)

    def is_too_late(self) -> bool:
        """True at the last deadline. At the first one, ask the child to end its job."""
        if self.run is None or not self.deadline or time.monotonic() < self.deadline:
            return False
        if self.deadline < self._last_deadline:
            self.deadline = self._last_deadline
            os.kill(self.pid, TIMEOUT_SIGNAL)
            return False
        self.deadline = 0.0
        self.run.facts["backends"] = self._backends
        return True

    def _note(self, message: Any) -> int:
        match message:
            case int():
                return message
            case str():
                self.is_idle = message == IDLE
            case [_, _, int()]:
                self._backends.append(message)
            case [facts, timeout, kill_timeout, others]:
                self.run = Run(facts, timeout, kill_timeout, frozenset(map(tuple, others)))
                self._lasting = len(self._backends)
                self.deadline = time.monotonic() + timeout if timeout else 0.0
                self._last_deadline = self.deadline + kill_timeout
            case None:
                self.run, self.deadline = None, 0.0
                del self._backends[self._lasting :]
        return 0
