"""How Sphinx builds these pages."""

import re
import sys
from pathlib import Path

from docutils.nodes import reference

ROOT = Path(__file__).resolve().parent.parent

# The pages describe this checkout, wherever else crontabber is installed.
sys.path.insert(0, str(ROOT))

project = "crontabber"
copyright = "the crontabber maintainers"
version = release = re.search(r'^__version__ = "(.+)"$', (ROOT / "crontabber/__init__.py").read_text(), re.M)[1]
exclude_patterns = ["_build"]
extensions = ["sphinx.ext.autodoc"]
autodoc_member_order = "bysource"
# A `name` in a docstring is code.
default_role = "code"
html_theme = "furo"
html_title = f"crontabber {version}"
html_show_sourcelink = False
html_copy_source = False
highlight_language = "none"
man_pages = [("user/command-line", "crontabber", "runs the cron jobs that are due", [], 1)]
# The date of the manual page, which would be that of its making.
today = " "


def setup(app):
    app.connect("doctree-resolved", without_links)


def without_links(app, tree, document):
    """A manual page has no other pages to go to: the text of a link is enough."""
    if app.builder.name == "man":
        for link in list(tree.findall(reference)):
            link.replace_self(link.children)
