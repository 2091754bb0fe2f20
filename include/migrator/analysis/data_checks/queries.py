"""SQL for the rows of a suspect: those of a condition, those that are equal, those that exclude each other.

The migration's expressions stand in it, so it is sent with the target's search path: whatever is ours names its schema,
functions and operators alike. IN, IS DISTINCT FROM and the comparison of rows, which cannot, are not used.
"""

from __future__ import annotations

from collections.abc import Sequence

from migrator.analysis.data_checks import suspects
from migrator.analysis.data_checks.suspects import Suspect

EQUAL = ("OPERATOR(=)", suspects.EQUAL)
OVERLAPS = ("OPERATOR(&&)", suspects.OVERLAPS)
NUMBERED = "migrator_value_{}"


def query_for(suspect: Suspect, source: str, keys: Sequence[str], *, sort: bool = False) -> str:
    """SQL for the keys of the rows.

    :param source: the table, as it stands after FROM. :param sort: `overlapping` says that they are ranges.
    """
    listed = ", ".join(keys)
    if not suspect.duplicates and not suspect.overlaps:
        return f"SELECT {listed} FROM {source} WHERE {suspect.where}"  # noqa: S608 - quoted by `suspects`
    inner = [f"{key} AS migrator_key_{number}" for number, key in enumerate(keys)]
    outer = ", ".join(f"one.migrator_key_{number}" for number in range(len(keys)))
    if suspect.duplicates:
        inner.append(f"pg_catalog.count(*) OVER (PARTITION BY {suspect.duplicates}) AS migrator_count")
        rest = "migrator_rows AS one WHERE one.migrator_count OPERATOR(pg_catalog.>) 1"
    else:
        inner += ["tableoid AS migrator_table", "ctid AS migrator_place"]
        inner += [f"{key} AS {NUMBERED.format(number)}" for number, (key, _) in enumerate(suspect.overlaps)]
        rest = _sorted(suspect) if sort else _pairs(suspect)
    rows_in_question = f"SELECT {', '.join(inner)} FROM {source} WHERE {suspect.where}"  # noqa: S608
    return f"WITH migrator_rows AS ({rows_in_question}) SELECT {outer} FROM {rest}"  # noqa: S608


def overlapping(suspect: Suspect) -> str | None:
    """The one expression that rows exclude each other by when it overlaps, in rows that are equal in all others; None
    when they are compared in another way. If it is a range, one sort finds them, instead of a look at all pairs."""
    found = [key for key, operator in suspect.overlaps if operator in OVERLAPS]
    equal = [key for key, operator in suspect.overlaps if operator in EQUAL]
    return found[0] if len(found) == 1 and len(found) + len(equal) == len(suspect.overlaps) else None


def _pairs(suspect: Suspect) -> str:
    """FROM and WHERE: each row is compared with all others."""
    pairs = [
        f"one.{NUMBERED.format(number)} {operator} other.{NUMBERED.format(number)}"
        for number, (_, operator) in enumerate(suspect.overlaps)
    ]
    apart = (
        "NOT (one.migrator_table OPERATOR(pg_catalog.=) other.migrator_table"
        " AND one.migrator_place OPERATOR(pg_catalog.=) other.migrator_place)"
    )
    condition = " AND ".join([apart, *pairs])
    return f"migrator_rows AS one WHERE EXISTS (SELECT FROM migrator_rows AS other WHERE {condition})"


def _sorted(suspect: Suspect) -> str:
    """FROM and WHERE: in the order of lower bounds a range overlaps a later one when it overlaps the next, and an
    earlier one when the highest of their upper bounds is not below its lower bound. A NULL or an empty range overlaps
    nothing: https://www.postgresql.org/docs/current/rangetypes.html#RANGETYPES-CONSTRAINT"""
    names = [NUMBERED.format(number) for number in range(len(suspect.overlaps))]
    value = names[[operator in OVERLAPS for _, operator in suspect.overlaps].index(True)]
    equal = [name for name in names if name != value]
    partition = f"PARTITION BY {', '.join(equal)} " if equal else ""
    filled = " AND ".join(f"{name} IS NOT NULL" for name in names)
    ordered = f"""
    SELECT
        *,
        pg_catalog.lead({value}) OVER by_start OPERATOR(pg_catalog.&&) {value} AS overlaps_next,
        pg_catalog.lower_inf({value}) AND pg_catalog.row_number() OVER by_start OPERATOR(pg_catalog.>) 1
        OR coalesce(pg_catalog.bool_or(pg_catalog.upper_inf({value})) OVER before, false)
        OR coalesce(
            pg_catalog.max(pg_catalog.upper({value})) OVER before OPERATOR(pg_catalog.>) pg_catalog.lower({value}),
            false
        )
        OR pg_catalog.lower_inc({value})
        AND coalesce(
            pg_catalog.max(pg_catalog.upper({value})) FILTER (WHERE pg_catalog.upper_inc({value})) OVER before
            OPERATOR(pg_catalog.=) pg_catalog.lower({value}),
            false
        ) AS overlaps_earlier
    FROM migrator_rows
    WHERE {filled} AND NOT pg_catalog.isempty({value})
    WINDOW
        by_start AS ({partition}ORDER BY {value}),
        before AS (by_start ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
"""  # noqa: S608
    return f"({ordered}) AS one WHERE one.overlaps_next OR one.overlaps_earlier"
