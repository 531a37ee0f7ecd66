#!/usr/bin/env bash
# Plays the playground: makes an environment with this checkout, runs crontabber twice, shows how the jobs stand.
# Run it again whenever you like: it goes on from where it was.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
python=${PYTHON:-python3}
place=$here

# The embedded PostgreSQL never runs as root: as root, its programs and its data have to lie where another user gets.
reachable() {
    local folder=$1
    while [ "$folder" != / ]; do
        [ $((0$(stat -c %a "$folder") & 1)) -eq 1 ] || return 1
        folder=$(dirname "$folder")
    done
}
if [ ! -w "$here" ] || { [ "$(id -u)" -eq 0 ] && ! reachable "$here"; }; then
    place=/var/tmp/crontabber-exampleapp-$(id -u)
    echo "$here is closed to PostgreSQL's user or not writable: the environment and the data are in $place"
    (umask 022 && mkdir -p "$place")
    if [ ! -O "$place" ]; then
        echo "run.sh: $place belongs to someone else: remove it first" >&2
        exit 1
    fi
fi

heading() { printf '\n--- %s\n' "$1"; }

environment=$place/.venv
if [ ! -x "$environment/bin/crontabber" ]; then
    heading "making an environment in $environment (once)"
    (umask 022 && "$python" -m venv "$environment" &&
        "$environment/bin/pip" install --quiet --disable-pip-version-check --editable "$here/..[embedded]")
fi

cd "$here"
export PYTHONPATH=$here
crontabber() { "$environment/bin/crontabber" --admin.conf=crontabber.ini --resource.postgresql.data_dir="$place/data" "$@"; }

heading "a tick: everything that is due runs"
crontabber
heading "a second tick at once: nothing is due, what failed waits for its time"
crontabber
heading "crontabber --list-jobs: how each job stands"
crontabber --list-jobs
heading "crontabber --nagios: the same for a machine (exit code 0 well, 1 warning, 2 critical)"
crontabber --nagios || echo "exit code $?, as it should be: broken fails on purpose, and waiting is held back by it"
