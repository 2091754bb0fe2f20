"""The page "Migration" of a DAG run: what happened, what was proved, what to do next, on one page."""
