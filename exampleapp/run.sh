#!/usr/bin/env bash
# Runs the playground: creates an environment with this checkout, runs crontabber twice, and lists the jobs.
# Run it again whenever you like: it continues where it was. With arguments it runs crontabber in the playground.
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
    heading "$here is closed to PostgreSQL's user or not writable"
    echo "so the environment and the data are in $place"
fi
heading "the environment: $place/.venv (the first time, this takes a moment)"
make_environment "$place/.venv"

heading "a tick: everything that is due runs"
crontabber
heading "a second tick at once: nothing is due, and the failed job waits for its retry"
crontabber
heading "crontabber --list-jobs: the state of each job"
crontabber --list-jobs
heading "crontabber --nagios: the same for a machine (exit code 0 ok, 1 warning, 2 critical)"
crontabber --nagios || echo "(exit code $?)"
heading "in short"
# A job that is still due after two ticks is one that was held back, with or without a run before.
crontabber --list-jobs | awk '
    function show(what) { printf "%-10s%s\n", what, (what in names) ? names[what] : " none" }
    /^=== JOB / { if (name) names[stands] = names[stands] " " name; stands = "ran" }
    /^App name:/ { name = $3 }
    /^\*NO PREVIOUS RUN INFO/ || /^Next run: .*\(was / { stands = "held back" }
    /^Error!!/ { stands = "failed" }
    END { names[stands] = names[stands] " " name; show("ran"); show("failed"); show("held back") }'
