"""The modes of crontabber: a module for each, named after it, with the function `command(app)`."""

from collections.abc import Mapping
from datetime import datetime
from types import ModuleType
from typing import Any, Protocol

from crontabber.rules.configured_jobs import ConfiguredJobs
from crontabber.rules.job_state import JobState


class Application(Protocol):
    """What commands use of the application. Methods that users may override are called through it."""

    app_name: str
    app_version: str
    config: Any
    config_manager: Any

    @property
    def job_state_database(self) -> Any: ...

    @property
    def job_states(self) -> Any: ...

    def configured_jobs(self) -> ConfiguredJobs: ...

    def state_reader(self) -> Any: ...

    def states_to_read(self) -> Mapping[str, JobState]: ...

    def current_time(self) -> datetime: ...

    def load_raven(self) -> ModuleType: ...
