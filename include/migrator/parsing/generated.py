"""`SELECT ... \\gexec`, by which psql runs what a query gives, as a block that the server runs itself."""

from __future__ import annotations

import textwrap

from migrator.parsing.nodes import find
from migrator.parsing.statements import parse


def as_block(query: str) -> str | None:
    """None when the query is no SELECT of one column: psql runs each column of a row by itself."""
    parsed = parse(query, file="")
    if parsed.problems or len(parsed.statements) != 1 or parsed.statements[0].name != "select_stmt":
        return None
    tree = parsed.statements[0].tree
    if len(tree.target_list) != 1 or next(find(tree.target_list[0], "A_Star"), None) is not None:
        return None
    tag = "$$" if "$$" not in query else "$run$"
    return (
        f"DO {tag}\nDECLARE\n  command text;\nBEGIN\n  FOR command IN\n{textwrap.indent(query, '    ')}\n"
        f"  LOOP\n    EXECUTE command;\n  END LOOP;\nEND {tag};"
    )
