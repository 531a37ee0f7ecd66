#!/usr/bin/env bash
# Runs every test in an environment of its own: tests/run.sh [arguments of nosetests]
# PYTHON=python3.13 tests/run.sh uses another interpreter; test-crontabber.ini in the root, if there is one, another
# server than the embedded one.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
python=${PYTHON:-python3}
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')

# The embedded PostgreSQL never runs as root, and its programs lie in the environment: below a folder that is closed to
# other users it could not start them.
reachable() {
    local folder=$1
    while [ "$folder" != / ]; do
        [ $((0$(stat -c %a "$folder") & 1)) -eq 1 ] || return 1
        folder=$(dirname "$folder")
    done
}
if [ -w "$root" ] && { [ "$(id -u)" -ne 0 ] || reachable "$root"; }; then
    environment=$root/.venv-tests-$version
else
    key=$(printf %s "$root" | cksum | cut -d' ' -f1)
    environment=/var/tmp/crontabber-tests-$(id -u)-$key-$version
    echo "tests/run.sh: the test environment is in $environment" >&2
fi

wanted=$(cat "$root/setup.py" "$root/test-requirements.txt" | cksum; echo "$root"; "$python" --version)
if [ "$(cat "$environment/wanted" 2>/dev/null)" != "$wanted" ]; then
    rm -rf "$environment"
    (umask 022 && "$python" -m venv "$environment")
    (umask 022 && "$environment/bin/pip" install --quiet --disable-pip-version-check \
        --requirement "$root/test-requirements.txt" --editable "$root[embedded]")
    printf '%s\n' "$wanted" >"$environment/wanted"
fi

cd "$root"
for argument in "$@"; do
    case $argument in
    -*) ;;
    *) exec "$environment/bin/python" -m nose "$@" ;;
    esac
done
exec "$environment/bin/python" -m nose "$@" tests
