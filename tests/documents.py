"""Find the examples of README.md, docs/ and exampleapp/README.md: every block in the source of a page.

The markup says what a block is. In reStructuredText:

* ``code-block:: console``: lines that begin with ``$`` are commands, and the lines after them are their output;
* ``code-block:: python``, ``bash`` or ``ini`` with ``:caption: FILE``: the whole of that file;
* ``code-block:: ini`` without a caption, or with ``:caption: in FILE``: settings to put into crontabber.ini, or FILE;
* ``code-block:: text`` with ``:caption: crontab``: lines of a crontab.

In Markdown, fences of ``console``, ``sh`` (commands alone), ``python``, ``ini`` and ``cron``; a comment above names the
file, ``<!-- file: FILE -->``. Above any other block, a comment says why it is not run: ``.. not run: REASON``, or
``<!-- not run: REASON -->``.
"""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
USER_PAGES = ["README.md", "exampleapp/README.md", *sorted(str(p.relative_to(ROOT)) for p in ROOT.glob("docs/user/*.rst"))]
DEVELOPER_PAGES = sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/developer/*.rst"))

DIRECTIVE = re.compile(r"( *)\.\. (?:code-block|code|sourcecode|parsed-literal|literalinclude)::\s*(\S*)$")
LITERAL = re.compile(r"( *)(?!\.\. ).*::$|( *)::$")
REASON = re.compile(r"\s*(?:\.\.|<!--) not run: (.+?)(?: -->)?$")
FENCE = re.compile(r"\s*```(\w*)$")


@dataclass(frozen=True)
class Block:
    page: str
    line: int
    kind: str
    text: str = ""
    caption: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line} ({self.kind})"


@dataclass(frozen=True)
class Command:
    """One command as you type it, and its output; None if the page does not show it."""

    text: str
    output: str | None


def blocks_of(page: str) -> list[Block]:
    lines = (ROOT / page).read_text("utf-8").splitlines()
    found = _in_markdown(page, lines) if page.endswith(".md") else _in_restructured_text(page, lines)
    return [replace(block, reason=_reason_above(lines, block.line)) for block in found]


def count_of_blocks(page: str) -> int:
    """Count blocks in a different way than blocks_of, so that each finds what the other overlooks."""
    text = (ROOT / page).read_text("utf-8")
    if page.endswith(".md"):
        return text.count("```") // 2 + len(re.findall(r"^(?:    |\t)\S", re.sub(r"```.*?```", "", text, flags=re.S), re.M))
    directives = len(re.findall(r"^ *\.\. (?!auto\w+|glossary|toctree|image|note|important|warning|list-table|table|csv-table)[\w-]+::", text, re.M))
    return directives + len(re.findall(r"^(?! *\.\. ).*::$", text, re.M))


def commands_in(block: Block) -> list[Command]:
    """Return the commands of a `console` block with their outputs, or of an `sh` block without."""
    if block.kind == "sh":
        return [Command(line, None) for line in _continued(block.text) if line.strip()]
    commands: list[Command] = []
    for line in _continued(block.text):
        if line.startswith("$ "):
            commands.append(Command(line.removeprefix("$ "), ""))
        else:
            commands[-1] = replace(commands[-1], output=f"{commands[-1].output}{line}\n")
    return commands


def crontab_lines(block: Block) -> list[str]:
    """Return the lines that start a command: no comments, no variables."""
    return [line for line in block.text.splitlines() if re.match(r"[\d*]", line)]


def _continued(text: str) -> list[str]:
    return re.sub(r"\\\n\s*", "", text).splitlines()


def _in_restructured_text(page: str, lines: list[str]) -> Iterator[Block]:
    number = 0
    while number < len(lines):
        directive, literal = DIRECTIVE.match(lines[number]), LITERAL.match(lines[number])
        if directive or literal:
            indentation = len(lines[number]) - len(lines[number].lstrip())
            body = _indented(lines, number + 1, indentation)
            options, text = _options(body) if directive else ({}, body)
            kind = directive[2] if directive else "literal"
            caption = options.get("caption", "")
            kind = "cron" if caption == "crontab" else kind
            yield Block(page, number + 1, kind, textwrap.dedent("\n".join(text)).strip("\n") + "\n", caption)
            number += len(body)
        number += 1


def _indented(lines: list[str], start: int, indentation: int) -> list[str]:
    """Return the lines from `start` on that are blank or deeper than `indentation`."""
    end = start
    while end < len(lines) and (not lines[end].strip() or len(lines[end]) - len(lines[end].lstrip()) > indentation):
        end += 1
    return lines[start:end]


def _options(body: list[str]) -> tuple[dict[str, str], list[str]]:
    options = {}
    while body and (option := re.match(r"\s*:(\w+): *(.*)$", body[0])):
        options[option[1]] = option[2]
        body = body[1:]
    return options, body


def _in_markdown(page: str, lines: list[str]) -> Iterator[Block]:
    start = None
    for number, line in enumerate(lines):
        fence = FENCE.match(line)
        if fence and start is None:
            start, kind = number, fence[1]
        elif fence and start is not None:
            file = re.match(r"<!-- file: (.+) -->$", lines[start - 1])
            yield Block(page, start + 1, kind, "\n".join(lines[start + 1 : number]) + "\n", file[1] if file else "")
            start = None


def _reason_above(lines: list[str], line: int) -> str:
    """Return the reason in the comment above the block that begins at `line`, counted from 1."""
    above = line - 2
    while above >= 0 and not lines[above].strip():
        above -= 1
    found = REASON.match(lines[above]) if above >= 0 else None
    return found[1] if found else ""
