"""The SQL of the statements about crontabber_job, which has a row only for a job that needs one.

`first_slot` is the slot of a first run that has not succeeded yet; `last_date` is the calendar date that is done, and
counts only while `last_date_for` equals `last_success` in the job's row of the table crontabber; a job with `paused_at`
is paused.
"""

# Another tick may have noted a slot, or run the job, since we read the states.
NOTE_FIRST_SLOTS = """
INSERT INTO crontabber_job AS job (app_name, first_slot)
SELECT app_name, slot FROM unnest(%(app_names)s::text[], %(slots)s::timestamptz[]) AS unseen (app_name, slot)
WHERE NOT EXISTS (SELECT FROM crontabber WHERE crontabber.app_name = unseen.app_name AND next_run IS NOT NULL)
ON CONFLICT (app_name) DO UPDATE SET first_slot = EXCLUDED.first_slot
WHERE job.first_slot IS NOT DISTINCT FROM (%(seen)s::json ->> job.app_name)::timestamptz
RETURNING app_name
"""

# A pause outlives what else is known of a job. Without one, it needs no row.
WITH_FORGOTTEN = """
WITH kept AS (
    UPDATE crontabber_job SET first_slot = NULL, last_date = NULL, last_date_for = NULL
    WHERE app_name = %(app_name)s AND paused_at IS NOT NULL
), forgotten AS (
    DELETE FROM crontabber_job WHERE app_name = %(app_name)s AND paused_at IS NULL
)
"""
FORGET = f"{WITH_FORGOTTEN} SELECT"


def note_date(schema: str) -> str:
    """Note the calendar date of the row in `settled`. The first date that is done ends the wait for it."""
    return f""", noted AS (
    INSERT INTO {in_schema(schema)}crontabber_job (app_name, last_date, last_date_for)
    SELECT app_name, %(last_date)s, %(success)s FROM settled
    ON CONFLICT (app_name) DO UPDATE
    SET first_slot = NULL, last_date = EXCLUDED.last_date, last_date_for = EXCLUDED.last_date_for
)"""


def drop_slot(schema: str) -> str:
    """Drop the first slot of the row in `settled`; a job without other notes needs no row."""
    table = f"{in_schema(schema)}crontabber_job AS job"
    return f""", dropped AS (
    DELETE FROM {table} USING settled
    WHERE job.app_name = settled.app_name AND job.first_slot IS NOT NULL AND job.last_date IS NULL
      AND job.paused_at IS NULL
), kept AS (
    UPDATE {table} SET first_slot = NULL FROM settled
    WHERE job.app_name = settled.app_name AND job.paused_at IS NOT NULL
)"""


def in_schema(schema: str) -> str:
    """Return the prefix of a table in `schema`, a quoted identifier; the driver needs percent signs doubled."""
    return schema.replace("%", "%%") + "." if schema else ""
