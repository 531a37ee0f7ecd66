#!/bin/sh
# What cron starts: crontabber with the environment that cron does not give. Arguments go on to crontabber.
# HOMEDIR has crontabber.ini, the jobs and the virtual environment venv; by default it is where this script lies.
HOMEDIR=${HOMEDIR:-$(dirname "$(readlink -f "$0")")}
cd "$HOMEDIR" || exit 1
PYTHONPATH=$HOMEDIR${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
exec "${CRONTABBER:-venv/bin/crontabber}" --admin.conf=crontabber.ini "$@"
