"""Adapt statements to tables that lack what our role may not add."""

from crontabber.store.sql import JOIN_NOTES, NOTES, OWNER
from crontabber.store.sql_notes import WITH_FORGOTTEN

# Without an owner, a claim is recognised by the time at which it was taken.
_WITHOUT_OWNER = {
    " AND owner IS NOT DISTINCT FROM %(seen_owner)s": "",
    " AND owner = %(owner)s": "",
    " AND owner IS NULL": " AND ongoing IS NULL",
    ", owner = %(owner)s": "",
    ", owner = NULL": "",
    ", ongoing, owner)": ", ongoing)",
    "%(now)s, %(owner)s FROM lock": "%(now)s FROM lock",
    OWNER: "NULL AS owner",
}
_WITHOUT_NOTES = {
    f" LEFT {JOIN_NOTES}": "",
    f" FULL {JOIN_NOTES}": "",
    NOTES: ", ".join(["NULL"] * 6),
    WITH_FORGOTTEN: "",
}
_WITHOUT_SLOTS = {
    ", slot, host)": ")",
    ", %(slot)s, %(host)s": "",
    ",\n        %(slot)s, %(host)s": "",
}


def without_owner(statement: str) -> str:
    """Return the statement without every mention of the column."""
    return _replaced(statement, _WITHOUT_OWNER)


def without_notes(statement: str) -> str:
    """Return the statement without every mention of the table crontabber_job."""
    return _replaced(statement, _WITHOUT_NOTES)


def without_slots(statement: str) -> str:
    """Return the statement without the columns that we have added to crontabber_log."""
    return _replaced(statement, _WITHOUT_SLOTS)


def _replaced(statement: str, replacements: dict[str, str]) -> str:
    for old, new in replacements.items():
        statement = statement.replace(old, new)
    return statement
