"""The policy of a job: what happens when it fails or takes too long, and which of its dates it runs. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta, tzinfo
from typing import Any, NamedTuple

from crontabber.errors import PolicyError, TimeZoneError
from crontabber.rules.job_state import JobState

# Anything longer is a typo, and would lead past the end of the calendar.
LONGEST = timedelta(days=3660)

# So many dates are as good as all.
MOST_DATES = 1_000_000

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}

_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]+)?)\s*([smhd]?)")

_URL = re.compile(r"https?://[!-~]+")


class Policy(NamedTuple):
    """The policy of one job. A `timeout` of None, and a `max_errors` or `catchup` of 0, mean that there is no limit.

    A `timezone` of None is the server's. `ping_url` may contain `{app_name}`.
    """

    timeout: timedelta | None = None
    kill_timeout: timedelta = timedelta(seconds=30)
    error_retry_time: timedelta = timedelta(minutes=5)
    error_retry_factor: float = 1.0
    error_retry_max_time: timedelta = timedelta(days=1)
    max_errors: int = 0
    catchup: int = 0
    timezone: tzinfo | None = None
    ping_url: str | None = None

    def retry_after(self, failures: int) -> timedelta:
        """Return how long to wait after so many failures in a row: longer by the factor with each."""
        first, longest = self.error_retry_time, max(self.error_retry_time, self.error_retry_max_time)
        try:
            return min(longest, first * self.error_retry_factor ** max(0, failures - 1))
        except OverflowError:
            return longest

    def gave_up(self, state: JobState | None) -> bool:
        """True if the job does not run again by itself. The run after a first death is always granted."""
        if state is None or not state.error_count:
            return False
        if state.last_error.get("gave_up"):
            return True
        return 0 < self.max_errors <= state.error_count and state.last_error.get("deaths") != 1


DEFAULT = Policy()

# Ends a job's having given up.
HOW_TO_GO_ON = "it runs again after --resume or --reset-job, or with --job and --force"


def policy_of(*sources: Mapping[str, Any]) -> Policy:
    """Return the policy that the sources set, later ones over earlier ones. PolicyError for what is not valid."""
    values = {name: parse(name, value) for source in sources for name, value in source.items()}
    return DEFAULT._replace(**values) if values else DEFAULT


def policy_set_by(job_class: type) -> Mapping[str, Any]:
    """Return the `policy` that the author of a job class has set. An attribute of this name that has nothing of ours is
    the job's own business. PolicyError if one of its names is unknown.
    """
    policy = getattr(job_class, "policy", None)
    if policy is None or not isinstance(policy, Mapping) or not (policy.keys() & PARSERS):
        return {}
    for name in policy:
        if name not in PARSERS:
            raise PolicyError(f"policy: unknown option {name!r}", _nearest(name))
    return policy


def parse(name: str, value: Any) -> Any:
    """Return the value of an option of a policy. PolicyError if it is not valid."""
    parser, expected = PARSERS[name]
    try:
        return parser(value)
    except (AttributeError, TypeError, ValueError, OverflowError):
        shown = "not valid" if name == "ping_url" else repr(value)  # a URL to ping is a secret
        raise PolicyError(f"policy: {name} is {shown}", f"expected {expected}") from None


def parse_duration(value: Any) -> timedelta:
    """Parse `30s`, `5m`, `2h`, `1d`, a number of seconds, or a timedelta: 0 to 3660 days. ValueError otherwise."""
    match = _DURATION.fullmatch(str(value).strip()) if isinstance(value, (str, int, float)) else None
    if match:
        value = timedelta(seconds=float(match[1]) * _SECONDS[match[2]])
    if not isinstance(value, timedelta) or not timedelta(0) <= value <= LONGEST:
        raise ValueError(value)
    return value


def parse_age(text: str) -> timedelta:
    """Parse a duration that has a unit, more than 0: without a unit, somebody who means days would get seconds.
    ValueError otherwise."""
    age = parse_duration(text)
    if not age or text.strip()[-1].isdecimal():
        raise ValueError(text)
    return age


def _timeout(value: Any) -> timedelta | None:
    return None if value is None else parse_duration(value) or None


def _factor(value: Any) -> float:
    factor = float(value)
    if not 1 <= factor <= 1000:  # false for nan, too
        raise ValueError(value)
    return factor


def _count(value: Any) -> int:
    if isinstance(value, bool) or not str(value).strip().isdecimal():
        raise ValueError(value)
    return int(value)


def _catchup(value: Any) -> int:
    words = {"all": 0, "latest": 1}
    number = words[value] if value in words else _count(value)
    if value not in words and not 0 < number <= MOST_DATES:
        raise ValueError(value)
    return number


def _timezone(value: Any) -> tzinfo | None:
    if value is None or isinstance(value, tzinfo):
        return value
    from crontabber.rules.time_zone import configured_zone  # zoneinfo takes 2 ms to import

    try:
        return configured_zone(str(value))
    except TimeZoneError as error:
        raise PolicyError(f"policy: timezone is {value!r}", error.expected) from None


def _ping_url(value: Any) -> str | None:
    text = "" if value is None else value.strip()
    if not text:
        return None
    from urllib.parse import urlsplit

    parts = urlsplit(text)
    if not _URL.fullmatch(text) or not parts.hostname or parts.port == 0:  # ValueError if it is more than 65535
        raise ValueError
    return text  # type: ignore[no-any-return]


def _nearest(name: Any) -> str:
    from difflib import get_close_matches

    near = get_close_matches(str(name), PARSERS, n=1)
    return f"did you mean {near[0]!r}?" if near else f"expected one of {', '.join(PARSERS)}"


_A_DURATION = "a duration such as 30s, 5m, 2h or 1d"

# How each option is parsed, and what is expected.
PARSERS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "timeout": (_timeout, f"{_A_DURATION}; 0 for none"),
    "kill_timeout": (parse_duration, _A_DURATION),
    "error_retry_time": (parse_duration, _A_DURATION),
    "error_retry_factor": (_factor, "a number, 1 to 1000"),
    "error_retry_max_time": (parse_duration, _A_DURATION),
    "max_errors": (_count, "a whole number; 0 for no limit"),
    "catchup": (_catchup, "all, latest or a number of dates"),
    "timezone": (_timezone, "the name of a time zone"),
    "ping_url": (_ping_url, "an address that begins with https:// or http://"),
}
