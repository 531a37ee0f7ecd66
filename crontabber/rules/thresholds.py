"""When is a value worth an alert? Ranges as the guidelines of the monitoring plugins define them. Pure."""

import re
from collections.abc import Collection, Mapping
from math import inf
from typing import NamedTuple

from crontabber.errors import ConfigurationError
from crontabber.rules.text import quoted

_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
_RANGE = re.compile(rf"(?P<inside>@)?(?:(?P<start>~|{_NUMBER}):)?(?P<end>{_NUMBER})?")


class Range(NamedTuple):
    """Values outside of `start` to `end` alert, or with `is_inside`, those within; the ends belong to the range."""

    text: str
    start: float
    end: float
    is_inside: bool

    def alerts(self, value: float) -> bool:
        return (self.start <= value <= self.end) is self.is_inside


def parse_range(text: str) -> Range:
    """Parse `10` (0 to 10), `10:` (10 and more), `~:10` (up to 10), `10:20`, or `@10:20`, which alerts within.
    ConfigurationError if it is none of these."""
    match = _RANGE.fullmatch(text)
    start = end = None
    if match and (match["start"] or match["end"]):
        start = -inf if match["start"] == "~" else float(match["start"] or 0)
        end = inf if match["end"] is None else float(match["end"])
    if match is None or start is None or end is None or start > end:
        raise ConfigurationError(f"{quoted(text)} is not a range: expected one such as 10, 10:, ~:10, 10:20 or @10:20")
    return Range(text, start, end, bool(match["inside"]))


def parse_thresholds(text: str, names: Collection[str]) -> Mapping[str, Range | None]:
    """Parse `failing=0,tick_age=900`. An empty range stands for no threshold. ConfigurationError if one is not valid,
    or its name is none of `names`."""
    thresholds = {}
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, range_text = map(str.strip, part.partition("="))
        if not equals or name not in names:
            known = ", ".join(names)
            raise ConfigurationError(f"{quoted(part)} is not a threshold: expected NAME=RANGE, with one of {known}")
        thresholds[name] = parse_range(range_text) if range_text else None
    return thresholds
