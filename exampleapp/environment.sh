# Sourced by exampleapp/run.sh and tests/run.sh: where to put their files, and how to create a virtual environment.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
python=${PYTHON:-python3}

# True if every user may enter each folder on the way to $1.
open_to_all() {
    local folder
    folder=$(cd "$1" 2>/dev/null && pwd -P) || return 1
    while [ "$folder" != / ]; do
        [ -n "$(find "$folder" -prune -perm -0001)" ] || return 1
        folder=$(dirname "$folder")
    done
}

# Prints $1, or, if that will not do, a folder of our own in /var/tmp whose name begins with $2.
# PostgreSQL never runs as root, so root's files for it must lie where another user can read them.
place_for() {
    local place
    if [ -w "$1" ] && { [ "$(id -u)" -ne 0 ] || open_to_all "$1"; }; then
        printf '%s\n' "$1"
        return
    fi
    place=/var/tmp/$2-$(id -u)-$(printf %s "$1" | cksum | cut -d' ' -f1)
    mkdir -p -m 755 "$place"
    # Everyone may create folders in /var/tmp: never run anything from a folder of another user.
    if [ -L "$place" ] || [ ! -O "$place" ]; then
        echo "$place belongs to another user: remove it first" >&2
        return 1
    fi
    printf '%s\n' "$place"
}

# Creates the environment $1 with this checkout, its PostgreSQL, and what the further arguments tell pip to install.
# An environment with the same interpreter and requirements is kept, and so is one that this function did not create.
make_environment() (
    set -e
    umask 022
    environment=$1 label=$1/made-for
    shift
    if [ -x "$environment/bin/crontabber" ] && [ ! -e "$label" ]; then
        exit
    fi
    wanted=$(cat "$root"/{setup.py,pyproject.toml,test-requirements.txt,share/*.pth} | cksum; echo "$root" "$@"; "$python" --version)
    if [ -x "$environment/bin/python" ] && [ "$(cat "$label")" = "$wanted" ]; then
        exit
    fi
    rm -rf "$environment"
    mkdir -p "$environment"
    echo unfinished >"$label"
    "$python" -m venv "$environment"
    checkout=$root
    if [ ! -w "$root" ]; then
        # pip leaves files next to setup.py.
        checkout=$environment/checkout
        mkdir "$checkout"
        cp -R "$root"/{crontabber,share,setup.py,pyproject.toml,README.md,LICENSE} "$checkout"
    fi
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check "$@" --editable "$checkout[embedded]"
    printf '%s\n' "$wanted" >"$label"
)
