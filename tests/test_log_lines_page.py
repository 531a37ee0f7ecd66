"""docs/user/log-lines.rst has every line that crontabber logs at INFO or above, and no other."""

import ast
import re
import unittest
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from tests.documents import ROOT

PAGE = ROOT / "docs/user/log-lines.rst"
LEVELS = ("info", "warning", "error", "critical", "exception")
# A level that depends is called by one of these names.
CHOSEN_LEVEL = ("log", "say")
# Errors whose text is logged.
LOGGED_ERRORS = (
    "ChangedError", "ClaimFailedError", "ForgottenError", "LostClaimError", "OngoingJobError", "OwnerInDoubtError",
    "RowLevelLockError",
)  # fmt: skip
NOT_OF_TICKS = ("testing", "tests", "configman_compat")
GAP = "..."
PLACEHOLDER = re.compile(r"%[.\d]*[a-z]")


class Line(NamedTuple):
    """A text with gaps, and its level in capitals; "" if the source decides it at run time."""

    level: str
    text: str

    def fits(self, other: "Line") -> bool:
        """True if `other`, which has filled some of the gaps, may be this line."""
        pattern = ".+".join(map(re.escape, self.text.split(GAP)))
        return self.level in ("", other.level) and bool(re.fullmatch(pattern, other.text))

    @property
    def pieces(self) -> list[str]:
        """The parts that people read, between gaps and punctuation."""
        return [piece.strip() for piece in re.split(r"\.\.\.|[;:()]", self.text) if re.search("[a-z]{2}", piece)]


class Module:
    def __init__(self, source: str) -> None:
        self.tree = ast.parse(source)
        assigned = [node for node in self.tree.body if isinstance(node, ast.Assign)]
        self.constants = {ast.unparse(node.targets[0]): node.value for node in assigned}

    def texts(self, node: ast.AST) -> Iterator[str]:
        """Yield the texts that a node may stand for, with gaps where they have placeholders."""
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield PLACEHOLDER.sub(GAP, node.value).replace("\n", " ")
        elif isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else GAP for part in node.values)
        elif isinstance(node, ast.Name) and node.id in self.constants:
            yield from self.texts(self.constants[node.id])
        elif isinstance(node, ast.Starred):  # The call returns one of the module's constants with its arguments.
            for constant in self.constants.values():
                yield from self.texts(constant)

    def lines(self) -> Iterator[Line]:
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call) and node.args and (level := _level_of(node.func)) is not None:
                for text in self.texts(node.args[0]):
                    yield Line(level, text)


def _level_of(function: ast.expr) -> str | None:
    """Return the level at which a function logs, "" if it is chosen elsewhere, None if it does not log."""
    if isinstance(function, ast.Attribute) and function.attr in LEVELS and "log" in ast.unparse(function.value):
        return function.attr.upper()
    return "" if isinstance(function, ast.Name) and function.id in (*CHOSEN_LEVEL, *LOGGED_ERRORS) else None


@cache
def modules() -> list[Module]:
    paths = [path for path in (ROOT / "crontabber").rglob("*.py") if not set(path.parts) & set(NOT_OF_TICKS)]
    return [Module(path.read_text("utf-8")) for path in paths]


def page_lines() -> list[Line]:
    rows = re.findall(r"^   \* - ([A-Z]+)\n     - ``(.+)``\n", PAGE.read_text("utf-8"), re.MULTILINE)
    return [Line(level, text) for level, text in rows]


class TestLogLinesPage(unittest.TestCase):
    def test_it_has_every_line_that_the_source_logs(self) -> None:
        page = page_lines()

        for line in {line for module in modules() for line in module.lines() if line.pieces}:
            with self.subTest(line):
                self.assertTrue(any(line.fits(shown) for shown in page))

    def test_the_source_logs_every_line_that_it_has(self) -> None:
        lines = [line for module in modules() for line in module.lines()]
        corpus = "\n".join(text for module in modules() for node in ast.walk(module.tree) for text in module.texts(node))

        for shown in page_lines():
            with self.subTest(shown):
                self.assertTrue(any(line.fits(shown) for line in lines))
                self.assertEqual([piece for piece in shown.pieces if not _is_said_in(corpus, piece)], [])


def _is_said_in(corpus: str, piece: str) -> bool:
    """True if a text of the source has the piece, or two of them have its beginning and its end."""
    words = piece.split(" ")
    halves = [(" ".join(words[:count]), " ".join(words[count:])) for count in range(len(words))]
    return any(first in corpus and second in corpus for first, second in halves)
