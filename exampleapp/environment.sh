# Sourced by exampleapp/run.sh and tests/run.sh: where their files can lie, and the virtual environment among them.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
python=${PYTHON:-python3}

# Does every folder on the way to $1 let every user through?
open_to_all() {
    local folder
    folder=$(cd "$1" 2>/dev/null && pwd -P) || return 1
    while [ "$folder" != / ]; do
        [ -n "$(find "$folder" -prune -perm -0001)" ] || return 1
        folder=$(dirname "$folder")
    done
}

# Prints $1, or, where that will not do, a folder of our own in /var/tmp whose name begins with $2.
# PostgreSQL never runs as root: what root has it read must lie where another user gets.
place_for() {
    local place
    if [ -w "$1" ] && { [ "$(id -u)" -ne 0 ] || open_to_all "$1"; }; then
        printf '%s\n' "$1"
        return
    fi
    place=/var/tmp/$2-$(id -u)-$(printf %s "$1" | cksum | cut -d' ' -f1)
    mkdir -p -m 755 "$place"
    # Everybody may make folders in /var/tmp: what we run must not come from one of somebody else's.
    if [ -L "$place" ] || [ ! -O "$place" ]; then
        echo "$place is somebody else's: remove it first" >&2
        return 1
    fi
    printf '%s\n' "$place"
}

# Makes the environment $1 with this checkout, its PostgreSQL, and what else the arguments of pip after $1 say.
# One that was made with the same interpreter and the same requirements is kept, as is one that somebody else made.
make_environment() (
    set -e
    umask 022
    environment=$1 label=$1/made-for
    shift
    if [ -x "$environment/bin/crontabber" ] && [ ! -e "$label" ]; then
        exit
    fi
    wanted=$(cat "$root"/{setup.py,pyproject.toml,test-requirements.txt} | cksum; echo "$root" "$@"; "$python" --version)
    if [ -x "$environment/bin/python" ] && [ "$(cat "$label")" = "$wanted" ]; then
        exit
    fi
    rm -rf "$environment"
    mkdir -p "$environment"
    echo unfinished >"$label"
    "$python" -m venv "$environment"
    checkout=$root
    if [ ! -w "$root" ]; then
        # pip leaves files beside setup.py.
        checkout=$environment/checkout
        mkdir "$checkout"
        cp -R "$root"/{crontabber,share,setup.py,pyproject.toml,README.md,LICENSE} "$checkout"
    fi
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@" --editable "$checkout[embedded]"
    printf '%s\n' "$wanted" >"$label"
)
