"""Which request tells a monitoring service about a run: those of healthchecks.io and of cronitor.io. Pure."""

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit, urlunsplit

START, SUCCESS, FAIL = "start", "success", "fail"
# A run that ended with neither: a signal interrupted it, or it asked to run later.
POSTPONED = "postponed"

# Bytes kept of an error. healthchecks accepts ten times as many; Cronitor has it in the URL.
BODY_BYTES = 10_000
MESSAGE_CHARACTERS = 2_000


class Ping(NamedTuple):
    url: str
    body: bytes = b""


def healthchecks(url: str, event: str, run_id: str, text: str) -> Ping | None:
    paths = {START: "/start", SUCCESS: "", FAIL: "/fail", POSTPONED: "/log"}
    return Ping(_with(url, paths[event], {"rid": run_id}), text.encode("utf-8", "replace")[:BODY_BYTES])


def cronitor(url: str, event: str, run_id: str, text: str) -> Ping | None:
    states = {START: "run", SUCCESS: "complete", FAIL: "fail"}
    if event not in states:
        return None
    message = {"message": text[:MESSAGE_CHARACTERS]} if text else {}
    return Ping(_with(url, "", {"state": states[event], "series": run_id} | message))


FORMATS: dict[str, Callable[[str, str, str, str], Ping | None]] = {"healthchecks": healthchecks, "cronitor": cronitor}


def url_of(ping_url: str, app_name: str) -> str:
    """Return the URL of a job: one for all jobs may contain `{app_name}`."""
    return ping_url.replace("{app_name}", slug(app_name))


def slug(app_name: str) -> str:
    """Return the name of a job as the services accept it: at most 50 of a-z, 0-9, - and _, but not digits alone."""
    text = re.sub(r"[^a-z0-9_]+", "-", app_name.lower()).strip("-")
    return (f"job-{text}".rstrip("-") if not text or text.isdecimal() else text)[:50]


def _with(url: str, path: str, parameters: dict[str, str]) -> str:
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode(parameters, errors="replace")]))
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path, query=query, fragment=""))
