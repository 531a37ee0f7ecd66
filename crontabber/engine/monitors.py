"""Tell the services that monitor jobs when a run starts and how it ends: by pings, and by check-ins at Sentry."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone, tzinfo
from functools import cached_property
from typing import Any

from crontabber.errors import Interrupted, SentryConfigurationError
from crontabber.output.secrets import SecretMask
from crontabber.rules.job import Job
from crontabber.rules.job_state import Outcome


def monitors_of(app: Any) -> "Monitors":
    """Return what the configuration of an application asks for."""
    return Monitors(app.config, app.app_version, SecretMask(app.config))


class NoMonitors:
    """What the engine calls. Here nobody listens."""

    def started(self, job: Job, since: datetime, zone: tzinfo) -> None:
        """Tell that a run starts, whose claim was taken at `since`."""

    def ended(self, job: Job, since: datetime, outcome: Outcome, zone: tzinfo) -> None:
        """Tell how a run ended."""

    def failed(self, job: Job, since: datetime, now: datetime, text: str, zone: tzinfo) -> None:
        """Tell that a run has failed that has no outcome: its process died, or lost the job."""


class Monitors(NoMonitors):
    """Imports nothing, and starts no thread, before there is something to send."""

    def __init__(self, config: Any, release: str, mask: Callable[[str], str]) -> None:
        self._config = config
        self._release = release
        self._mask = mask
        self._format = config.crontabber.get("ping_format") or "healthchecks"
        self._has_crons = bool((config.get("sentry") or {}).get("crons"))

    def started(self, job: Job, since: datetime, zone: tzinfo) -> None:
        self._tell(job, "start", since, "", None, zone)

    def ended(self, job: Job, since: datetime, outcome: Outcome, zone: tzinfo) -> None:
        failure, event = outcome.failure, "success"
        if failure:
            event = "postponed" if outcome.interrupted or outcome.delay is not None else "fail"
        text = f"{failure.type}: {failure.value}\n\n{failure.traceback}" if failure else ""
        self._tell(job, event, since, text, outcome.finished, zone)

    def failed(self, job: Job, since: datetime, now: datetime, text: str, zone: tzinfo) -> None:
        self._tell(job, "fail", since, text, now, zone)

    @contextmanager
    def tick(self, broken: int) -> Iterator[None]:
        """Tell the start and the end of a tick; `broken` entries of the setting jobs make it a failure."""
        url = self._config.crontabber.get("tick_ping_url")
        if not url:
            yield
            return
        run_id = _as_uuid(os.urandom(16).hex())
        self._ping("the tick", url, "start", run_id, "")
        event, text = "fail", f"broken entries in the setting jobs: {broken}"
        try:
            yield
            if not broken:
                event, text = "success", ""
        except Interrupted:
            event, text = "postponed", "interrupted by a signal"
            raise
        except BaseException as error:
            text = self._mask(f"{type(error).__name__}: {error}")
            raise
        finally:
            self._ping("the tick", url, event, run_id, text)
            self.finish()

    def finish(self) -> None:
        """Wait for what is still to be sent, for a few seconds at most, and report what was not delivered."""
        if "_outbox" in vars(self):
            self._outbox.finish()

    @cached_property
    def _outbox(self) -> Any:
        from crontabber.engine.outbox import Outbox

        return Outbox(self._config.logger)

    @cached_property
    def _dsn(self) -> Any:
        """The DSN for check-ins; None if they are not wanted, or it is not valid."""
        from crontabber.engine.dsn import dsn_in, parse_dsn

        try:
            return parse_dsn(dsn_in(self._config))
        except SentryConfigurationError as error:
            self._config.logger.warning("%s; Sentry is not told of runs", error)
            return None

    def _tell(self, job: Job, event: str, since: datetime, text: str, finished: datetime | None, zone: tzinfo) -> None:
        try:
            if job.policy.ping_url:
                from crontabber.rules.pings import url_of

                url = url_of(job.policy.ping_url, job.app_name)
                self._ping(job.app_name, url, event, _as_uuid(_run_id(job.app_name, since)), text)
            if self._has_crons and self._dsn is not None:
                self._check_in(job, event, since, finished, zone)
        except Exception:  # No monitor may fail a job.
            self._config.logger.debug("%s: could not tell its monitors", job.app_name, exc_info=True)

    def _ping(self, name: str, url: str, event: str, run_id: str, text: str) -> None:
        from crontabber.engine.outbox import Letter
        from crontabber.rules.pings import FORMATS

        ping = FORMATS[self._format](url, event, run_id, text)
        if ping is not None:
            self._outbox.send(Letter(f"the ping of {name} ({event})", *ping))

    def _check_in(self, job: Job, event: str, since: datetime, finished: datetime | None, zone: tzinfo) -> None:
        from crontabber.engine.outbox import Letter
        from crontabber.rules.check_ins import envelope
        from crontabber.rules.policy import parse_duration

        seconds = None if finished is None else max(0.0, (finished - since).total_seconds())
        tick_interval = parse_duration(self._config.crontabber.get("tick_interval") or "5m")
        body = envelope(job, event, _run_id(job.app_name, since), seconds, self._release, zone, tick_interval)
        headers = self._dsn.headers(f"crontabber/{self._release}")
        about = f"Sentry's check-in of {job.app_name} ({event})"
        self._outbox.send(Letter(about, self._dsn.url, body, headers, self._dsn.verify, self._dsn.ca_certs))


def _run_id(app_name: str, since: datetime) -> str:
    """Return what another process can make again from the row of a claim: it may have to report how the run ended."""
    import hashlib

    text = f"{app_name}@{since.astimezone(timezone.utc).isoformat()}"
    return hashlib.md5(text.encode("utf-8", "replace"), usedforsecurity=False).hexdigest()


def _as_uuid(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
