#!/usr/bin/env bash
# Builds these pages and prints where they are: docs/build.sh [--open]
# With --open, it also shows them in a browser. PYTHON is the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. exampleapp/environment.sh

environment=$(place_for "$root" crontabber-tests)/.venv-checks
make_environment "$environment" --requirement .ci/requirements.txt
"$environment/bin/python" -m sphinx -q -a -W --keep-going -b html docs docs/_build/html
first_page=file://$root/docs/_build/html/index.html
echo "$first_page"
if [ "${1-}" = --open ]; then "$environment/bin/python" -m webbrowser "$first_page"; fi
