"""docs/developer/promises.rst names existing tests for every chapter of the original's manual."""

import ast
import re
import unittest
from pathlib import Path

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs" / "developer" / "promises.rst"

CHAPTER = re.compile(r"^(1\.\d+) .+\n-+$", re.MULTILINE)
TEST = re.compile(r"``((?:\w+/)?test_\w+\.py): (test_\w+)``")


def methods_of(path: Path) -> set[str]:
    """Return the names of the tests in a file: methods of its classes."""
    tree = ast.parse(path.read_text("utf-8"))
    classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
    methods = [node for a_class in classes for node in a_class.body if isinstance(node, ast.FunctionDef)]
    return {method.name for method in methods if method.name.startswith("test_")}


class TestPromises(unittest.TestCase):
    def setUp(self) -> None:
        self.page = PAGE.read_text("utf-8")

    def test_every_named_test_exists(self) -> None:
        named = TEST.findall(self.page)
        missing = [
            f"{file}: {name}"
            for file, name in named
            if not (TESTS / file).exists() or name not in methods_of(TESTS / file)
        ]

        self.assertGreater(len(named), 80)
        self.assertEqual(missing, [])

    def test_no_chapter_is_missing_and_every_promise_has_a_test(self) -> None:
        chapters = CHAPTER.split(self.page)[1:]

        self.assertEqual(chapters[::2], [f"1.{number}" for number in range(1, 10)])
        for number, text in zip(chapters[::2], chapters[1::2], strict=True):
            rows = text.split("   * - ")[2:]
            self.assertGreater(len(rows), 0, number)
            for row in rows:
                with self.subTest(row.splitlines()[0]):
                    self.assertTrue(TEST.search(row))
