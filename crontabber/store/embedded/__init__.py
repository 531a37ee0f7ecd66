"""A connection factory with a PostgreSQL of its own: set `database_class` to it, set `data_dir`, and run."""

import atexit
import logging
import threading
from typing import Any

import psycopg2
from configman import Namespace

from crontabber.connection_factory import ConnectionFactory
from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded.cluster import absolute_folder
from crontabber.store.embedded.server import EmbeddedServer

_servers: dict[tuple[str, str], EmbeddedServer] = {}
_servers_mutex = threading.Lock()


class EmbeddedConnectionFactory(ConnectionFactory):
    """Start the server in `data_dir` at the first connection, and stop it at exit unless others use it.
    EmbeddedServerError if it does not start.

    `host`, `port` and `password` are ignored; `user` and `dbname` are created if they are missing.
    """

    required_config = Namespace()
    required_config.add_option(
        "data_dir",
        default="",
        doc="the folder for the data of the embedded PostgreSQL, created if missing; relative to the current directory",
        reference_value_from="resource.postgresql",
    )
    required_config.add_option(
        "run_as",
        default="",
        doc="the user that runs the embedded PostgreSQL if crontabber runs as root; empty: postgres, else nobody",
        reference_value_from="resource.postgresql",
    )

    def __init__(self, config: Any, local_config: Any = None) -> None:
        """`local_config`, a mapping, replaces `config` as the source of the options: for subclasses."""
        settings = config if local_config is None else local_config
        self.server = server_for(settings.get("data_dir"), settings.get("run_as"))
        asked = {name: settings.get(name) for name in ("user", "dbname")}
        self._options = self.server.connection_options() | {name: value for name, value in asked.items() if value}
        super().__init__(config, self._options)

    def connection(self, name: str | None = None) -> Any:
        if not self.server.in_use:
            self.server.start()
        try:
            connection = super().connection(name)
        except psycopg2.OperationalError:
            # The server was killed, or it does not have this user or this database yet.
            self.server.start()
            self.server.create_missing(self._options["user"], self._options["dbname"])
            connection = super().connection(name)
        self.server.remember(connection)
        return connection


def server_for(data_dir: str | None, run_as: str | None) -> EmbeddedServer:
    """Return the server in that folder; the factories of all jobs in this process share one."""
    key = absolute_folder(data_dir or ""), run_as or ""
    with _servers_mutex:
        if key not in _servers:
            _servers[key] = EmbeddedServer(key[0], run_as)
            atexit.register(_stop_at_exit, _servers[key])
        return _servers[key]


def _stop_at_exit(server: EmbeddedServer) -> None:
    try:
        server.stop()
    except EmbeddedServerError as error:
        logging.getLogger("crontabber").warning("%s", error)
