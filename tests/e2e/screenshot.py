"""Make docs/user/status-page.png: the status page of the playground after some days. Needs Debian's chromium.

python tests/e2e/screenshot.py [FILE]
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from tests.e2e.browser import Browser
from tests.support import ROOT, connect, connection_options

PICTURE = ROOT / "docs" / "user" / "status-page.png"
WIDTH, HEIGHT = 1280, 1130
PLAYGROUND = ROOT / "exampleapp"

# How long each job took lately, in seconds, oldest first. An "x" is a failure.
RUNS = {
    "greeting": "1 1 2 1 1 1 2 1 1 1 1 2 1 1 1 1 2 1 1",
    "reply": "2 2 3 2 2 2 2 3 2 2 2 2 2 2 3 2 2 2 2",
    "broken": "9 8 9 9 10 9 8 9 9 9 10 9 8 9 4x 3x 4x 3x",
    "waiting": "20 21 19 24 22 20 18 21 20 20 23 21 20 19",
    "daily-report": "65 70 66 74 81 79 90 94 99 101 98 110 115 121 126 131 128",
    "configured": "1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
    "office": "3 2 3 3 4 3 3 2 3 3",
    "hanging": "1 1 1 1 1 2x 1 1 1 1 1 2x 2x 2x",
    "disk-space": "5 5 5 6 5 5 12 5 5 6 5 5 5 6 5 5 5 5",
    "own-transactions": "14 13 15 14 14 30x 16 14 13 14 15 14 14 13 14 14",
    "given-connection": "8 8 9 8 8 8 8 9 8 8 7 8 8 9 8 8",
    "one-transaction": "33 35 34 36 40 38 35 34 33 35 36 34 33 36 35",
}
RUN = """
INSERT INTO crontabber_log (app_name, log_time, duration, success, exc_type, exc_value)
SELECT %(name)s, last_run - %(age)s * interval '1 hour' * %(hours)s, %(seconds)s * interval '1 second',
       CASE WHEN NOT %(failed)s THEN last_run END,
       CASE WHEN %(failed)s THEN '<class ''RuntimeError''>' END, CASE WHEN %(failed)s THEN 'RuntimeError()' END
FROM crontabber WHERE app_name = %(name)s
"""
# What has happened since: two jobs fail again and again, and one is running just now, in this process.
SINCE = """
UPDATE crontabber SET error_count = 3 WHERE app_name = 'hanging';
UPDATE crontabber SET error_count = 4, next_run = now() + interval '3 minutes' WHERE app_name = 'broken';
UPDATE crontabber SET ongoing = now() - interval '1 minute', next_run = now() - interval '1 minute'
    WHERE app_name = 'daily-report';
SELECT pg_advisory_lock(('x' || left(md5('public.crontabber.daily-report'), 16))::bit(64)::bigint)
"""


def crontabber(folder: Path, *arguments: str) -> None:
    environment = os.environ | {"PYTHONPATH": f"{PLAYGROUND}:{ROOT}"}
    command = [sys.executable, "-m", "crontabber", f"--admin.conf={folder}/crontabber.ini", *arguments]
    subprocess.run(command, check=True, cwd=PLAYGROUND, env=environment, stderr=subprocess.DEVNULL)


def write_ini(folder: Path) -> None:
    """Copy the configuration of the playground, but with our server."""
    _, _, rest = (PLAYGROUND / "crontabber.ini").read_text().partition("[crontabber]")
    server = [f'{key}="{value}"' for key, value in connection_options().items()]
    (folder / "crontabber.ini").write_text("\n".join(["[resource]", "[[postgresql]]", *server, "[crontabber]", rest]))


def fill_log(cursor: Any) -> None:
    cursor.execute("DELETE FROM crontabber_log")
    for name, runs in RUNS.items():
        hours = 1 / 12 if "x" in runs.split()[-1] else 1
        for age, run in enumerate(reversed(runs.split())):
            values = {"name": name, "age": age, "hours": hours, "seconds": float(run.strip("x")), "failed": "x" in run}
            cursor.execute(RUN, values)


def main(picture: Path) -> None:
    connection, browser = connect(), Browser()
    with tempfile.TemporaryDirectory() as name, connection.cursor() as cursor:
        folder = Path(name)
        write_ini(folder)
        crontabber(folder)
        crontabber(folder, "--pause=configured", "--reason=until the new format is agreed on", "--yes")
        fill_log(cursor)
        cursor.execute(SINCE)
        crontabber(folder, f"--status-page={folder}/status.html")
        browser.open(folder / "status.html")
        browser.resize(WIDTH, HEIGHT)
        browser.screenshot(picture)
        browser.close()
    subprocess.run(["pngquant", "--force", "--output", picture, "64", picture], check=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if sys.argv[1:] else PICTURE)
