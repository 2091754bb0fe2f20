"""Names that pg_catalog has on 14 to 18, so that they mean the server's own whatever the search_path is."""

from __future__ import annotations

_OPERATORS = """
!! !~ !~* !~~ !~~* # ## #- #> #>> % & && &< &<| &> * *< *<= *<> *= *> *>= + - -> ->> -|- / < <-> << <<= <<| <= <> <@ <^
= > >= >> >>= >^ ? ?# ?& ?- ?-| ?| ?|| @ @-@ @> @? @@ @@@ ^ ^@ | |&> |/ |>> || ||/ ~ ~* ~<=~ ~<~ ~= ~>=~ ~>~ ~~ ~~*
"""
OPERATORS = frozenset([*_OPERATORS.split(), "!="])
"""With what the grammar makes of another."""
_CONFIGURATIONS = """
arabic armenian basque catalan danish dutch english estonian finnish french german greek hindi hungarian indonesian
irish italian lithuanian nepali norwegian portuguese romanian russian serbian simple spanish swedish tamil turkish
yiddish
"""
CONFIGURATIONS = frozenset(_CONFIGURATIONS.split())
"""pg_catalog's text search configurations."""
_CONFIGURED = """
json_to_tsvector jsonb_to_tsvector phraseto_tsquery plainto_tsquery to_tsquery to_tsvector ts_headline
websearch_to_tsquery
"""
CONFIGURED = frozenset(_CONFIGURED.split())
"""Functions whose first of two or more arguments may be the name of one."""
