"""The command `crontabber`, also as `python -m crontabber`."""

import sys

from crontabber.process.collector import made_to_last


def local_main() -> None:
    with made_to_last():
        from crontabber.app import main
    sys.exit(main())


if __name__ == "__main__":
    local_main()
