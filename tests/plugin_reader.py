"""Read the output of a monitoring plugin as its guidelines define it, and nothing else: ValueError for what they forbid.

Independent of crontabber: it judges the values by the thresholds itself.
"""

import re
from typing import NamedTuple

NUMBER = r"-?\d+(?:\.\d+)?"
RANGE = re.compile(rf"(@)?(?:(~|{NUMBER}):)?({NUMBER})?")
LABEL = r"(?:'(?:[^'=]|'')+'|[^\s'=]+)"
DATUM = re.compile(rf"({LABEL})=(U|{NUMBER})(us|ms|s|%|B|KB|MB|TB|c)?((?:;[^;\s]*){{0,4}})")
WORDS = {"OK": 0, "WARNING": 1, "CRITICAL": 2, "UNKNOWN": 3}


class Datum(NamedTuple):
    value: float | None
    unit: str
    warning: str
    critical: str

    def severity(self) -> int:
        if self.value is None:
            return 0
        return 2 if alerts(self.critical, self.value) else 1 if alerts(self.warning, self.value) else 0


class Output(NamedTuple):
    word: str
    summary: str
    data: dict[str, Datum]
    details: list[str]

    def severity(self) -> int:
        """Return the exit code that the values and their thresholds give."""
        return max((datum.severity() for datum in self.data.values()), default=0)


def read_plugin(text: str) -> Output:
    first, *details = text.removesuffix("\n").split("\n")
    if "|" in "".join(details) or first.count("|") > 1:
        raise ValueError("a second | begins performance data that is none")
    line, _, data = first.partition("|")
    match = re.fullmatch(r"[A-Z]+ (OK|WARNING|CRITICAL|UNKNOWN): (\S.*?) ?", line)
    if not match or not first.isprintable():
        raise ValueError(f"not a first line: {first!r}")
    return Output(match[1], match[2], dict(map(_datum, data.split())), details)


def alerts(text: str, value: float) -> bool:
    if not text:
        return False
    match = RANGE.fullmatch(text)
    if not match or text == "@":
        raise ValueError(f"not a range: {text!r}")
    inside, start, end = match.groups()
    low = float("-inf") if start == "~" else float(start or 0)
    high = float("inf") if end is None else float(end)
    if low > high:
        raise ValueError(f"the start is after the end: {text!r}")
    is_within = low <= value <= high
    return is_within if inside else not is_within


def _datum(text: str) -> tuple[str, Datum]:
    match = DATUM.fullmatch(text)
    if not match:
        raise ValueError(f"not performance data: {text!r}")
    label, value, unit, rest = match.groups()
    warning, critical, *limits = [*rest.split(";")[1:], "", ""][:4]
    if any(limit and not re.fullmatch(NUMBER, limit) for limit in limits):
        raise ValueError(f"not a minimum or a maximum: {text!r}")
    return label.strip("'"), Datum(None if value == "U" else float(value), unit or "", warning, critical)
