"""A miniature crontabber for test_embedded: it connects through the factory, records its visit, and ends in many ways.

`embedded_client.py DATA_DIR [ENDING] [OPTION=VALUE ...]` prints "connected", the postmaster's process id, the number of
visits on this occasion (an environment variable) and the time zone; then it ends as ENDING says.
"""

import os
import sys
import time
from pathlib import Path

from crontabber.errors import EmbeddedServerError
from crontabber.store.embedded import EmbeddedConnectionFactory

VISIT = """
SELECT pg_advisory_xact_lock(1);
CREATE TABLE IF NOT EXISTS visits (occasion text);
INSERT INTO visits VALUES (%(occasion)s);
SELECT count(*), current_setting('TimeZone') FROM visits WHERE occasion = %(occasion)s
"""


def main(data_dir: str, ending: str = "exit", *options: str) -> None:
    from configman.dotdict import DotDict  # importable only after crontabber

    settings = {"host": "", "port": "", "dbname": "", "user": "", "password": "", "data_dir": data_dir, "run_as": ""}
    for option in options:
        name, _, settings[name] = option.partition("=")
    factory = EmbeddedConnectionFactory(DotDict(settings))
    try:
        visit(factory)
    except EmbeddedServerError as error:
        sys.exit(f"crontabber: {error}")
    ENDINGS[ending](factory)


def visit(factory: EmbeddedConnectionFactory) -> None:
    with factory() as connection:
        cursor = connection.cursor()
        cursor.execute(VISIT, {"occasion": os.environ["OCCASION"]})
        count, zone = cursor.fetchone()
        connection.commit()
    postmaster = Path(factory.server.data_dir, "postmaster.pid").read_text().splitlines()[0]
    print("connected", postmaster, count, zone, flush=True)


def exit_normally(factory: EmbeddedConnectionFactory) -> None:
    """Return from main, so that Python exits normally."""


def exit_with_open_connection(factory: EmbeddedConnectionFactory) -> None:
    """Keep a reference to the factory until the interpreter has exited."""
    factory.connection("left open").cursor().execute("SELECT 1")
    sys.factory = factory  # type: ignore[attr-defined]


def stay(factory: EmbeddedConnectionFactory) -> None:
    sys.stdin.readline()


def stay_and_visit_again(factory: EmbeddedConnectionFactory) -> None:
    sys.stdin.readline()
    visit(factory)


def vanish(factory: EmbeddedConnectionFactory) -> None:
    os._exit(0)


def fork(factory: EmbeddedConnectionFactory) -> None:
    """Fork a child that exits normally while the job goes on."""
    if os.fork() == 0:
        sys.exit()
    os.wait()
    visit(factory)


def linger(factory: EmbeddedConnectionFactory) -> None:
    """Leave a child running, without its parent's pipes, and print its process id."""
    child = os.fork()
    if child == 0:
        os.closerange(0, 3)
        time.sleep(60)
        os._exit(0)
    print(child)


ENDINGS = {
    "exit": exit_normally,
    "open": exit_with_open_connection,
    "stay": stay,
    "again": stay_and_visit_again,
    "vanish": vanish,
    "fork": fork,
    "linger": linger,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
