"""Run ticks elsewhere: on the workers of a Dask cluster, or wherever a class of the user's own submits them.

A tick that runs elsewhere is an ordinary one. It reads its own configuration, and claims each job that it runs: so no
executor can run a job twice, whatever it loses or repeats.
"""

import logging
import os
import socket
import subprocess
import sys
import tempfile
from concurrent.futures import Future
from typing import Any, Protocol

from configman import Namespace, RequiredConfig

from crontabber.errors import ConfigurationError

CONNECT_SECONDS = 10
# What a tick prints is kept up to this size: its end.
OUTPUT_BYTES = 256 * 1024


class Executor(Protocol):
    """What `crontabber.executor_class` names: a class whose instances submit functions. For example, in full:

        class Threads:
            def __init__(self, config):  # the options of [crontabber], and those of the class's own required_config
                self.pool = ThreadPoolExecutor()

            def submit(self, function, *arguments):
                return self.pool.submit(function, *arguments)

    `function` can be imported from crontabber on the other side. It and its arguments, which are text and contain no
    secrets, may be pickled. It takes as long as a tick, and may be called more than once. `submit` returns a
    concurrent.futures.Future. Whatever is raised is logged, and the next tick tries again.

    Two more methods are called if there are any: `trouble()` every few seconds, which returns why the futures will
    never be done, as a clause, or None; and `shutdown()` at the end, also after SIGTERM: it must not wait.
    """

    def submit(self, function: Any, *arguments: Any) -> "Future[Any]": ...


class Dask(RequiredConfig):
    """Submits ticks to a Dask cluster whose workers have crontabber, the jobs and the configuration file."""

    required_config = Namespace()
    required_config.add_option(
        "address", default="", doc="the address of the scheduler of the Dask cluster, for example tcp://host:8786"
    )

    def __init__(self, config: Any) -> None:
        """ConfigurationError if there is no address or no Dask, OSError if the scheduler does not answer."""
        if not config.address:
            raise ConfigurationError("crontabber.address is empty: give it the address of the scheduler")
        try:
            import distributed
        except ImportError as error:
            raise ConfigurationError(f"{error}: pip install distributed") from error
        # It logs what it tells us, too.
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        client: Any = distributed.Client  # It has no types.
        self._client = client(config.address, timeout=CONNECT_SECONDS, set_as_default=False)
        # Not pure: two ticks are two, although they look the same.
        self._executor = self._client.get_executor(pure=False)

    def submit(self, function: Any, *arguments: Any) -> "Future[Any]":
        return self._executor.submit(function, *arguments)  # type: ignore[no-any-return]

    def trouble(self) -> str | None:
        if self._client.status != "running":
            return "the scheduler is gone"
        return None if self._client.scheduler_info(n_workers=-1)["workers"] else "the cluster has no worker"

    def shutdown(self) -> None:
        """Drop the ticks that have not started. Those that run go on."""
        self._client.close(timeout=CONNECT_SECONDS)


def run_tick(arguments: list[str], config_path: str, version: str) -> tuple[str, int, str]:
    """Run the command crontabber on this machine. Return the name of the host, the exit code, and what was printed."""
    from crontabber import __version__

    host = socket.gethostname()
    if __version__ != version:
        return host, 1, f"this machine has crontabber {__version__}, and the one that submits ticks has {version}"
    if config_path and not os.path.isfile(config_path):
        return host, 1, f"this machine has no configuration file {config_path}"
    with tempfile.TemporaryFile() as output:
        exit_code = subprocess.call(
            [sys.executable, "-m", "crontabber", *arguments],
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        output.seek(max(0, output.tell() - OUTPUT_BYTES))
        return host, exit_code, output.read().decode("utf-8", "replace")
