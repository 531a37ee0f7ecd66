#!/usr/bin/env bash
# Run the playground: create an environment with this checkout, run crontabber twice, and show the jobs.
# Run it again whenever you like: it continues where it stopped. With arguments, it runs crontabber in the playground.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/environment.sh"

heading() { printf '\n--- %s\n' "$1"; }

here=$root/exampleapp
place=$(place_for "$here" crontabber-exampleapp)
crontabber() {
    "$place/.venv/bin/crontabber" --admin.conf=crontabber.ini --resource.postgresql.data_dir="$place/data" "$@"
}
export PYTHONPATH=$here:$root
cd "$here"

if [ $# -gt 0 ]; then
    make_environment "$place/.venv"
    crontabber "$@"
    exit
fi

if [ "$place" != "$here" ]; then
    heading "PostgreSQL's user cannot enter $here, or you cannot write there"
    echo "so the environment and the data are in $place"
fi
heading "preparing the environment, $place/.venv (this takes a moment the first time)"
make_environment "$place/.venv"

heading "a tick: every job that is due runs, unless it is held back"
crontabber
heading "a second tick right after it: nothing runs, and the failed job waits for its retry"
crontabber
heading "crontabber --check: what a monitoring system asks (exit code 0 OK, 1 WARNING, 2 CRITICAL)"
crontabber --check || echo "(exit code $?)"
heading "crontabber --status: all jobs"
crontabber --status
heading "crontabber --status-page=FILE: the same as a page, with a picture"
crontabber --status-page="$place/status.html"
echo "file://$place/status.html"
