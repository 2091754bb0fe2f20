"""Rules of taste and of compatibility: `info`, never a reason to stop, but for names and texts that are not what they
seem."""

from __future__ import annotations

from migrator.analysis.rules.model import Rule
from migrator.analysis.rules.style import (
    ban_char,
    crlf_in_text,
    domain_with_constraint,
    identifier_too_long,
    prefer_bigint,
    prefer_identity,
    prefer_jsonb,
    prefer_numeric,
    prefer_text,
    prefer_timestamptz,
    primary_key,
    unseen_characters,
)

RULES: tuple[Rule, ...] = (
    unseen_characters.RULE,
    crlf_in_text.RULE,
    prefer_bigint.RULE,
    prefer_identity.RULE,
    prefer_text.RULE,
    prefer_timestamptz.RULE,
    prefer_jsonb.RULE,
    prefer_numeric.RULE,
    ban_char.RULE,
    domain_with_constraint.RULE,
    identifier_too_long.RULE,
    primary_key.RULE,
)
