#!/usr/bin/env bash
# Installs Debian's cron and nagios4, and has them run crontabber. Needs root, apt-get and some four minutes; where these
# are not there, the tests are skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

. tests/debian_packages.sh
install_packages cron nagios4
exec tests/run.sh tests/e2e/debian.py "$@"
