#!/usr/bin/env bash
# Runs all tests in an environment of their own, in two processes per core and one more (PROCESSES=4 changes that).
# tests/run.sh [arguments of nosetests] runs nose alone. PYTHON=python3.13 tests/run.sh uses another interpreter. If there is
# a test-crontabber.ini in the root, the tests use the server that it names, not the embedded one.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../exampleapp/environment.sh"

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
place=$(place_for "$root" crontabber-tests)
environment=$place/.venv-tests-$version
if [ "$place" != "$root" ]; then
    echo "PostgreSQL's user cannot enter $root, or you cannot write there: the environment is $environment" >&2
    export HYPOTHESIS_STORAGE_DIRECTORY=$place/.hypothesis
fi
# The tests have PostgreSQL work in folders that they make there.
if [ "$(id -u)" -eq 0 ] && ! open_to_all "${TMPDIR:-/tmp}"; then
    export TMPDIR=/var/tmp
fi

make_environment "$environment" --requirement "$root/test-requirements.txt"
cd "$root"
# With the live checkout before an installed copy, also in the processes that tests start.
export PYTHONPATH=$root
if [ $# -eq 0 ]; then
    exec "$environment/bin/python" -m tests.parallel
fi
exec "$environment/bin/python" -m nose "$@"
