"""docs/user/tables.rst describes exactly the columns that crontabber creates."""

import re

from tests.documents import ROOT
from tests.integration.mode_case import ModeTestCase

PAGE = ROOT / "docs/user/tables.rst"
COLUMNS = """
SELECT table_name, column_name, CASE data_type WHEN 'ARRAY' THEN 'text[]'
                                               WHEN 'timestamp with time zone' THEN 'timestamptz' ELSE data_type END
FROM information_schema.columns WHERE table_schema = current_schema() ORDER BY table_name, ordinal_position
"""


def documented_columns() -> list[tuple[str, str, str]]:
    """Return (table, column, type) of the page, table by table in alphabetical order."""
    sections = re.split(r"^(crontabber\w*)\n-+\n", PAGE.read_text("utf-8"), flags=re.MULTILINE)
    tables = sorted(zip(sections[1::2], sections[2::2], strict=True))
    rows = [(table, re.findall(r"^   \* - ``(\w+)``\n     - ``(\S+)``\n", text, re.MULTILINE)) for table, text in tables]
    return [(table, column, type_) for table, found in rows for column, type_ in found]


class TestTablesPage(ModeTestCase):
    def test_it_has_every_column_of_every_table_with_its_type(self) -> None:
        self.ini("nightly.Foo|1d")
        self.crontabber()

        self.assertEqual(documented_columns(), self.sql(COLUMNS))
