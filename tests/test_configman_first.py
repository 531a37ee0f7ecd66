"""Our .pth file repairs configman even before crontabber is imported. test_packaging.py checks that it is installed."""

import os
import subprocess
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PTH_FOLDER = ROOT / "share"
READ_PTH = f"import site, sys; site.addsitedir({str(PTH_FOLDER)!r})\n"
# Ways to import configman.
STARTS = {
    "the package": "import configman.dotdict",
    "a module of it": "from configman.dotdict import DotDictWithAcquisition",
    "found, but not imported": "from importlib.util import find_spec; assert find_spec('configman'); import configman.dotdict",
    "crontabber first": "import crontabber, configman.dotdict",
    "crontabber's application": "import crontabber.app, configman.dotdict",
    "twice": "import importlib, configman.dotdict; importlib.reload(configman); importlib.reload(configman.dotdict)",
    "modules dropped and imported again": """
        loaded = dict(sys.modules)
        for _ in range(3):
            import configman.dotdict
            sys.modules.clear()
            sys.modules.update(loaded)
        import configman.dotdict
        """,
}
# configman alone does not find a value across missing levels.
IS_REPAIRED = "assert sys.modules['configman.dotdict'].DotDictWithAcquisition({'a': 1})['x.y.z.a'] == 1"


def python(code: str, path: Path = ROOT, *flags: str) -> "subprocess.CompletedProcess[str]":
    """Run code after the line of the .pth file, with warnings as errors."""
    environment = {**os.environ, "PYTHONPATH": str(path)}
    command = [sys.executable, "-W", "error", *flags, "-c", READ_PTH + textwrap.dedent(code)]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, env=environment, timeout=60, check=False)


class ConfigmanFirst(unittest.TestCase):
    def check(self, code: str) -> None:
        done = python(code)

        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))

    def test_it_is_repaired_however_it_is_imported(self) -> None:
        for start, code in STARTS.items():
            with self.subTest(start):
                self.check(f"{textwrap.dedent(code)}\n{IS_REPAIRED}")

    def test_nothing_but_the_repair_is_imported_and_only_with_configman(self) -> None:
        self.check(
            """
            def ours():
                return {name.split(".")[1] if "." in name else "" for name in sys.modules if name.split(".")[0] == "crontabber"}

            import json
            assert ours() == set(), ours()
            import configman
            assert ours() == {"", "configman_compat"}, ours()
            """
        )

    def test_reading_the_file_twice_adds_one_finder(self) -> None:
        self.check(READ_PTH + """assert str(sys.meta_path).count("repair_configman") == 1, sys.meta_path""")

    def test_it_is_silent_without_crontabber(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder, "configman.py").write_text("print('as it is')")

            done = python("import configman", Path(folder), "-S")  # without the packages of this environment

            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "as it is\n", ""))
