"""Pauses of Python's garbage collector, for work that makes a great many values and keeps them all.

A full collection walks through everything that lives; while a hundred thousand facts are made it runs again and again
and finds nothing, which took as long as making them. https://docs.python.org/3/library/gc.html#gc.set_threshold
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """What is unused and not part of a cycle is still freed at once."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
