# Sourced by .ci/run and tests/e2e/run.sh: Debian's programs for some tests, which are skipped without them.
# shellcheck shell=bash

# Installs each package of $@ whose program of the same name is missing. Needs root and apt-get. Services are not
# started: the tests do that.
install_packages() {
    local package policy=/usr/sbin/policy-rc.d missing=()
    for package; do
        command -v "$package" >/dev/null || missing+=("$package")
    done
    if [ ${#missing[@]} -eq 0 ] || [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
        return
    fi
    if [ -e "$policy" ]; then
        policy=
    else
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    {
        apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "${missing[@]}"
    } >/dev/null 2>&1 </dev/null || echo "these could not be installed: ${missing[*]}" >&2
    [ -z "$policy" ] || rm -f "$policy"
}
