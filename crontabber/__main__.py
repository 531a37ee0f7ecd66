"""The command `crontabber`, also as `python -m crontabber` and `python -m crontabber.app`."""

import sys

from crontabber.process.collector import gc_paused


def local_main() -> None:
    with gc_paused():
        from crontabber.app import main
    sys.exit(main())


if __name__ == "__main__":
    local_main()
