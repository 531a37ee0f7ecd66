"""Adapt statements to a table crontabber without the column `owner`, which our role may not add."""

# Without an owner, a claim is recognised by the time at which it was taken.
_REPLACEMENTS = {
    " AND owner IS NOT DISTINCT FROM %(seen_owner)s": "",
    " AND owner = %(owner)s": "",
    " AND owner IS NULL": " AND ongoing IS NULL",
    ", owner = %(owner)s": "",
    ", owner = NULL": "",
    ", ongoing, owner)": ", ongoing)",
    "%(now)s, %(owner)s FROM lock": "%(now)s FROM lock",
    ", owner FROM": ", NULL AS owner FROM",
}


def without_owner(statement: str) -> str:
    """Return the statement without every mention of the column."""
    for with_it, without_it in _REPLACEMENTS.items():
        statement = statement.replace(with_it, without_it)
    return statement
