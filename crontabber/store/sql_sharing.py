"""The SQL of claiming one of several jobs: the first that has not changed since it was seen, and whose lock is free."""

from crontabber.store.sql import COLUMNS, JOIN_NOTES, lock_key, within_the_calendar

_UNCHANGED = f"ongoing IS NULL AND {within_the_calendar('next_run')} IS NOT DISTINCT FROM seen::timestamptz"


def _first(is_claimable: str, value: str) -> str:
    """Lock the first claimable job of the JSON object `candidates`: app_name -> what the claim needs to know of it.

    CASE and OFFSET keep the order: a lock is tried only if those before it could not be had. Where sessions are pooled,
    the lock lasts as long as this statement, so that the others try the next job meanwhile.
    """
    key = lock_key("%(schema)s || '.' || name")
    return f"""
lock AS (
    SELECT name, {value}, set_config('synchronous_commit', 'off', true)
    FROM (
        SELECT * FROM json_each_text(%(candidates)s::json) WITH ORDINALITY AS job (name, {value}, number)
        ORDER BY number OFFSET 0
    ) AS candidate
    WHERE CASE WHEN NOT coalesce({is_claimable}, false) THEN false
               WHEN %(session_locks)s THEN pg_try_advisory_lock({key})
               ELSE pg_try_advisory_xact_lock({key}) END
    LIMIT 1
)"""


_CLAIMED = f"SELECT name, {COLUMNS} FROM lock LEFT JOIN claimed ON true LEFT {JOIN_NOTES}"

CLAIM_ONE = f"""
WITH {_first(f"(SELECT {_UNCHANGED} FROM crontabber WHERE app_name = name)", "seen")},
claimed AS (
    UPDATE crontabber SET ongoing = %(now)s, owner = %(owner)s FROM lock WHERE app_name = name AND {_UNCHANGED}
    RETURNING crontabber.*
)
{_CLAIMED}
"""
CLAIM_ONE_NEW = f"""
WITH {_first("NOT EXISTS (SELECT FROM crontabber WHERE app_name = name)", "parents")},
claimed AS (
    INSERT INTO crontabber (app_name, first_run, depends_on, last_error, ongoing, owner)
    SELECT name, %(now)s, ARRAY(SELECT json_array_elements_text(parents::json)), '{{}}', %(now)s, %(owner)s FROM lock
    ON CONFLICT (app_name) DO NOTHING
    RETURNING *
)
{_CLAIMED}
"""
