"""Steps that rules suggest: checked against their kind, and rendered as an author writes them."""

from __future__ import annotations

import json
from typing import Any

from migrator.plan import Suggestion
from migrator.steps.kinds import kind_named, parameters_of


def as_yaml(suggestion: Suggestion) -> str:
    """The entry of `steps:` in the metadata.

    :raises NeedsHuman: there is no such kind. :raises ValueError: the kind does not take these parameters.
    """
    kind = kind_named(suggestion.kind)
    unknown = suggestion.parameters.keys() - kind.PARAMETERS.__dataclass_fields__.keys()
    wrong = [
        *sorted(unknown),
        *(text for _, text, _ in kind.contradictions(parameters_of(kind, suggestion.parameters))),
    ]
    if wrong:
        raise ValueError(f"a step of kind {suggestion.kind!r} was suggested with {', '.join(wrong)}")
    lines = [f"- name: {suggestion.kind}", f"  kind: {suggestion.kind}"]
    lines += [f"  {key}: {_value(value)}" for key, value in suggestion.parameters.items()]
    return "\n".join(lines)


def _value(value: Any) -> str:
    """JSON, which is YAML; a list in one line."""
    return json.dumps(value, ensure_ascii=False)
