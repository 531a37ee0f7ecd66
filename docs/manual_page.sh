#!/bin/sh
# Makes share/man/man1/crontabber.1 from docs/user/command-line.rst. With --check it only tells whether the words of the
# two are the same; how they are set differs from one Sphinx to the next.
# PYTHON is an interpreter that has Sphinx.
cd "$(dirname "$0")/.." || exit 1
page=share/man/man1/crontabber.1
made=$(mktemp -d) || exit 1
trap 'rm -rf "$made"' EXIT

# Headings and text, without the macros that set them.
words() { sed -nE '/^\.SH/,$ { s/^\.(SH|B) //; /^\./d; s/\\f.//g; s/\\&?//g; p }' "$1" | tr -s ' \n' '\n'; }

"${PYTHON:-python3}" -m sphinx -q -W -b man docs "$made" || exit 1
if [ "$1" != --check ]; then
    cp "$made/crontabber.1" "$page"
elif [ "$(words "$made/crontabber.1")" != "$(words "$page")" ]; then
    echo "$page is not what docs/user/command-line.rst says now: run docs/manual_page.sh" >&2
    exit 1
fi
