"""Modules import only from their own tier or a lower one, even inside functions."""

import ast
import unittest
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "crontabber"

# From top to bottom. A name means a folder with everything in it, or a public module beside the folders.
TIERS = [
    ["tests"],
    ["testing"],
    ["app", "__main__"],
    ["generic_app"],
    ["commands"],
    ["config"],
    ["base", "mixins"],
    ["engine"],
    ["output"],
    ["store", "connection_factory", "transaction_executor", "dbapi2_util"],
    ["rules"],
    ["process"],
    ["errors", "datetimeutil"],
    ["configman_compat", "__init__"],
]
RANK = {name: rank for rank, tier in enumerate(TIERS) for name in tier}


def modules():
    return sorted(PACKAGE.rglob("*.py"))


def place(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(source, folder=()):
    """Yield the first part below `crontabber` of each of our imports, with its line. Relative ones begin in `folder`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = ["crontabber", *folder][: len(folder) + 2 - node.level] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            names = [f"crontabber.{alias.name}" for alias in node.names] if base == "crontabber" else [base]
        else:
            continue
        for name in names:
            parts = name.split(".")
            if parts[0] == "crontabber" and len(parts) > 1 and parts[1] != "__version__":
                yield parts[1], node.lineno


def imported_by(path):
    return imported(path.read_text("utf-8"), path.relative_to(PACKAGE).parts[:-1])


class TestTiers(unittest.TestCase):
    def test_every_module_has_a_tier(self):
        self.assertEqual({place(path) for path in modules()} - set(RANK), set())

    def test_it_reads_every_form_of_import(self):
        forms = [
            ("import crontabber.app", (), ["app"]),
            ("from crontabber import __version__, app", (), ["app"]),
            ("from crontabber.store.claims import Claims", (), ["store"]),
            ("from . import app", (), ["app"]),
            ("from .sql import SELECT", ("store",), ["store"]),
            ("from ..runner import Runner", ("store",), ["runner"]),
            ("from .. import app, base", ("store",), ["app", "base"]),
            ("def f():\n    if TYPE_CHECKING:\n        from crontabber.app import main", (), ["app"]),
            ("import os, crontabber\nfrom pathlib import Path", (), []),
        ]
        for source, folder, names in forms:
            with self.subTest(source):
                self.assertEqual([name for name, _ in imported(source, folder)], names)

    def test_no_import_points_up(self):
        up = [
            f"{path.relative_to(PACKAGE)}:{line} imports {name}"
            for path in modules()
            for name, line in imported_by(path)
            if RANK[name] < RANK[place(path)]
        ]
        self.assertEqual(up, [])

    def test_every_module_has_a_docstring(self):
        silent = [str(path.relative_to(PACKAGE)) for path in modules() if not ast.get_docstring(ast.parse(path.read_text("utf-8")))]
        self.assertEqual(silent, [])
