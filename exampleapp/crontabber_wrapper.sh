#!/bin/sh
# For cron to start: crontabber with the environment that cron does not provide. Arguments are passed to crontabber.
# HOMEDIR contains crontabber.ini, the jobs and the virtual environment venv; by default it is the folder of this script.
HOMEDIR=${HOMEDIR:-$(dirname "$(readlink -f "$0")")}
cd "$HOMEDIR" || exit 1
PYTHONPATH=$HOMEDIR${PYTHONPATH:+:$PYTHONPATH}
export PYTHONPATH
exec "${CRONTABBER:-venv/bin/crontabber}" --admin.conf=crontabber.ini "$@"
