#!/usr/bin/env bash
# Installs Debian's cron, Nagios, node exporter and Icinga, and lets them use crontabber, and chromium, which opens the status
# page. Takes about four minutes. Needs root and apt-get; without them the tests are skipped.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

. tests/debian_packages.sh
install_packages cron nagios4 prometheus-node-exporter icinga2 chromium
exec tests/run.sh tests/e2e/debian.py tests/e2e/status_page.py "$@"
