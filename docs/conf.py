"""How Sphinx builds these pages."""

import re
from pathlib import Path

from docutils.nodes import reference

ROOT = Path(__file__).resolve().parent.parent

project = "crontabber"
copyright = "the crontabber maintainers"
version = release = re.search(r'^__version__ = "(.+)"$', (ROOT / "crontabber/__init__.py").read_text(), re.M)[1]
exclude_patterns = ["_build"]
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
