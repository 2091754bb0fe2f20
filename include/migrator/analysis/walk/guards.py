"""Failures inside of DO blocks and functions that are none: what EXCEPTION catches, and what IF has asked before.

https://www.postgresql.org/docs/current/plpgsql-control-structures.html#PLPGSQL-ERROR-TRAPPING
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from migrator.analysis.effects import Effects, World

CONDITIONS = {
    "feature_not_supported": "0A000",
    "dependent_objects_still_exist": "2BP01",
    "invalid_schema_name": "3F000",
    "undefined_file": "58P01",
    "insufficient_privilege": "42501",
    "syntax_error": "42601",
    "duplicate_column": "42701",
    "undefined_column": "42703",
    "undefined_object": "42704",
    "duplicate_object": "42710",
    "duplicate_function": "42723",
    "ambiguous_function": "42725",
    "datatype_mismatch": "42804",
    "wrong_object_type": "42809",
    "invalid_foreign_key": "42830",
    "undefined_function": "42883",
    "undefined_table": "42P01",
    "duplicate_schema": "42P06",
    "duplicate_table": "42P07",
    "invalid_table_definition": "42P16",
    "invalid_object_definition": "42P17",
    "object_not_in_prerequisite_state": "55000",
    "syntax_error_or_access_rule_violation": "42000",
}
"""Names of src/backend/utils/errcodes.txt for what `effects` predicts."""
ASKED = frozenset(
    ["3F000", "42501", "42701", "42703", "42704", "42710", "42723", "42883", "42P01", "42P06", "42P07", "42809"]
)
"""What IF asks the catalog about: whether something is there, and of what kind."""
_WORD = re.compile(r'[^\s"]+')


def catches(conditions: Iterable[str], sqlstate: str) -> bool:
    for name in conditions:
        code = CONDITIONS.get(name, name.upper())
        if name == "others" or code == sqlstate or (code.endswith("000") and code[:2] == sqlstate[:2]):
            return True
    return False


def softened(
    effects: Effects, caught: Iterable[str], *, conditional: bool, unsure: frozenset[str]
) -> tuple[Effects, bool]:
    """The effects without a failure that does not end the file, and whether the failure was caught.

    :param conditional: it may not run. :param unsure: bare names of what such statements before it have changed.
    """
    failure = effects.fails
    if failure is None:
        return effects, False
    if catches(caught, failure.sqlstate):
        return replace(effects, fails=None), True
    named = unsure and not unsure.isdisjoint(_WORD.findall(failure.message))
    if (conditional and failure.sqlstate in ASKED) or named:
        return replace(effects, fails=None, may_fail=(*effects.may_fail, failure)), False
    return effects, False


def changed(before: World, after: World) -> frozenset[str]:
    """Bare names of what a statement has changed."""
    if after is before:
        return frozenset()
    keys = after.state.written_since(before.state.version)
    return frozenset(str(key[1]).rpartition(".")[2] for key in keys if isinstance(key, tuple) and len(key) > 1)
