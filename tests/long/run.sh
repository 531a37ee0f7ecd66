#!/usr/bin/env bash
# Runs the proofs that take minutes and prints their figures: tests/long/run.sh [arguments of nosetests]
# Do not use the machine meanwhile: some of them measure seconds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

. tests/debian_packages.sh
install_packages faketime pgbouncer
exec tests/run.sh --nocapture --verbosity=2 tests/long/[a-z]*.py "$@"
