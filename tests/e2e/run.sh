#!/usr/bin/env bash
# Installs Debian's cron and nagios4, and lets them run crontabber. Takes about four minutes. Needs root and apt-get;
# without them the tests are skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

. tests/debian_packages.sh
install_packages cron nagios4
exec tests/run.sh tests/e2e/debian.py "$@"
