"""What a unit of work costs on one server, in seconds for a million rows unless a name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

PAGE = 8192


@dataclass(frozen=True)
class Costs:
    """The defaults were measured with PostgreSQL 16 on a warm machine with two cores; `measurement.measure` replaces
    them by those of another server."""

    statement: float = 0.0005
    """Seconds of any statement: parsing, catalog changes, the round trip."""
    scan: float = 0.05
    """Look at a row of a page that is in shared_buffers, one column of it."""
    page_read: float = 1.2
    """A million pages that are not in shared_buffers, one after the other, from the operating system's cache."""
    page_miss: float = 8.0
    """A million pages that are not there, here and there, each in the place of one that must be written first."""

    operator: float = 0.006
    """One more comparison or cheap function for each row."""
    numeric: float = 0.03
    """The same for numbers of any precision."""
    pattern: float = 0.36
    """A regular expression, or LIKE with a leading wildcard, for each row."""
    text_function: float = 0.3
    """lower() and the like for each row."""
    call: float = 1.0
    """A function of which nothing is known for each row."""
    random_bytes: float = 3.2
    """gen_random_uuid() for each row: the kernel is asked every time."""
    clock: float = 0.3
    """clock_timestamp() for each row."""
    sequence: float = 0.35
    """nextval() for each row."""
    probe: float = 0.09
    """Look up a row in a hashed table: a join, a foreign key's check of all rows."""
    group: float = 0.07
    """Add a row to an aggregate of its group."""

    write: float = 0.35
    """Form a row and put it onto a page of a new file."""
    page_write: float = 10.0
    """A million new pages with their WAL."""
    page_write_unlogged: float = 3.0
    """The same without WAL: an unlogged table, or wal_level = minimal."""
    insert: float = 0.7
    update: float = 1.7
    delete: float = 0.4

    build: float = 0.15
    """Read a row and write its key into a new B-tree, by one process."""
    compare_ordered: float = 0.003
    """Sorting, for each binary digit of the number of rows: keys that are in the table's order already."""
    compare: float = 0.012
    """The same for numbers, times and uuids in no order."""
    compare_text: float = 0.06
    """The same for text, whose comparison asks the collation."""
    compare_numeric: float = 0.018
    """The same for numbers of any precision."""
    compare_tied: float = 0.023
    """The same where the first column of several is equal, so that the next one decides."""
    spill: float = 0.2
    """More for a sort that does not fit into maintenance_work_mem."""
    parallel_one: float = 0.7
    """Not seconds: the part of a build's time that is left with one parallel worker."""
    parallel_more: float = 0.65
    """Not seconds: the same with `max_parallel_maintenance_workers`."""
    hash_build: float = 0.036
    """For each binary digit of the number of rows, too: the more pages, the fewer are in the processor's cache."""
    brin_build: float = 0.1
    gin_entry: float = 0.5
    """Of a million entries: a row of a GIN index has one for each element of an array, word of a document, ..."""
    gist_build: float = 0.5
    """For each binary digit of the number of rows, as below."""

    place_ordered: float = 0.02
    """Insert a key into an existing index, for each binary digit of the number of rows; classes as above."""
    place: float = 0.05
    place_text: float = 0.2
    replace_ordered: float = 0.03
    """The same for the new version of a row with the old key, beside the old one."""
    replace: float = 0.06
    replace_text: float = 0.25
    hash_place: float = 0.045
    brin_place: float = 0.05
    gin_place: float = 1.0
    """Of a million entries, the pending list included."""
    gist_place: float = 0.5

    trigger: float = 1.0
    """Fire a row trigger in PL/pgSQL that does nothing but assign."""
    trigger_query: float = 3.0
    """Each SQL statement in it, such as the INSERT of an audit trail."""
    foreign_key: float = 4.0
    """Check one foreign key of a changed row."""


RATIOS = ("parallel_one", "parallel_more")
"""No seconds: they do not scale with the speed of the machine."""
UNMEASURED = ("call",)
ANCHORS = ("scan", "write", "build", "insert", "update", "compare_text")
"""By these the speed of a machine is compared with that of the defaults."""
