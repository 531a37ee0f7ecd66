"""python -m crontabber: the same as the command `crontabber`."""

from crontabber.app import local_main

local_main()
