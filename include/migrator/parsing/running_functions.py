"""Functions of the server that run something besides themselves: a text, a view that they are told by name, a cast."""

from __future__ import annotations

_TEXTS = "query_to_xml query_to_xmlschema query_to_xml_and_xmlschema ts_rewrite ts_stat"
_RELATIONS = """
cursor_to_xml cursor_to_xmlschema database_to_xml database_to_xml_and_xmlschema database_to_xmlschema schema_to_xml
schema_to_xml_and_xmlschema schema_to_xmlschema table_to_xml table_to_xml_and_xmlschema table_to_xmlschema
"""
_CASTS = """
array_to_json json_agg json_agg_strict json_build_array json_build_object json_object_agg json_object_agg_strict
json_object_agg_unique json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_build_array jsonb_build_object
jsonb_object_agg jsonb_object_agg_strict jsonb_object_agg_unique jsonb_object_agg_unique_strict row_to_json to_json
to_jsonb
"""
RUN_TEXTS = frozenset(_TEXTS.split())
"""A query that they get."""
READ_NAMED = frozenset(_RELATIONS.split())
"""What they get is a name: a table's, or a view's."""
MAKE_JSON = frozenset(_CASTS.split())
"""Whatever they get, by the cast to json that somebody may have made for its type."""
EVERY = RUN_TEXTS | READ_NAMED | MAKE_JSON
