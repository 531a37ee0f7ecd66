#!/usr/bin/env bash
# Installs Debian's cron and nagios4, and has them run crontabber. Needs root, apt-get and some four minutes; where these
# are not there, the tests are skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# What is installed here is not to be started: the tests start it themselves.
without_services() {
    local policy=/usr/sbin/policy-rc.d
    if [ -e "$policy" ]; then
        "$@"
        return
    fi
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod +x "$policy"
    "$@" || true
    rm -f "$policy"
}

if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null && ! { command -v cron && command -v nagios4; } >/dev/null; then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update && without_services apt-get install --yes --no-install-recommends cron nagios4; } >/dev/null 2>&1 </dev/null ||
        echo "tests/e2e/run.sh: cron and nagios4 could not be installed" >&2
fi
exec tests/run.sh tests/e2e/debian.py "$@"
