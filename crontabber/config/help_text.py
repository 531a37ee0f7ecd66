"""Print --help: every option of a configuration, grouped like the sections of an ini file, in 80 columns."""

import textwrap
from collections.abc import Iterator
from typing import Any

from configman.option import Option

from crontabber.config.definitions import options_in, text_of
from crontabber.output.secrets import MASK, is_secret, mask_of

WIDTH = 80
# A default takes at most this many lines: a long list of jobs would hide the rest.
MOST_LINES = 6

NOT_SHOWN = ("application",)
FIRST, LAST = ("", "crontabber"), ("admin",)


def render_help(manager: Any) -> str:
    """Return the help for a configuration as it is now, with secrets masked."""
    options = [member for member in options_in(manager.option_definitions).items() if member[0] not in NOT_SHOWN]
    mask = mask_of((option.name, str(option.default)) for _, option in options)
    lines = [
        f"{manager.app_name} {manager.app_version}".strip(),
        *textwrap.wrap(manager.app_description or "", WIDTH),
        "",
        f"usage: {manager.app_name} [OPTION]...",
    ]
    for section, members in _sections(options):
        lines += ["", f"[{section}]" if section else "OPTIONS"]
        for key, option in members:
            lines += _entry(key, option)
    return mask("\n".join(lines) + "\n")


def _sections(options: list[tuple[str, Option]]) -> Iterator[tuple[str, list[tuple[str, Option]]]]:
    """Yield the modes in their own order, then each section with its options sorted by name, `admin` last."""
    sections: dict[str, list[tuple[str, Option]]] = {}
    for key, option in options:
        sections.setdefault(key.rpartition(".")[0], []).append((key, option))
    for section in sorted(sections, key=_rank):
        members = sections[section]
        yield section, sorted(members, key=lambda member: member[0]) if section else members


def _rank(section: str) -> tuple[int, str]:
    if section in FIRST:
        return FIRST.index(section), section
    return len(FIRST) + (section in LAST), section


def _entry(key: str, option: Option) -> Iterator[str]:
    yield f"  -{option.short_form}, --{key}" if option.short_form else f"  --{key}"
    yield from _wrapped(option.doc or "")
    default = _default(option)
    if default:
        yield from _wrapped(f"(default: {default})", MOST_LINES)


def _default(option: Option) -> str:
    """Return the value that the option has without the command line, or nothing if that is obvious."""
    if option.value is None or option.exclude_from_dump_conf or option.name == "help":
        return ""
    if option.secret or is_secret(option.name):
        return MASK if option.value else ""
    return text_of(option)


def _wrapped(text: str, most_lines: int | None = None) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent="    ", subsequent_indent="    ", max_lines=most_lines, placeholder=" ...",
        break_on_hyphens=False,
    )  # fmt: skip
